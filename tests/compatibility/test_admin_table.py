"""Every RPC of admin's compatible services, called with the official stubs' messages under the original names."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elevon_admin.app import MIGRATIONS
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2

from tests.compatibility.admin_table import ADMIN, GO, SERVICES, SIGNALS, WORLD
from tests.compatibility.calls import call, check, methods_of
from tests.compatibility.cases import Case, Rpc, Service
from tests.integration.admin_executions.harness import NODE, TASK, WORKFLOW, Admin, serving
from tests.integration.admin_registry.harness import plan_id

pytestmark = pytest.mark.schema(MIGRATIONS)

METHODS = methods_of(admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2)
ALL = [(service, rpc) for service in SERVICES for rpc in service.rpcs]
ALONE = [(service, rpc) for service, rpc in ALL if rpc.alone]


@pytest.fixture
async def world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    """What the table's world has."""
    async with prepared_world(sqlite_url, tmp_path) as admin:
        yield admin


@contextlib.asynccontextmanager
async def prepared_world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    """A running service with what the table's cases need."""
    async with serving(sqlite_url, tmp_path) as admin:
        for rpc, request in WORLD:
            assert await call(admin.app.grpc_address, METHODS[f"{ADMIN.name}.{rpc}"], Case(rpc, request)) == ("OK", "")
        target = plan_id("w")
        for name, phase in (("x", None), ("done", WORKFLOW.SUCCEEDED), ("failed", WORKFLOW.FAILED)):
            key = await admin.launch(target, name)
            await admin.report(key, WORKFLOW.RUNNING)
            await admin.report_node(key, "n0", NODE.RUNNING)
            await admin.report_task(key, "n0", TASK.RUNNING)
            if phase is not None:
                await admin.report_task(key, "n0", TASK.SUCCEEDED, 1)
                await admin.report_node(key, "n0", NODE.SUCCEEDED, 1)
                await admin.report(key, phase, 2)
        await call(admin.app.grpc_address, METHODS[f"{SIGNALS.name}.GetOrCreateSignal"], Case("made before", GO))
        yield admin


async def test_rpcs_that_share_a_world(world: Admin, subtests: pytest.Subtests) -> None:
    for service, rpc in ALL:
        if not rpc.alone:
            with subtests.test(rpc=f"{service.name}.{rpc.name}"):
                await check(world.app.grpc_address, METHODS, service, rpc)


@pytest.mark.parametrize(("service", "rpc"), ALONE, ids=[rpc.name for _, rpc in ALONE])
async def test_rpcs_with_a_world_of_their_own(world: Admin, service: Service, rpc: Rpc) -> None:
    await check(world.app.grpc_address, METHODS, service, rpc)


def test_no_rpc_is_left_out() -> None:
    assert {f"{service.name}.{rpc.name}" for service, rpc in ALL} == set(METHODS)
