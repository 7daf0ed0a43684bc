"""The command against a control plane that speaks TLS."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from elevon_admin.app import build
from elevon_admin.settings import AdminSettings

from tests.certificates import Pair, make_pair


async def get_projects(target: str, authority: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "elevon", "get", "projects", "--target", target),
        env={**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(authority)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path, "server")


async def test_https_is_tls(pair: Pair, tmp_path: Path) -> None:
    database = {"url": f"sqlite+aiosqlite:///{tmp_path / 'admin.sqlite'}", "migrate": True}
    encrypted = {"tls_certificate": pair.certificate, "tls_key": pair.key}
    app = await build(AdminSettings.load([], database=database, http={"enabled": False}, grpc=encrypted))
    await app.start()
    try:
        code, said = await get_projects(f"https://{app.grpc_address}", pair.certificate)
        assert "flytesnacks" in said
        assert code == 0
        code, said = await get_projects(f"https://{app.grpc_address}", make_pair(tmp_path, "other").certificate)
        assert f"no control plane answers on {app.grpc_address} over TLS" in said
        assert code == 1
        code, said = await get_projects(app.grpc_address, pair.certificate)
        assert f"no control plane answers on {app.grpc_address}:" in said
        assert code == 1
    finally:
        await app.stop()
