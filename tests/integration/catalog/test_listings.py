"""Filters and pages through the official stubs."""

from __future__ import annotations

import pytest
from flyteidl.datacatalog import datacatalog_pb2 as pb

from tests.integration.catalog.harness import (
    DATASET,
    INVALID,
    MISSING,
    Catalog,
    add_tag,
    artifact,
    create_dataset,
    refused,
    values_of,
)

OTHER = pb.DatasetID(project="p", domain="d", name="n", version="v")


def by_tag(name: str) -> pb.SinglePropertyFilter:
    return pb.SinglePropertyFilter(tag_filter=pb.TagPropertyFilter(tag_name=name))


def by_partition(key: str, value: str) -> pb.SinglePropertyFilter:
    pair = pb.KeyValuePair(key=key, value=value)
    return pb.SinglePropertyFilter(partition_filter=pb.PartitionPropertyFilter(key_val=pair))


def by_artifact(artifact_id: str) -> pb.SinglePropertyFilter:
    return pb.SinglePropertyFilter(artifact_filter=pb.ArtifactPropertyFilter(artifact_id=artifact_id))


def by_dataset(**wanted: str) -> pb.SinglePropertyFilter:
    return pb.SinglePropertyFilter(dataset_filter=pb.DatasetPropertyFilter(**wanted))


async def list_artifacts(
    catalog: Catalog,
    *filters: pb.SinglePropertyFilter,
    dataset: pb.DatasetID | None = DATASET,
    page: pb.PaginationOptions | None = None,
) -> pb.ListArtifactsResponse:
    expression = pb.FilterExpression(filters=filters) if filters else None
    request = pb.ListArtifactsRequest(dataset=dataset, filter=expression, pagination=page)
    return await catalog.data.ListArtifacts(request)


async def list_datasets(
    catalog: Catalog, *filters: pb.SinglePropertyFilter, page: pb.PaginationOptions | None = None
) -> pb.ListDatasetsResponse:
    request = pb.ListDatasetsRequest(filter=pb.FilterExpression(filters=filters), pagination=page)
    return await catalog.data.ListDatasets(request)


async def fill(catalog: Catalog, dataset: pb.DatasetID = DATASET, count: int = 5) -> None:
    """Artifacts a0, a1, … with partitions day (0, 1, 0, …) and region (eu), tagged t0, t1, …"""
    await create_dataset(catalog, "day", "region", dataset=dataset)
    for number in range(count):
        new = artifact(f"a{number}", dataset, o0=number, large="x" * 200)
        new.partitions.add(key="day", value=str(number % 2))
        new.partitions.add(key="region", value="eu")
        await catalog.data.CreateArtifact(pb.CreateArtifactRequest(artifact=new))
        await add_tag(catalog, f"t{number}", f"a{number}", dataset)


def ids(answer: pb.ListArtifactsResponse) -> list[str]:
    return [each.id for each in answer.artifacts]


async def test_artifacts_are_listed_in_full_newest_first(catalog: Catalog) -> None:
    await fill(catalog, count=3)

    answer = await list_artifacts(catalog)

    assert ids(answer) == ["a2", "a1", "a0"]
    assert values_of(answer.artifacts[0]) == {"o0": 2, "large": "x" * 200}
    assert [tag.name for tag in answer.artifacts[0].tags] == ["t2"]
    assert [each.value for each in answer.artifacts[1].partitions] == ["1", "eu"]
    assert answer.next_token == "3"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([by_tag("t1")], ["a1"]),
        ([by_tag("t1"), by_tag("t2")], []),
        ([by_tag("nothing")], []),
        ([by_artifact("a3")], ["a3"]),
        ([by_partition("day", "0")], ["a4", "a2", "a0"]),
        ([by_partition("day", "0"), by_partition("region", "eu")], ["a4", "a2", "a0"]),
        ([by_partition("day", "0"), by_partition("day", "1")], []),
        ([by_partition("day", "0"), by_partition("region", "us")], []),
        ([by_partition("day", "0"), by_tag("t2"), by_artifact("a2")], ["a2"]),
    ],
)
async def test_filters_are_combined(
    catalog: Catalog, filters: list[pb.SinglePropertyFilter], expected: list[str]
) -> None:
    await fill(catalog)
    await fill(catalog, OTHER)

    answer = await list_artifacts(catalog, *filters)

    assert ids(answer) == expected
    assert {each.dataset.project for each in answer.artifacts} <= {DATASET.project}


async def test_pages_follow_each_other_and_both_ways_to_loop_end(catalog: Catalog) -> None:
    await fill(catalog)
    seen: list[str] = []
    token = ""
    while True:
        answer = await list_artifacts(catalog, page=pb.PaginationOptions(limit=2, token=token, sortOrder=1))
        seen += ids(answer)
        token = answer.next_token
        if not answer.artifacts:
            break

    assert seen == ["a0", "a1", "a2", "a3", "a4"]
    assert token == ""


