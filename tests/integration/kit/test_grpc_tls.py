"""TLS, with certificates made for the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from elevon_core.errors import InvalidArgument, Unavailable
from elevon_kit.grpc_client import channel, translate_errors
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.settings import GrpcClientSettings, GrpcSettings

from tests.certificates import Pair, make_pair


@pytest.fixture
def server_pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path, "server")


@pytest.fixture
def client_pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path, "client")


async def test_calls_are_encrypted(start: Any, server_pair: Pair) -> None:
    running = await start(tls_certificate=server_pair.certificate, tls_key=server_pair.key)
    await running.create("fine", running.channel(tls=True, tls_authority=server_pair.certificate))
    with pytest.raises(Unavailable), translate_errors("catalog"):
        await running.create("plain text", running.channel())


async def test_a_server_nobody_vouches_for_is_not_spoken_to(start: Any, server_pair: Pair, client_pair: Pair) -> None:
    running = await start(tls_certificate=server_pair.certificate, tls_key=server_pair.key)
    with pytest.raises(Unavailable), translate_errors("catalog"):
        await running.create("fine", running.channel(tls=True, tls_authority=client_pair.certificate))


async def test_clients_can_be_made_to_show_a_certificate(start: Any, server_pair: Pair, client_pair: Pair) -> None:
    running = await start(
        tls_certificate=server_pair.certificate,
        tls_key=server_pair.key,
        tls_client_authority=client_pair.certificate,
    )
    trusting = {"tls": True, "tls_authority": server_pair.certificate}
    with pytest.raises(Unavailable), translate_errors("catalog"):
        await running.create("nobody", running.channel(**trusting))
    shown = {"tls_certificate": client_pair.certificate, "tls_key": client_pair.key}
    await running.create("somebody", running.channel(**trusting, **shown))


async def test_half_a_pair_is_refused(server_pair: Pair) -> None:
    with pytest.raises(InvalidArgument, match="go together"):
        await GrpcServer(GrpcSettings(tls_key=server_pair.key), "catalog").start()


async def test_a_missing_file_is_named(server_pair: Pair, tmp_path: Path) -> None:
    settings = GrpcSettings(tls_certificate=tmp_path / "missing.crt", tls_key=server_pair.key)
    with pytest.raises(InvalidArgument, match=r"grpc\.tls_certificate.*missing\.crt"):
        await GrpcServer(settings, "catalog").start()
    with pytest.raises(InvalidArgument, match=r"tls_authority.*missing\.crt"):
        channel("127.0.0.1:1", GrpcClientSettings(tls=True, tls_authority=tmp_path / "missing.crt"))
