"""Every RPC of admin's compatible services, called with the official stubs' messages under the original names."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elevon_admin.app import MIGRATIONS
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2

from tests.compatibility.admin_table import FILES, SERVICES, SETTINGS, WORLD
from tests.compatibility.calls import call, check, methods_of
from tests.compatibility.cases import Case, Rpc, Service
from tests.integration.admin_executions.harness import Admin, serving

pytestmark = pytest.mark.schema(MIGRATIONS)

METHODS = methods_of(admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2)
ALL = [(service, rpc) for service in SERVICES for rpc in service.rpcs]
ALONE = [(service, rpc) for service, rpc in ALL if rpc.alone]
WITHOUT_SUCCESS = {"UserInfo", "GetOAuth2Metadata", "GetPublicClientConfig"}
"""What the original answers with authentication only."""


@pytest.fixture
async def world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    """What the table's world has."""
    async with prepared_world(sqlite_url, tmp_path) as admin:
        yield admin


@contextlib.asynccontextmanager
async def prepared_world(sqlite_url: str, folder: Path) -> AsyncIterator[Admin]:
    """A running service with what the table's cases need."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    async with serving(sqlite_url, folder, **SETTINGS) as admin:
        for rpc, request in WORLD:
            method = METHODS[f"flyteidl.service.{rpc}"]
            reply = await call(admin.app.grpc_address, method, Case(rpc, request), str(folder))
            assert reply.code == "OK", f"{rpc}: {reply}"
        yield admin


async def test_rpcs_that_share_a_world(world: Admin, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for service, rpc in ALL:
        if not rpc.alone:
            with subtests.test(rpc=f"{service.name}.{rpc.name}"):
                await check(world.app.grpc_address, METHODS, service, rpc, str(tmp_path))


@pytest.mark.parametrize(("service", "rpc"), ALONE, ids=[rpc.name for _, rpc in ALONE])
async def test_rpcs_with_a_world_of_their_own(world: Admin, tmp_path: Path, service: Service, rpc: Rpc) -> None:
    await check(world.app.grpc_address, METHODS, service, rpc, str(tmp_path))


def test_no_rpc_is_left_out() -> None:
    assert {f"{service.name}.{rpc.name}" for service, rpc in ALL} == set(METHODS)


def test_every_rpc_is_seen_to_succeed() -> None:
    seen = {rpc.name for _, rpc in ALL if any(case.code == "OK" for case in rpc.cases)}
    assert {rpc.name for _, rpc in ALL} - seen == WITHOUT_SUCCESS


def test_every_case_has_a_title_of_its_own() -> None:
    for _, rpc in ALL:
        titles = [case.title for case in rpc.cases]
        assert sorted(titles) == sorted(set(titles)), rpc.name


def test_every_refusal_is_told_from_others() -> None:
    for _, rpc in ALL:
        for case in rpc.cases:
            if case.code != "OK":
                assert len(case.words) > 3 or case.detail, f"{rpc.name}: {case.title}"
