"""What operators do, and what the catalog tidies up by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_catalog.settings import UpkeepSettings, ValueSettings
from elevon_core import naming
from elevon_idl.catalog import v1 as pb
from flyteidl.datacatalog import datacatalog_pb2

from tests.integration.catalog.harness import (
    DATASET,
    EXISTS,
    INVALID,
    MISSING,
    Catalog,
    add_tag,
    artifact,
    create_dataset,
    get,
    put,
    refused,
    serving,
    values_of,
)

KEY = pb.DatasetID.FromString(DATASET.SerializeToString())
LARGE = "large " * 100


@pytest.fixture
async def forgetful(database_url: str, tmp_path: Path) -> AsyncIterator[Catalog]:
    """A catalog that lets entries live for an hour."""
    upkeep = UpkeepSettings(max_age_seconds=3600, interval_seconds=3600)
    values = ValueSettings(inline_bytes=100)
    async with serving(database_url, tmp_path / "blobs", upkeep=upkeep, values=values) as running:
        yield running


async def evict(catalog: Catalog, *places: str, dry_run: bool = False) -> int:
    request = pb.EvictPointingRequest(places=places, dry_run=dry_run)
    return int((await catalog.admin.EvictPointing(request)).deleted_artifacts)


async def test_entries_that_point_at_data_go_before_it(catalog: Catalog) -> None:
    names = [naming.attempt_name("p", "d", "e", "n0", number) for number in range(3)]
    uris = [f"s3://b/{naming.raw_output_shard(name)}/{name}/file" for name in names]
    await create_dataset(catalog)
    await put(catalog, "small", "a", o0=uris[0])
    await put(catalog, "large", "b", o0=LARGE + uris[1])
    await put(catalog, "other", "c", o0="nothing")
    sourced = artifact("d", o0="x")
    sourced.metadata.key_map.update({"exec-project": "p", "exec-domain": "d", "execution-name": "e"})
    await catalog.data.CreateArtifact(datacatalog_pb2.CreateArtifactRequest(artifact=sourced))
    await add_tag(catalog, "computed", "d")
    assert await evict(catalog, names[2]) == 0
    assert await evict(catalog, *names, "p/d/e", dry_run=True) == 3
    assert await evict(catalog, *names, "p/d/e") == 3
    assert [await gone(catalog, tag) for tag in ("small", "large", "computed")] == [True] * 3
    assert (await get(catalog, "other")).id == "c"
    assert await evict(catalog, *names, "p/d/e") == 0
    async with refused(INVALID):
        await evict(catalog)


async def test_an_entry_that_is_written_again_points_elsewhere(catalog: Catalog) -> None:
    first, second = (naming.attempt_name("p", "d", name, "n0", 0) for name in ("e", "f"))
    await create_dataset(catalog)
    await put(catalog, "t", "a", o0=f"/raw/{naming.raw_output_shard(first)}/{first}")
    request = datacatalog_pb2.UpdateArtifactRequest(dataset=DATASET, tag_name="t")
    request.data.extend(artifact("a", o0=f"/raw/{naming.raw_output_shard(second)}/{second}").data)
    await catalog.data.UpdateArtifact(request)
    assert await evict(catalog, first) == 0
    assert await evict(catalog, second) == 1


async def gone(catalog: Catalog, tag: str) -> bool:
    async with refused(MISSING):
        await get(catalog, tag)
    return True


@pytest.mark.parametrize("handle", [{"artifact_id": "a"}, {"tag_name": "second"}])
async def test_deleting_an_artifact_takes_its_tags_and_values_along(catalog: Catalog, handle: dict[str, str]) -> None:
    await create_dataset(catalog)
    await put(catalog, "first", "a", o0=LARGE)
    await add_tag(catalog, "second", "a")
    await put(catalog, "other", "b", o0=LARGE)

    answer = await catalog.admin.DeleteArtifact(pb.DeleteArtifactRequest(dataset=KEY, **handle))

    assert answer.artifact_id == "a"
    assert await gone(catalog, "first")
    assert await gone(catalog, "second")
    assert values_of(await get(catalog, "other")) == {"o0": LARGE}
    assert len(catalog.files()) == 1
    async with refused(MISSING):
        await catalog.admin.DeleteArtifact(pb.DeleteArtifactRequest(dataset=KEY, **handle))


async def test_evicting_a_tag_spares_an_artifact_with_other_tags(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "first", "a", o0=LARGE)
    await add_tag(catalog, "second", "a")

    first = await catalog.admin.EvictTag(pb.EvictTagRequest(dataset=KEY, tag_name="first"))
    assert await gone(catalog, "first")
    assert values_of(await get(catalog, "second")) == {"o0": LARGE}
    second = await catalog.admin.EvictTag(pb.EvictTagRequest(dataset=KEY, tag_name="second"))

    assert (first.deleted_artifact_id, second.deleted_artifact_id) == ("", "a")
    assert catalog.files() == []
    async with refused(MISSING, "missing entity of type Tag"):
        await catalog.admin.EvictTag(pb.EvictTagRequest(dataset=KEY, tag_name="second"))
    await put(catalog, "second", "a", o0=1)
    assert values_of(await get(catalog, "second")) == {"o0": 1}


async def test_deleting_a_dataset_takes_everything_in_it(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "t1", "a", o0=LARGE)
    await put(catalog, "t2", "b", o0=1)

    answer = await catalog.admin.DeleteDataset(pb.DeleteDatasetRequest(dataset=KEY))

    assert answer.deleted_artifacts == 2
    assert catalog.files() == []
    async with refused(MISSING, "missing entity of type Dataset"):
        await catalog.admin.DeleteDataset(pb.DeleteDatasetRequest(dataset=KEY))
    await create_dataset(catalog)
    assert await gone(catalog, "t1")


async def test_pruning_by_age_and_for_want_of_tags(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "old", "a", o0=LARGE)
    await catalog.data.CreateArtifact(datacatalog_pb2.CreateArtifactRequest(artifact=artifact("orphan")))
    catalog.clock.advance(100)
    await put(catalog, "new", "b", o0=1)

    async def prune(seconds: int = 0, **rule: Any) -> int:
        request = pb.PruneArtifactsRequest(project="flytesnacks", **rule)
        if seconds:
            request.older_than.FromSeconds(seconds)
        return int((await catalog.admin.PruneArtifacts(request)).deleted_artifacts)

    assert await prune(101) == 0
    assert await prune(50, domain="production") == 0
    assert await prune(only_untagged=True) == 1
    assert await prune(50, dry_run=True) == 1
    assert await prune(50) == 1
    assert await prune(50, dry_run=True) == 0
    assert await prune(50) == 0
    assert await gone(catalog, "old")
    assert values_of(await get(catalog, "new")) == {"o0": 1}
    assert catalog.files() == []


async def test_usage_by_project_and_domain(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "t", "a", o0=1, o1=LARGE)
    await catalog.data.CreateArtifact(datacatalog_pb2.CreateArtifactRequest(artifact=artifact("orphan")))
    await create_dataset(catalog, dataset=datacatalog_pb2.DatasetID(project="a", domain="d", name="n", version="v"))
    size = sum(item.value.ByteSize() for item in artifact("a", o0=1, o1=LARGE, o2=1).data)

    everything = (await catalog.admin.ListUsage(pb.ListUsageRequest())).usages
    one = (await catalog.admin.ListUsage(pb.ListUsageRequest(project="flytesnacks", domain="development"))).usages
    none = (await catalog.admin.ListUsage(pb.ListUsageRequest(domain="elsewhere"))).usages

    assert list(everything) == [
        pb.ProjectUsage(project="a", domain="d", datasets=1),
        pb.ProjectUsage(
            project="flytesnacks",
            domain="development",
            datasets=1,
            artifacts=2,
            untagged_artifacts=1,
            value_bytes=size,
        ),
    ]
    assert list(one) == [everything[1]]
    assert list(none) == []


async def test_what_operators_must_say(catalog: Catalog) -> None:
    admin = catalog.admin
    async with refused(INVALID, "missing dataset"):
        await admin.DeleteArtifact(pb.DeleteArtifactRequest(artifact_id="a"))
    async with refused(INVALID, "missing one of artifactID/tagName"):
        await admin.DeleteArtifact(pb.DeleteArtifactRequest(dataset=KEY))
    async with refused(INVALID, "missing tagName"):
        await admin.EvictTag(pb.EvictTagRequest(dataset=KEY))
    async with refused(INVALID, "missing dataset"):
        await admin.DeleteDataset(pb.DeleteDatasetRequest())
    async with refused(INVALID, "missing project"):
        await admin.PruneArtifacts(pb.PruneArtifactsRequest(only_untagged=True))
    async with refused(INVALID, "missing older_than, or only_untagged"):
        await admin.PruneArtifacts(pb.PruneArtifactsRequest(project="p"))


async def test_an_entry_over_the_configured_age_is_a_miss_and_its_tag_can_be_pointed_elsewhere(
    forgetful: Catalog,
) -> None:
    await create_dataset(forgetful)
    await put(forgetful, "tag", "old", o0=LARGE)
    forgetful.clock.advance(3601)

    async with refused(MISSING, "older than this catalog allows"):
        await get(forgetful, "tag")
    await put(forgetful, "tag", "new", o0=LARGE.upper())

    assert values_of(await get(forgetful, "tag")) == {"o0": LARGE.upper()}
    async with refused(MISSING):
        await forgetful.data.GetArtifact(datacatalog_pb2.GetArtifactRequest(dataset=DATASET, artifact_id="old"))
    assert await forgetful.memo.Lookup(pb.LookupRequest(entries=[pb.LookupEntry(dataset_id=KEY, tag_name="tag")]))


async def test_an_entry_that_lost_a_value_is_a_miss_and_its_tag_can_be_pointed_elsewhere(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "tag", "old", o0=LARGE)
    await add_tag(catalog, "other", "old")
    for path in catalog.files():
        path.unlink()

    async with refused(MISSING, "gone from the object store"):
        await get(catalog, "tag")
    listed = await catalog.data.ListArtifacts(datacatalog_pb2.ListArtifactsRequest(dataset=DATASET))
    assert [(each.id, len(each.data)) for each in listed.artifacts] == [("old", 0)]

    await put(catalog, "tag", "new", o0=1)

    assert values_of(await get(catalog, "tag")) == {"o0": 1}
    listed = await catalog.data.ListArtifacts(datacatalog_pb2.ListArtifactsRequest(dataset=DATASET))
    assert [each.id for each in listed.artifacts] == ["new", "old"], "another tag still points to the old one"


async def test_tidying_up_deletes_what_has_served_its_time(forgetful: Catalog) -> None:
    await create_dataset(forgetful)
    await put(forgetful, "old", "a", o0=LARGE)
    forgetful.clock.advance(3000)
    await put(forgetful, "new", "b", o0=LARGE)
    forgetful.clock.advance(1000)

    await forgetful.app.upkeep.tidy()

    listed = await forgetful.data.ListArtifacts(datacatalog_pb2.ListArtifactsRequest(dataset=DATASET))
    assert [each.id for each in listed.artifacts] == ["b"]
    assert len(forgetful.files()) == 1


async def test_values_that_no_row_came_to_name_are_swept(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "tag", "a", o0=LARGE)
    kept = catalog.files()
    taken = artifact("b", o0=LARGE)
    request = datacatalog_pb2.CreateArtifactRequest(artifact=taken)
    outcomes = await asyncio.gather(*(create(catalog, request) for _ in range(8)), return_exceptions=True)
    codes = [each.code() for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert codes == [EXISTS] * 7
    catalog.clock.advance(3601)

    await catalog.app.upkeep.tidy()

    assert len(catalog.files()) == 2
    assert set(kept) < set(catalog.files())


async def create(catalog: Catalog, request: datacatalog_pb2.CreateArtifactRequest) -> None:
    await catalog.data.CreateArtifact(request)
