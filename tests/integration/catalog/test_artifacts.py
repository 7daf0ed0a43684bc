"""Artifacts and tags through the official stubs."""

from __future__ import annotations

import asyncio

import pytest
from flyteidl.datacatalog import datacatalog_pb2 as pb

from tests.integration.catalog.harness import (
    DATASET,
    EXISTS,
    INVALID,
    MISSING,
    Catalog,
    add_tag,
    artifact,
    create_dataset,
    data,
    get,
    metadata,
    put,
    refused,
    values_of,
)

OTHER = pb.DatasetID(project="p", domain="d", name="n", version="v")
LARGE = "large " * 100


async def create(catalog: Catalog, new: pb.Artifact) -> None:
    await catalog.data.CreateArtifact(pb.CreateArtifactRequest(artifact=new))


async def update(catalog: Catalog, tag: str, facts: pb.Metadata | None = None, **values: object) -> str:
    request = pb.UpdateArtifactRequest(dataset=DATASET, tag_name=tag, data=data(**values), metadata=facts)
    return str((await catalog.data.UpdateArtifact(request)).artifact_id)


async def test_an_artifact_comes_back_by_its_tag_and_by_its_id(catalog: Catalog) -> None:
    await create_dataset(catalog)
    new = artifact("a1", small=5, large=LARGE)
    new.metadata.CopyFrom(metadata(exec_project="p"))
    new.tags.add(name="ignored")
    new.created_at.FromSeconds(1)
    await create(catalog, new)
    await add_tag(catalog, "first", "a1")
    await add_tag(catalog, "second", "a1")

    found = await get(catalog, "second")
    by_id = await catalog.data.GetArtifact(pb.GetArtifactRequest(dataset=DATASET, artifact_id="a1"))

    assert values_of(found) == {"small": 5, "large": LARGE}
    assert found.id == "a1"
    assert found.dataset.UUID
    assert dict(found.metadata.key_map) == {"exec-project": "p"}
    assert found.created_at.seconds == catalog.clock.now // 10**9
    assert [tag.name for tag in found.tags] == ["second", "first"]
    assert {(tag.artifact_id, tag.dataset.UUID) for tag in found.tags} == {("a1", found.dataset.UUID)}
    assert [tag.name for tag in by_id.artifact.tags] == ["first", "second"]
    assert values_of(by_id.artifact) == values_of(found)


async def test_small_values_are_kept_in_the_row_and_large_ones_in_the_object_store(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await create(catalog, artifact("small", o0="x" * 50))
    assert catalog.files() == []

    await create(catalog, artifact("large", o0=LARGE))
    assert len(catalog.files()) == 1


async def test_a_row_takes_only_so_many_small_values(catalog: Catalog) -> None:
    await create_dataset(catalog)
    values = {f"o{index}": "x" * 80 for index in range(20)}
    await create(catalog, artifact("many", **values))
    await add_tag(catalog, "tag", "many")

    assert 5 < len(catalog.files()) < 15
    assert values_of(await get(catalog, "tag")) == values


async def test_without_a_dataset_the_newest_artifact_of_an_id_is_found(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await create_dataset(catalog, dataset=OTHER)
    await create(catalog, artifact("same", o0=1))
    await create(catalog, artifact("same", OTHER, o0=2))

    found = await catalog.data.GetArtifact(pb.GetArtifactRequest(artifact_id="same"))

    assert values_of(found.artifact) == {"o0": 2}
    assert found.artifact.dataset.project == "p"


async def test_creating_twice_is_told_and_the_first_values_stay(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "tag", "a1", o0=LARGE)
    before = catalog.files()

    for values in ({"o0": 2}, {"o0": LARGE.upper()}):
        async with refused(EXISTS, "value with matching already exists"):
            await create(catalog, artifact("a1", **values))

    assert values_of(await get(catalog, "tag")) == {"o0": LARGE}
    assert catalog.files() == before


async def test_what_an_artifact_must_have(catalog: Catalog) -> None:
    async with refused(INVALID, "missing artifact"):
        await catalog.data.CreateArtifact(pb.CreateArtifactRequest())
    async with refused(INVALID, "missing dataset"):
        await create(catalog, pb.Artifact(id="a", data=data(o0=1)))
    async with refused(INVALID, "missing version"):
        await create(catalog, artifact("a", pb.DatasetID(project="p", domain="d", name="n")))
    async with refused(INVALID, "missing artifactID"):
        await create(catalog, artifact(""))
    async with refused(INVALID, "missing artifactData"):
        await create(catalog, pb.Artifact(id="a", dataset=DATASET))
    async with refused(MISSING, "missing entity of type Dataset"):
        await create(catalog, artifact("a"))


async def test_two_values_of_one_name_are_refused(catalog: Catalog) -> None:
    await create_dataset(catalog)
    twice = pb.Artifact(id="a", dataset=DATASET, data=[*data(o0=1), *data(o0=2)])

    async with refused(EXISTS, "o0"):
        await create(catalog, twice)
    async with refused(MISSING):
        await catalog.data.GetArtifact(pb.GetArtifactRequest(dataset=DATASET, artifact_id="a"))


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([("region", "eu")], "Partition key mismatch"),
        ([("region", "eu"), ("day", "1"), ("hour", "2")], "Partition key mismatch"),
        ([("region", "eu"), ("hour", "2")], "does not match dataset partition keys"),
        ([("region", "eu"), ("", "2")], "missing partitionKey[1], Artifact partition assignment does not match"),
        ([("region", "eu"), ("region", "us")], "does not match dataset partition keys"),
    ],
)
async def test_partitions_must_match_the_dataset(catalog: Catalog, pairs: list[tuple[str, str]], reason: str) -> None:
    await create_dataset(catalog, "region", "day")
    new = artifact("a")
    for key, value in pairs:
        new.partitions.add(key=key, value=value)

    async with refused(INVALID, reason):
        await create(catalog, new)


