"""Leases through the official stubs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from flyteidl.datacatalog import datacatalog_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from tests.integration.catalog.harness import DATASET, INVALID, Catalog, VirtualClock, refused, serving

KEY = pb.ReservationID(dataset_id=DATASET, tag_name="tag")


async def extend(
    catalog: Catalog, owner: str, heartbeat: Duration | None = None, key: pb.ReservationID = KEY
) -> pb.Reservation:
    request = pb.GetOrExtendReservationRequest(reservation_id=key, owner_id=owner, heartbeat_interval=heartbeat)
    return (await catalog.data.GetOrExtendReservation(request)).reservation


async def release(catalog: Catalog, owner: str, key: pb.ReservationID = KEY) -> None:
    await catalog.data.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=key, owner_id=owner))


async def test_a_lease_lasts_three_heartbeats_and_names_its_holder(catalog: Catalog) -> None:
    with_uuid = pb.ReservationID()
    with_uuid.CopyFrom(KEY)
    with_uuid.dataset_id.UUID = "ignored"

    held = await extend(catalog, "a", Duration(seconds=4), with_uuid)

    assert held.reservation_id == KEY, "the UUID is neither looked at nor returned"
    assert held.owner_id == "a"
    assert held.heartbeat_interval.ToSeconds() == 4
    assert held.expires_at.ToSeconds() - catalog.clock.now // 10**9 == 12
    assert not held.HasField("metadata")


@pytest.mark.parametrize(("asked", "granted"), [(None, 10), (Duration(seconds=3600), 10), (Duration(seconds=1), 1)])
async def test_the_interval_is_capped(catalog: Catalog, asked: Duration | None, granted: int) -> None:
    held = await extend(catalog, "a", asked)

    assert held.heartbeat_interval.ToSeconds() == granted
    assert held.expires_at.ToSeconds() - catalog.clock.now // 10**9 == granted * 3


async def test_another_owner_is_told_who_holds_the_lease(catalog: Catalog) -> None:
    mine = await extend(catalog, "a")

    told = await extend(catalog, "b", Duration(seconds=2))

    assert told.owner_id == "a"
    assert told.expires_at == mine.expires_at
    assert told.heartbeat_interval.ToSeconds() == 2, "the interval is that of the request"


async def test_the_owner_extends_and_others_take_over_after_expiry(catalog: Catalog) -> None:
    first = await extend(catalog, "a")
    catalog.clock.advance(20)
    second = await extend(catalog, "a")
    assert second.expires_at.ToSeconds() - first.expires_at.ToSeconds() == 20
    catalog.clock.advance(29)
    assert (await extend(catalog, "b")).owner_id == "a"

    catalog.clock.advance(2)

    assert (await extend(catalog, "b")).owner_id == "b"
    assert (await extend(catalog, "a")).owner_id == "b"


async def test_release_is_for_the_owner_only_and_may_be_repeated(catalog: Catalog) -> None:
    await extend(catalog, "a")
    await release(catalog, "b")
    assert (await extend(catalog, "b")).owner_id == "a"

    await release(catalog, "a")
    await release(catalog, "a")

    assert (await extend(catalog, "b")).owner_id == "b"


async def test_leases_on_different_tags_and_datasets_are_different(catalog: Catalog) -> None:
    other_tag, other_dataset = pb.ReservationID(), pb.ReservationID()
    other_tag.CopyFrom(KEY)
    other_tag.tag_name = "other"
    other_dataset.CopyFrom(KEY)
    other_dataset.dataset_id.version = "other"

    keys = (KEY, other_tag, other_dataset)
    owners = [(await extend(catalog, str(number), key=key)).owner_id for number, key in enumerate(keys)]

    assert owners == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("key", "owner", "reason"),
    [
        (None, "a", "missing reservation_id"),
        (pb.ReservationID(tag_name="t"), "a", "missing dataset"),
        (pb.ReservationID(dataset_id=pb.DatasetID(project="p"), tag_name="t"), "a", "missing domain"),
        (pb.ReservationID(dataset_id=DATASET), "a", "missing tagName"),
        (KEY, "", "missing owner_id"),
    ],
)
async def test_incomplete_requests_are_refused(
    catalog: Catalog, key: pb.ReservationID | None, owner: str, reason: str
) -> None:
    await extend(catalog, "holder")

    async with refused(INVALID, reason):
        await catalog.data.GetOrExtendReservation(pb.GetOrExtendReservationRequest(reservation_id=key, owner_id=owner))
    async with refused(INVALID, reason):
        await catalog.data.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=key, owner_id=owner))

    assert (await extend(catalog, "b")).owner_id == "holder"


@pytest.mark.parametrize("heartbeat", [Duration(), Duration(seconds=-1), Duration(seconds=1, nanos=-1)])
async def test_a_heartbeat_must_be_positive(catalog: Catalog, heartbeat: Duration) -> None:
    async with refused(INVALID, "invalid value for heartbeat_interval"):
        await extend(catalog, "a", heartbeat)


async def test_many_callers_at_once_get_one_winner(catalog: Catalog) -> None:
    held = await asyncio.gather(*(extend(catalog, f"owner-{number}") for number in range(30)))

    assert len({each.owner_id for each in held}) == 1
    assert len({each.expires_at.ToNanoseconds() for each in held}) == 1


async def test_two_servers_on_one_database_agree_on_the_winners(postgres_url: str, tmp_path: Path) -> None:
    clock = VirtualClock()
    keys = [pb.ReservationID(dataset_id=DATASET, tag_name=f"tag-{number}") for number in range(40)]
    async with serving(postgres_url, tmp_path, clock) as one, serving(postgres_url, tmp_path, clock) as two:
        both = (("one", one), ("two", two))
        calls = [extend(server, f"{name}-{turn}", key=key) for key in keys for name, server in both for turn in (1, 2)]
        held = await asyncio.gather(*calls)
        for start in range(0, len(held), 4):
            assert len({each.owner_id for each in held[start : start + 4]}) == 1
        # Whoever won on one server is refused nothing by the other.
        winners = [each.owner_id for each in held[::4]]
        again = await asyncio.gather(*(extend(two, owner, key=key) for owner, key in zip(winners, keys, strict=True)))
        assert [each.owner_id for each in again] == winners
        clock.advance(31)
        taken = await asyncio.gather(*(extend(server, f"new {name}", key=key) for key in keys for name, server in both))
        for start in range(0, len(taken), 2):
            assert taken[start].owner_id == taken[start + 1].owner_id
            assert taken[start].owner_id.startswith("new ")
