"""Datasets through the official stubs."""

from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest
from flyteidl.datacatalog import datacatalog_pb2 as pb

from tests.integration.catalog.harness import DATASET, EXISTS, INVALID, MISSING, Catalog, create_dataset, refused


async def get_dataset(catalog: Catalog, dataset: pb.DatasetID = DATASET) -> pb.Dataset:
    answer = await catalog.data.GetDataset(pb.GetDatasetRequest(dataset=dataset))
    return answer.dataset


async def test_a_dataset_comes_back_with_a_uuid_its_metadata_and_its_keys_in_order(catalog: Catalog) -> None:
    await create_dataset(catalog, "region", "day", "")

    found = await get_dataset(catalog)

    assert str(uuid.UUID(found.id.UUID)) == found.id.UUID
    assert (found.id.project, found.id.domain, found.id.name, found.id.version) == (
        DATASET.project,
        DATASET.domain,
        DATASET.name,
        DATASET.version,
    )
    assert dict(found.metadata.key_map) == {"task-version": "v1"}
    assert list(found.partitionKeys) == ["region", "day", ""]


async def test_metadata_that_is_not_given_comes_back_empty_but_present(catalog: Catalog) -> None:
    await catalog.data.CreateDataset(pb.CreateDatasetRequest(dataset=pb.Dataset(id=DATASET)))

    found = await get_dataset(catalog)

    assert found.HasField("metadata")
    assert not found.metadata.key_map


async def test_creating_twice_is_told_and_changes_nothing(catalog: Catalog) -> None:
    await create_dataset(catalog)
    before = await get_dataset(catalog)

    async with refused(EXISTS, "value with matching already exists"):
        await create_dataset(catalog)
    async with refused(EXISTS):
        await catalog.data.CreateDataset(pb.CreateDatasetRequest(dataset=pb.Dataset(id=DATASET)))

    assert await get_dataset(catalog) == before


async def test_a_given_uuid_is_kept_and_unique(catalog: Catalog) -> None:
    given = str(uuid.uuid4())
    first, second = pb.DatasetID(), pb.DatasetID()
    for copy in (first, second):
        copy.CopyFrom(DATASET)
        copy.UUID = given.upper()
    second.version = "other"
    await catalog.data.CreateDataset(pb.CreateDatasetRequest(dataset=pb.Dataset(id=first)))

    async with refused(EXISTS):
        await catalog.data.CreateDataset(pb.CreateDatasetRequest(dataset=pb.Dataset(id=second)))

    assert given == (await get_dataset(catalog)).id.UUID
    assert given == (await get_dataset(catalog, first)).id.UUID


async def test_a_look_up_with_another_uuid_finds_nothing(catalog: Catalog) -> None:
    await create_dataset(catalog)
    wrong = pb.DatasetID()
    wrong.CopyFrom(DATASET)
    wrong.UUID = str(uuid.uuid4())

    async with refused(MISSING, "missing entity of type Dataset"):
        await get_dataset(catalog, wrong)


async def test_the_org_is_ignored(catalog: Catalog) -> None:
    with_org = pb.DatasetID()
    with_org.CopyFrom(DATASET)
    with_org.org = "acme"
    await create_dataset(catalog, dataset=with_org)

    assert (await get_dataset(catalog)).id.org == ""


async def test_an_unknown_dataset_is_not_found(catalog: Catalog) -> None:
    async with refused(MISSING, "missing entity of type Dataset with identifier", 'project: "flytesnacks"'):
        await get_dataset(catalog)


@pytest.mark.parametrize("field", ["project", "domain", "name", "version"])
async def test_every_part_of_a_dataset_id_is_required(catalog: Catalog, field: str) -> None:
    partial = pb.DatasetID()
    partial.CopyFrom(DATASET)
    partial.ClearField(field)

    async with refused(INVALID, f"missing {field}"):
        await get_dataset(catalog, partial)
    async with refused(INVALID, f"missing {field}"):
        await create_dataset(catalog, dataset=partial)


async def test_the_first_missing_part_is_reported(catalog: Catalog) -> None:
    async with refused(INVALID, "missing dataset"):
        await catalog.data.GetDataset(pb.GetDatasetRequest())
    async with refused(INVALID, "missing dataset"):
        await catalog.data.CreateDataset(pb.CreateDatasetRequest())
    async with refused(INVALID, "missing domain"):
        await get_dataset(catalog, pb.DatasetID(project="p"))


async def test_all_that_is_wrong_with_a_new_dataset_is_reported_together(catalog: Catalog) -> None:
    wrong = pb.Dataset(id=pb.DatasetID(project="p", domain="d", version="v"), partitionKeys=["a", "b", "a"])

    async with refused(INVALID, "missing name, invalid value for partitionKeys: 'a': must be unique"):
        await catalog.data.CreateDataset(pb.CreateDatasetRequest(dataset=wrong))


async def test_a_uuid_must_be_one(catalog: Catalog) -> None:
    wrong = pb.DatasetID(project="p", domain="d", name="n", version="v", UUID="not-a-uuid")

    async with refused(INVALID, "invalid value for UUID", "not-a-uuid"):
        await create_dataset(catalog, dataset=wrong)


@pytest.mark.parametrize("name", ["with\0nul", "x" * 1025, "é" * 513])
async def test_names_that_a_database_cannot_hold_are_refused(catalog: Catalog, name: str) -> None:
    wrong = pb.DatasetID(project="p", domain="d", name=name, version="v")

    async with refused(INVALID, "invalid value for name"):
        await create_dataset(catalog, dataset=wrong)


@pytest.mark.parametrize("name", ["x" * 1024, "a/b?c#d%20e ü\n'\"", "../..", "."])
async def test_any_other_name_will_do(catalog: Catalog, name: str) -> None:
    odd = pb.DatasetID(project=name, domain=name, name=name, version=name)
    await create_dataset(catalog, dataset=odd)

    assert (await get_dataset(catalog, odd)).id.name == name


async def test_bytes_that_are_no_message_are_the_callers_error(catalog: Catalog) -> None:
    call: Any = catalog.channel.unary_unary("/datacatalog.DataCatalog/GetDataset")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff\xff")

    assert caught.value.code() == INVALID