async def test_partitions_come_back_in_order_and_are_those_of_this_dataset(catalog: Catalog) -> None:
    await create_dataset(catalog, "region", "day")
    await create_dataset(catalog, "region", "day", dataset=OTHER)
    for dataset, region in ((DATASET, "eu"), (OTHER, "us")):
        new = artifact("same", dataset)
        new.partitions.add(key="region", value=region)
        new.partitions.add(key="day", value="")
        await create(catalog, new)

    found = await catalog.data.GetArtifact(pb.GetArtifactRequest(dataset=DATASET, artifact_id="same"))

    assert [(each.key, each.value) for each in found.artifact.partitions] == [("region", "eu"), ("day", "")]


async def test_reading_needs_a_complete_handle(catalog: Catalog) -> None:
    async def read(**handle: object) -> None:
        await catalog.data.GetArtifact(pb.GetArtifactRequest(**handle))

    async with refused(INVALID, "missing one of artifactID/tagName"):
        await read(dataset=DATASET)
    async with refused(INVALID, "missing artifactID"):
        await read(dataset=DATASET, artifact_id="")
    async with refused(INVALID, "missing tagName"):
        await read(dataset=DATASET, tag_name="")
    async with refused(INVALID, "missing dataset"):
        await read(tag_name="t")
    async with refused(INVALID, "missing domain"):
        await read(dataset=pb.DatasetID(project="p"), artifact_id="a")
    async with refused(MISSING, "missing entity of type Tag", 'name: "t"'):
        await read(dataset=DATASET, tag_name="t")
    async with refused(MISSING, "missing entity of type Artifact", 'id: "a"'):
        await read(dataset=DATASET, artifact_id="a")
    async with refused(MISSING, "missing entity of type Artifact"):
        await read(artifact_id="a")


async def test_a_tag_is_never_pointed_elsewhere(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "tag", "first", o0=1)
    await create(catalog, artifact("second", o0=2))

    for target in ("first", "second"):
        async with refused(EXISTS, "value with matching already exists"):
            await add_tag(catalog, "tag", target)

    assert values_of(await get(catalog, "tag")) == {"o0": 1}


async def test_what_a_tag_must_have(catalog: Catalog) -> None:
    async with refused(INVALID, "missing tag"):
        await catalog.data.AddTag(pb.AddTagRequest())
    async with refused(INVALID, "missing dataset"):
        await catalog.data.AddTag(pb.AddTagRequest(tag=pb.Tag(name="t", artifact_id="a")))
    async with refused(INVALID, "missing tagName"):
        await add_tag(catalog, "", "a")
    async with refused(INVALID, "missing artifactID"):
        await add_tag(catalog, "t", "")
    async with refused(MISSING, "missing entity of type Dataset"):
        await add_tag(catalog, "t", "a")
    await create_dataset(catalog)
    async with refused(MISSING, "missing entity of type Artifact"):
        await add_tag(catalog, "t", "a")


