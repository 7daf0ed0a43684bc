"""MemoService: entries in batches."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from elevon_idl.catalog import v1 as pb
from flyteidl.datacatalog import datacatalog_pb2
from google.protobuf.duration_pb2 import Duration

from tests.integration.catalog.harness import (
    DATASET,
    EXISTS,
    INVALID,
    Catalog,
    VirtualClock,
    artifact,
    create_dataset,
    get,
    put,
    refused,
    serving,
    values_of,
)

KEY = pb.DatasetID.FromString(DATASET.SerializeToString())
Result, Stored = pb.LookupResult, pb.StoreResult
LARGE = "large " * 100


def entry(tag: str, artifact_id: str = "", *, dataset: pb.DatasetID = KEY, **values: object) -> pb.StoreEntry:
    """An entry with these values; `overwrite` and `replace_after` (seconds) are options."""
    overwrite = bool(values.pop("overwrite", False))
    replace_after = values.pop("replace_after", None)
    stored = pb.Artifact.FromString(artifact(artifact_id, **values).SerializeToString())
    made = pb.StoreEntry(
        dataset=pb.Dataset(id=dataset, metadata=pb.Metadata(key_map={"task-version": "v1"})),
        artifact=stored,
        tag_name=tag,
        overwrite=overwrite,
    )
    if isinstance(replace_after, int):
        made.replace_after.FromSeconds(replace_after)
    return made


async def store(catalog: Catalog, *entries: pb.StoreEntry) -> list[pb.StoreResult]:
    return list((await catalog.memo.Store(pb.StoreRequest(entries=entries))).results)


async def lookup(catalog: Catalog, *tags: str, max_age: int | None = None) -> list[pb.LookupResult]:
    request = pb.LookupRequest(entries=[pb.LookupEntry(dataset_id=KEY, tag_name=tag) for tag in tags])
    if max_age is not None:
        request.max_age.FromSeconds(max_age)
    return list((await catalog.memo.Lookup(request)).results)


def found(result: pb.LookupResult) -> dict[str, object]:
    return values_of(datacatalog_pb2.Artifact.FromString(result.artifact.SerializeToString()))


async def test_what_is_stored_is_found_here_and_by_existing_clients(catalog: Catalog) -> None:
    results = await store(catalog, entry("t1", "a1", o0=1, o1=LARGE), entry("t2", o0=2))

    one, two, none = await lookup(catalog, "t1", "t2", "t3")
    assert [result.outcome for result in results] == [Stored.OUTCOME_CREATED] * 2
    assert results[0].artifact_id == "a1"
    assert results[1].artifact_id == two.artifact.id != ""
    assert found(one) == {"o0": 1, "o1": LARGE}
    assert [tag.name for tag in one.artifact.tags] == ["t1"]
    assert one.dataset_metadata.key_map["task-version"] == "v1"
    assert one.written_at == one.artifact.created_at
    assert (none.absence, none.HasField("artifact")) == (Result.ABSENCE_UNKNOWN, False)
    assert values_of(await get(catalog, "t2")) == {"o0": 2}


async def test_what_existing_clients_store_is_found(catalog: Catalog) -> None:
    await create_dataset(catalog)
    await put(catalog, "t", "a", o0=LARGE)

    (result,) = await lookup(catalog, "t")

    assert found(result) == {"o0": LARGE}


async def test_an_existing_entry_is_kept(catalog: Catalog) -> None:
    await store(catalog, entry("t", "a", o0="first" * 100))
    before = catalog.files()

    results = await store(catalog, entry("t", "b", o0="second" * 100))

    assert [(each.outcome, each.artifact_id) for each in results] == [(Stored.OUTCOME_KEPT, "a")]
    assert found((await lookup(catalog, "t"))[0]) == {"o0": "first" * 100}
    assert catalog.files() == before


async def test_repeating_a_call_changes_nothing(catalog: Catalog) -> None:
    same = entry("t", "a", o0=LARGE)
    await store(catalog, same)

    assert [each.outcome for each in await store(catalog, same)] == [Stored.OUTCOME_KEPT]
    assert found((await lookup(catalog, "t"))[0]) == {"o0": LARGE}


async def test_overwriting_keeps_the_id_and_renews_the_rest(catalog: Catalog) -> None:
    await store(catalog, entry("t", "a", o0=LARGE))
    catalog.clock.advance(100)

    results = await store(catalog, entry("t", "b", o0=LARGE.upper(), overwrite=True))

    (result,) = await lookup(catalog, "t")
    assert [(each.outcome, each.artifact_id) for each in results] == [(Stored.OUTCOME_REPLACED, "a")]
    assert result.artifact.id == "a"
    assert found(result) == {"o0": LARGE.upper()}
    assert result.artifact.created_at.seconds == catalog.clock.now // 10**9
    assert len(catalog.files()) == 1


async def test_an_entry_over_the_age_is_a_miss_and_can_be_replaced(catalog: Catalog) -> None:
    await store(catalog, entry("t", "a", o0=1))
    catalog.clock.advance(100)

    assert (await lookup(catalog, "t", max_age=99))[0].absence == Result.ABSENCE_EXPIRED
    assert found((await lookup(catalog, "t", max_age=101))[0]) == {"o0": 1}
    assert (await store(catalog, entry("t", "b", o0=2, replace_after=101)))[0].outcome == Stored.OUTCOME_KEPT

    assert (await store(catalog, entry("t", "b", o0=2, replace_after=99)))[0].outcome == Stored.OUTCOME_REPLACED
    assert found((await lookup(catalog, "t", max_age=99))[0]) == {"o0": 2}


async def test_an_updated_entry_is_young_again(catalog: Catalog) -> None:
    await store(catalog, entry("t", "a", o0=1))
    catalog.clock.advance(100)
    data = artifact("a", o0=2).data
    await catalog.data.UpdateArtifact(datacatalog_pb2.UpdateArtifactRequest(dataset=DATASET, tag_name="t", data=data))

    (result,) = await lookup(catalog, "t", max_age=50)

    assert found(result) == {"o0": 2}
    assert result.written_at.seconds - result.artifact.created_at.seconds == 100


async def test_an_entry_that_lost_a_value_is_a_miss_and_is_replaced(catalog: Catalog) -> None:
    await store(catalog, entry("t", "a", o0=LARGE))
    for path in catalog.files():
        path.unlink()

    assert (await lookup(catalog, "t"))[0].absence == Result.ABSENCE_LOST
    assert (await store(catalog, entry("t", "b", o0=LARGE)))[0].outcome == Stored.OUTCOME_REPLACED
    assert found((await lookup(catalog, "t"))[0]) == {"o0": LARGE}


async def test_a_file_that_was_cut_short_counts_as_lost(catalog: Catalog) -> None:
    await store(catalog, entry("t", "a", o0=LARGE))
    catalog.files()[0].write_bytes(b"")

    assert (await lookup(catalog, "t"))[0].absence == Result.ABSENCE_LOST


async def test_a_thousand_entries_in_a_call(catalog: Catalog) -> None:
    tags = [f"t{number}" for number in range(1000)]

    stored = await store(catalog, *(entry(tag, o0=number) for number, tag in enumerate(tags)))
    answers = await lookup(catalog, *tags)

    assert {each.outcome for each in stored} == {Stored.OUTCOME_CREATED}
    assert [found(answer) for answer in answers] == [{"o0": number} for number in range(1000)]
    assert [answer.artifact.id for answer in answers] == [each.artifact_id for each in stored]


async def test_an_answer_does_not_grow_without_limit(catalog: Catalog) -> None:
    tags = [f"t{number}" for number in range(8)]
    for tag in tags:
        await store(catalog, entry(tag, o0="x" * 1_000_000))

    first = await lookup(catalog, *tags)
    deferred = [tag for tag, result in zip(tags, first, strict=True) if result.absence == Result.ABSENCE_DEFERRED]
    assert len(deferred) == 5
    assert [result.absence for result in await lookup(catalog, deferred[0])] == [Result.ABSENCE_UNSPECIFIED]


async def test_the_first_entry_is_never_deferred(catalog: Catalog) -> None:
    for tag in ("a", "b"):
        await store(catalog, entry(tag, o0="x" * 3_500_000))

    first, second = await lookup(catalog, "a", "b")

    assert (first.absence, second.absence) == (Result.ABSENCE_UNSPECIFIED, Result.ABSENCE_DEFERRED)


async def test_a_bad_entry_fails_the_call_and_leaves_nothing_behind(catalog: Catalog) -> None:
    bad = entry("t2")
    bad.artifact.ClearField("data")

    async with refused(INVALID, "missing entries[1].artifactData"):
        await store(catalog, entry("t1"), bad)

    assert (await lookup(catalog, "t1"))[0].absence == Result.ABSENCE_UNKNOWN
    listed = await catalog.data.ListDatasets(datacatalog_pb2.ListDatasetsRequest())
    assert not listed.datasets


async def test_an_artifact_id_that_is_taken_fails_the_call(catalog: Catalog) -> None:
    await store(catalog, entry("t1", "a", o0=1))

    async with refused(EXISTS):
        await store(catalog, entry("t2", "b", o0=2), entry("t3", "a", o0=3))

    assert [each.absence for each in await lookup(catalog, "t2", "t3")] == [Result.ABSENCE_UNKNOWN] * 2


async def test_partitions_must_match_the_dataset_there_is(catalog: Catalog) -> None:
    await create_dataset(catalog, "day")
    good, bad = entry("t1"), entry("t2")
    good.artifact.partitions.add(key="day", value="1")

    async with refused(INVALID, "entries[1]: Partition key mismatch"):
        await store(catalog, good, bad)
    assert (await store(catalog, good))[0].outcome == Stored.OUTCOME_CREATED
    good.artifact.partitions[0].value = "2"
    good.overwrite = True
    await store(catalog, good)

    (result,) = await lookup(catalog, "t1")
    assert [(each.key, each.value) for each in result.artifact.partitions] == [("day", "2")]


def without(message: Any, *fields: str) -> pb.StoreEntry:
    for field in fields:
        message.ClearField(field)
    return cast(pb.StoreEntry, message)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "missing entries"),
        ([entry(f"t{number}") for number in range(1001)], "must be at most 1000"),
        ([without(entry("t"), "dataset")], "missing entries[0].dataset"),
        ([entry("t", dataset=pb.DatasetID(project="p"))], "missing entries[0].domain"),
        ([without(entry("t"), "artifact")], "missing entries[0].artifact"),
        ([entry("")], "missing entries[0].tagName"),
        ([entry("t"), entry("t")], "invalid value for entries[1].tagName: the same as in entries[0]"),
        ([entry("t", "a"), entry("u", "a")], "invalid value for entries[1].artifactID: the same as in entries[0]"),
        ([entry("t", replace_after=0)], "invalid value for entries[0].replace_after"),
        ([entry("t", "a\0")], "invalid value for entries[0].artifactID"),
    ],
)
async def test_what_entries_must_have(catalog: Catalog, entries: list[pb.StoreEntry], reason: str) -> None:
    async with refused(INVALID, reason):
        await store(catalog, *entries)


async def test_what_look_ups_must_have(catalog: Catalog) -> None:
    async with refused(INVALID, "missing entries"):
        await lookup(catalog)
    async with refused(INVALID, "missing entries[1].tagName"):
        await lookup(catalog, "t", "")
    async with refused(INVALID, "invalid value for max_age"):
        await lookup(catalog, "t", max_age=-1)
    async with refused(INVALID, "missing entries[0].dataset"):
        await catalog.memo.Lookup(pb.LookupRequest(entries=[pb.LookupEntry(tag_name="t")]))


async def test_leases_in_batches(catalog: Catalog) -> None:
    def wanted(owner: str) -> pb.ReserveRequest:
        keys = [pb.ReservationID(dataset_id=KEY, tag_name=f"t{number}") for number in range(3)]
        beat = Duration(seconds=2)
        return pb.ReserveRequest(
            entries=[pb.ReserveEntry(reservation_id=key, owner_id=owner, heartbeat_interval=beat) for key in keys]
        )

    mine = (await catalog.memo.Reserve(wanted("a"))).reservations
    told = (await catalog.memo.Reserve(wanted("b"))).reservations
    assert [(each.reservation_id.tag_name, each.owner_id) for each in mine] == [("t0", "a"), ("t1", "a"), ("t2", "a")]
    assert {each.owner_id for each in told} == {"a"}

    released = [pb.ReleaseEntry(reservation_id=each.reservation_id, owner_id="a") for each in mine[:2]]
    for _ in range(2):
        await catalog.memo.Release(pb.ReleaseRequest(entries=released))
    assert [each.owner_id for each in (await catalog.memo.Reserve(wanted("b"))).reservations] == ["b", "b", "a"]


async def test_what_leases_must_have(catalog: Catalog) -> None:
    key = pb.ReservationID(dataset_id=KEY, tag_name="t")
    async with refused(INVALID, "missing entries[0].owner_id"):
        await catalog.memo.Reserve(pb.ReserveRequest(entries=[pb.ReserveEntry(reservation_id=key)]))
    twice = [pb.ReserveEntry(reservation_id=key, owner_id=owner) for owner in "ab"]
    async with refused(INVALID, "entries[1].reservation_id: the same as in entries[0]"):
        await catalog.memo.Reserve(pb.ReserveRequest(entries=twice))
    async with refused(INVALID, "missing entries[0].reservation_id"):
        await catalog.memo.Release(pb.ReleaseRequest(entries=[pb.ReleaseEntry(owner_id="a")]))


async def test_two_servers_storing_the_same_entries_keep_one_of_each(postgres_url: str, tmp_path: Path) -> None:
    clock = VirtualClock()
    tags = [f"t{number}" for number in range(60)]
    async with serving(postgres_url, tmp_path, clock) as one, serving(postgres_url, tmp_path, clock) as two:
        batches = [
            store(server, *(entry(tag, o0=f"{name}{turn}") for tag in order))
            for turn in range(4)
            for name, server, order in (("one", one, tags), ("two", two, tags[::-1]))
        ]
        outcomes = await asyncio.gather(*batches)
        created = [each.outcome for results in outcomes for each in results].count(Stored.OUTCOME_CREATED)
        assert created == len(tags)
        answers = {tag: result.artifact.id for tag, result in zip(tags, await lookup(one, *tags), strict=True)}
        assert {each.artifact_id for results in outcomes for each in results} == set(answers.values())
        usage = await one.admin.ListUsage(pb.ListUsageRequest())
        assert [(each.artifacts, each.untagged_artifacts) for each in usage.usages] == [(60, 0)]
