"""One suite for every `Catalog`: the fake, and the MemoService of a real catalog over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elevon_catalog.app import MIGRATIONS, build
from elevon_catalog.settings import CatalogSettings
from elevon_core.errors import InvalidArgument, Unavailable
from elevon_idl.core import v1 as core
from elevon_kit.grpc_client import channel
from elevon_propeller.drivers.catalog import GrpcCatalog
from elevon_propeller.drivers.catalog_memory import MemoryCatalog
from elevon_propeller.engine.commands import CacheEntry
from elevon_propeller.ports import Catalog
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

pytestmark = pytest.mark.schema(MIGRATIONS)


@pytest.fixture
async def catalog_address(tmp_path: Path, sqlite_url: str) -> AsyncIterator[str]:
    """A real catalog."""
    settings = CatalogSettings.load(
        [],
        database={"url": sqlite_url, "migrate": True},
        blobs={"container": str(tmp_path / "store")},
        http={"enabled": False},
    )
    app = await build(settings)
    await app.start()
    try:
        yield app.grpc_address
    finally:
        await app.stop()


@pytest.fixture(params=["memory", "grpc"])
async def catalog(request: pytest.FixtureRequest, catalog_address: str) -> AsyncIterator[Catalog]:
    """Every implementation in turn, empty."""
    if request.param == "memory":
        yield MemoryCatalog()
        return
    opened = channel(catalog_address)
    try:
        yield GrpcCatalog(opened)
    finally:
        await opened.close()


def entry(tag: str = "t", owner: str = "me", name: str = "task") -> CacheEntry:
    """An entry of a task with the output `x`."""
    template = closures.task_template(TaskNodeSpec(name))
    dataset = core.Identifier(
        resource_type=core.ResourceType.DATASET, project="p", domain="d", name=f"flyte_task-{name}", version="1-a-b"
    )
    execution = core.WorkflowExecutionIdentifier(project="p", domain="d", name="source")
    source = core.TaskExecutionIdentifier(
        task_id=template.id,
        node_execution_id=core.NodeExecutionIdentifier(node_id="n0", execution_id=execution),
        retry_attempt=2,
    )
    return CacheEntry(dataset, f"flyte_cached-{tag}", owner, template.interface, template.id, source)


async def test_what_was_stored_is_found_with_its_source(catalog: Catalog) -> None:
    assert await catalog.look_up(entry()) is None
    stored = await catalog.store(entry(), closures.integers(x=5), overwrite=False)
    hit = await catalog.look_up(entry(owner="other"))
    assert hit is not None
    assert hit.outputs == closures.integers(x=5)
    assert hit.catalog == stored
    assert stored.artifact_tag.name == "flyte_cached-t"
    assert stored.artifact_tag.artifact_id
    assert stored.dataset_id == entry().dataset
    assert stored.source_task_execution == entry().source
    assert await catalog.look_up(entry("other")) is None
    assert await catalog.look_up(entry(name="another")) is None


async def test_an_entry_is_replaced_only_when_asked_for(catalog: Catalog) -> None:
    await catalog.store(entry(), closures.integers(x=1), overwrite=False)
    await catalog.store(entry(), closures.integers(x=2), overwrite=False)
    kept = await catalog.look_up(entry())
    assert kept is not None
    assert kept.outputs == closures.integers(x=1)
    await catalog.store(entry(), closures.integers(x=3), overwrite=True)
    replaced = await catalog.look_up(entry())
    assert replaced is not None
    assert replaced.outputs == closures.integers(x=3)


async def test_a_reservation_has_one_owner_until_it_is_released(catalog: Catalog) -> None:
    assert await catalog.reserve(entry(), 5.0) == entry().owner
    assert await catalog.reserve(entry(), 5.0) == entry().owner
    assert await catalog.reserve(entry(owner="other"), 5.0) == entry().owner
    await catalog.release(entry(owner="other"))
    assert await catalog.reserve(entry(owner="other"), 5.0) == entry().owner
    await catalog.release(entry())
    assert await catalog.reserve(entry(owner="other"), 5.0) == "other"


async def test_many_may_ask_at_once(catalog: Catalog) -> None:
    tags = [f"t{number}" for number in range(600)]
    await asyncio.gather(*(catalog.store(entry(tag), closures.integers(x=1), overwrite=False) for tag in tags))
    found = await asyncio.gather(*(catalog.look_up(entry(tag)) for tag in [*tags, *tags]))
    assert all(hit is not None and hit.outputs == closures.integers(x=1) for hit in found)
    owners = await asyncio.gather(*(catalog.reserve(entry(owner=f"o{number}"), 5.0) for number in range(5)))
    assert len(set(owners)) == 1


async def test_outputs_that_do_not_fit_the_interface_are_refused(catalog_address: str) -> None:
    opened = channel(catalog_address)
    catalog = GrpcCatalog(opened)
    await catalog.store(entry(), closures.integers(y=1), overwrite=False)
    with pytest.raises(InvalidArgument, match="does not fit"):
        await catalog.look_up(entry())
    await opened.close()


async def test_a_catalog_that_is_not_there_is_unavailable() -> None:
    opened = channel("127.0.0.1:9")
    with pytest.raises(Unavailable):
        await GrpcCatalog(opened, timeout=60.0).look_up(entry())
    await opened.close()