async def test_an_artifact_of_another_dataset_cannot_be_tagged(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await create_dataset(catalog, dataset=OTHER)
    await create(catalog, artifact("a"))

    async with refused(MISSING, "missing entity of type Artifact"):
        await add_tag(catalog, "t", "a", OTHER)


async def test_an_update_replaces_values_and_metadata_and_nothing_else(catalog: Catalog) -> None:
    await create_dataset(catalog, "region")
    new = artifact("a1", kept=LARGE, removed=LARGE, small=1)
    new.metadata.CopyFrom(metadata(exec_project="p", exec_node="n0"))
    new.partitions.add(key="region", value="eu")
    await create(catalog, new)
    await add_tag(catalog, "tag", "a1")
    before, files_before = await get(catalog, "tag"), catalog.files()
    catalog.clock.advance(60)

    assert await update(catalog, "tag", metadata(exec_node="n1"), kept=LARGE.upper(), added=2) == "a1"

    after = await get(catalog, "tag")
    assert values_of(after) == {"kept": LARGE.upper(), "added": 2}
    assert dict(after.metadata.key_map) == {"exec-node": "n1"}
    assert after.created_at == before.created_at
    assert (after.tags, after.partitions, after.id) == (before.tags, before.partitions, before.id)
    assert len(catalog.files()) == 1
    assert not set(catalog.files()) & set(files_before), "values are never overwritten in place"


async def test_an_update_without_metadata_empties_it(catalog: Catalog) -> None:
    await create_dataset(catalog)
    new = artifact("a1")
    new.metadata.CopyFrom(metadata(exec_project="p"))
    await create(catalog, new)

    request = pb.UpdateArtifactRequest(dataset=DATASET, artifact_id="a1", data=data(o0=2))
    await catalog.data.UpdateArtifact(request)

    found = (await catalog.data.GetArtifact(pb.GetArtifactRequest(dataset=DATASET, artifact_id="a1"))).artifact
    assert found.HasField("metadata")
    assert not found.metadata.key_map
    assert values_of(found) == {"o0": 2}


async def test_what_an_update_must_have(catalog: Catalog) -> None:
    async def send(**fields: object) -> None:
        await catalog.data.UpdateArtifact(pb.UpdateArtifactRequest(**fields))

    async with refused(INVALID, "missing one of artifactID/tagName"):
        await send(dataset=DATASET, data=data(o0=1))
    async with refused(INVALID, "missing tagName"):
        await send(dataset=DATASET, tag_name="", data=data(o0=1))
    async with refused(INVALID, "missing artifactData"):
        await send(dataset=DATASET, tag_name="t")
    async with refused(INVALID, "artifactData[1].name", "must be unique"):
        await send(dataset=DATASET, tag_name="t", data=[*data(o0=1), *data(o0=2)])
    async with refused(MISSING, "missing entity of type Tag"):
        await send(dataset=DATASET, tag_name="t", data=data(o0=1))
    async with refused(MISSING, "missing entity of type Artifact"):
        await send(dataset=DATASET, artifact_id="a", data=data(o0=1))


async def test_readers_see_one_state_or_the_other_while_updates_race(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "tag", "a1", left=LARGE + "0", right=LARGE + "0")

    async def write(number: int) -> None:
        text = LARGE + str(number)
        await update(catalog, "tag", metadata(exec_attempt=str(number)), left=text, right=text)

    async def read() -> pb.Artifact:
        return await get(catalog, "tag")

    answers = await asyncio.gather(*(each for number in range(1, 9) for each in (write(number), read(), read())))

    for found in filter(None, answers):
        values = values_of(found)
        assert values["left"] == values["right"]
        number = str(values["left"]).removeprefix(LARGE)
        assert found.metadata.key_map.get("exec-attempt", "0") == number
    assert len(catalog.files()) == 2


@pytest.mark.parametrize("name", ["a/../../b", "..", "%2e%2e", "q?x#y", "ünï cødé", "x" * 1000])
async def test_odd_names_neither_leave_the_folder_nor_collide(catalog: Catalog, name: str) -> None:
    odd = pb.DatasetID(project=name, domain=name, name=name, version=name)
    await create_dataset(catalog, dataset=odd)
    new = pb.Artifact(id=name, dataset=odd)
    new.data.extend(data(**{name: LARGE, name.upper() + "!": LARGE + "!"}))
    await create(catalog, new)

    found = (await catalog.data.GetArtifact(pb.GetArtifactRequest(dataset=odd, artifact_id=name))).artifact

    assert values_of(found) == {name: LARGE, name.upper() + "!": LARGE + "!"}
    assert len(catalog.files()) == 2
