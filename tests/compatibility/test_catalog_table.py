"""Every RPC of catalog's services, called with the official stubs' messages under the original names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elevon_catalog.app import MIGRATIONS
from flyteidl.cacheservice import cacheservice_pb2
from flyteidl.datacatalog import datacatalog_pb2

from tests.compatibility.calls import call, check, methods_of
from tests.compatibility.cases import Case, Rpc, Service
from tests.compatibility.catalog_table import SERVICES, WORLD
from tests.integration.catalog.harness import Catalog, serving

pytestmark = pytest.mark.schema(MIGRATIONS)

METHODS = methods_of(datacatalog_pb2, cacheservice_pb2)
ALL = [(service, rpc) for service in SERVICES for rpc in service.rpcs]
ALONE = [(service, rpc) for service, rpc in ALL if rpc.alone]


@pytest.fixture
async def world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Catalog]:
    """What the table's world has."""
    async with serving(sqlite_url, tmp_path / "blobs") as catalog:
        for name, request in WORLD:
            assert (await call(catalog.app.grpc_address, METHODS[name], Case(name, request))).code == "OK"
        yield catalog


async def test_rpcs_that_share_a_world(world: Catalog, subtests: pytest.Subtests) -> None:
    for service, rpc in ALL:
        if not rpc.alone:
            with subtests.test(rpc=f"{service.name}.{rpc.name}"):
                await check(world.app.grpc_address, METHODS, service, rpc)


@pytest.mark.parametrize(("service", "rpc"), ALONE, ids=[f"{service.name}.{rpc.name}" for service, rpc in ALONE])
async def test_rpcs_with_a_world_of_their_own(world: Catalog, service: Service, rpc: Rpc) -> None:
    await check(world.app.grpc_address, METHODS, service, rpc)


def test_no_rpc_is_left_out() -> None:
    assert {f"{service.name}.{rpc.name}" for service, rpc in ALL} == set(METHODS)