async def test_a_page_without_a_limit_has_the_default_size(catalog: Catalog) -> None:
    for number in range(55):
        await create_dataset(catalog, dataset=pb.DatasetID(project="p", domain="d", name=f"n{number:02}", version="v"))

    assert len((await list_datasets(catalog)).datasets) == 50
    zero = await list_datasets(catalog, page=pb.PaginationOptions(limit=0))
    assert len(zero.datasets) == 50
    assert zero.next_token == "50"
    rest = await list_datasets(catalog, page=pb.PaginationOptions(limit=2**32 - 1, token=" 50 "))
    assert [each.id.name for each in rest.datasets] == ["n04", "n03", "n02", "n01", "n00"]


async def test_a_page_ends_before_the_answer_grows_too_large(catalog: Catalog) -> None:
    await create_dataset(catalog)
    for number in range(5):
        new = artifact(f"a{number}", large="x" * 1_000_000)
        await catalog.data.CreateArtifact(pb.CreateArtifactRequest(artifact=new))

    first = await list_artifacts(catalog)
    second = await list_artifacts(catalog, page=pb.PaginationOptions(token=first.next_token))

    assert ids(first) + ids(second) == ["a4", "a3", "a2", "a1", "a0"]
    assert len(first.artifacts) == 3


@pytest.mark.parametrize("token", ["x", "-1", "1.5", str(2**32), "٣", "1" * 30])
async def test_a_token_must_be_a_number(catalog: Catalog, token: str) -> None:
    async with refused(INVALID, "Invalid token value"):
        await list_datasets(catalog, page=pb.PaginationOptions(token=token))


async def test_sorting_by_anything_else_is_refused(catalog: Catalog) -> None:
    await create_dataset(catalog)
    for wrong in (pb.PaginationOptions(sortKey=7), pb.PaginationOptions(sortOrder=9)):
        async with refused(INVALID, "invalid value for sort"):
            await list_datasets(catalog, page=wrong)
        async with refused(INVALID, "invalid value for sort"):
            await list_artifacts(catalog, page=wrong)


async def test_datasets_are_filtered_by_their_names(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await create_dataset(catalog, dataset=OTHER)

    async def found(*filters: pb.SinglePropertyFilter) -> list[str]:
        return [each.id.project for each in (await list_datasets(catalog, *filters)).datasets]

    assert await found() == ["p", "flytesnacks"]
    assert await found(by_dataset(project="p")) == ["p"]
    assert await found(by_dataset(name=DATASET.name), by_dataset(domain="development")) == ["flytesnacks"]
    assert await found(by_dataset(project="p"), by_dataset(version="other")) == []
    assert await found(by_dataset(org="acme")) == ["p", "flytesnacks"]


async def test_filters_that_make_no_sense_are_refused(catalog: Catalog) -> None:
    await create_dataset(catalog)
    for kind, wrong in (("Tag", by_tag("t")), ("Partition", by_partition("k", "v")), ("Artifact", by_artifact("a"))):
        async with refused(INVALID, f"Dataset cannot be filtered by {kind} properties"):
            await list_datasets(catalog, wrong)
    async with refused(INVALID, "Artifact cannot be filtered by Dataset properties"):
        await list_artifacts(catalog, by_dataset(project="p"))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (by_tag(""), "missing TagName"),
        (by_partition("", "v"), "missing PartitionKey"),
        (by_partition("k", ""), "missing PartitionValue"),
        (by_artifact(""), "missing artifactID"),
        (pb.SinglePropertyFilter(), "missing property_filter"),
        (pb.SinglePropertyFilter(tag_filter=pb.TagPropertyFilter()), "missing TagName"),
        (
            pb.SinglePropertyFilter(tag_filter=pb.TagPropertyFilter(tag_name="t"), operator=3),
            "invalid value for operator",
        ),
    ],
)
async def test_filters_must_be_complete(catalog: Catalog, wrong: pb.SinglePropertyFilter, reason: str) -> None:
    await create_dataset(catalog)

    async with refused(INVALID, reason):
        await list_artifacts(catalog, wrong)


async def test_dataset_filters_must_be_complete(catalog: Catalog) -> None:
    for name in ("project", "name", "domain", "version"):
        async with refused(INVALID, f"missing {name}"):
            await list_datasets(catalog, by_dataset(**{name: ""}))
    async with refused(INVALID, "missing dataset property"):
        await list_datasets(catalog, pb.SinglePropertyFilter(dataset_filter=pb.DatasetPropertyFilter()))


async def test_a_listing_needs_a_dataset_that_exists(catalog: Catalog) -> None:
    async with refused(INVALID, "missing dataset"):
        await list_artifacts(catalog, dataset=None)
    async with refused(MISSING, "missing entity of type Dataset"):
        await list_artifacts(catalog)
