"""CacheService through the official stubs."""

from __future__ import annotations

import pytest
from flyteidl.cacheservice import cacheservice_pb2 as pb
from flyteidl.core import identifier_pb2, literals_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.integration.catalog.harness import EXISTS, INVALID, MISSING, Catalog, literal, refused

URI = pb.CachedOutput(output_uri="s3://bucket/outputs.pb")


def literals(**values: object) -> literals_pb2.LiteralMap:
    return literals_pb2.LiteralMap(literals={name: literal(value) for name, value in values.items()})


async def put(catalog: Catalog, key: str, output: pb.CachedOutput | None, overwrite: bool = False) -> None:
    await catalog.cache.Put(pb.PutCacheRequest(key=key, output=output, overwrite=overwrite))


async def get(catalog: Catalog, key: str) -> pb.CachedOutput:
    return (await catalog.cache.Get(pb.GetCacheRequest(key=key))).output


async def delete(catalog: Catalog, key: str) -> None:
    await catalog.cache.Delete(pb.DeleteCacheRequest(key=key))


async def extend(catalog: Catalog, owner: str, heartbeat: Duration | None = None, key: str = "k") -> pb.Reservation:
    request = pb.GetOrExtendReservationRequest(key=key, owner_id=owner, heartbeat_interval=heartbeat)
    return (await catalog.cache.GetOrExtendReservation(request)).reservation


async def test_a_uri_comes_back_with_its_metadata(catalog: Catalog) -> None:
    output = pb.CachedOutput(output_uri="s3://bucket/outputs.pb")
    output.metadata.source_identifier.CopyFrom(identifier_pb2.Identifier(project="p", name="wf.add"))
    output.metadata.key_map.values["a"] = "b"
    await put(catalog, "k", output)

    found = await get(catalog, "k")

    assert found.output_uri == "s3://bucket/outputs.pb"
    assert found.metadata.source_identifier.name == "wf.add"
    assert dict(found.metadata.key_map.values) == {"a": "b"}
    assert found.metadata.created_at == found.metadata.last_updated_at
    assert found.metadata.created_at.seconds == catalog.clock.now // 10**9


@pytest.mark.parametrize("text", ["small", "large" * 100])
async def test_literals_come_back_wherever_they_are_kept(catalog: Catalog, text: str) -> None:
    await put(catalog, "a key/with ?odd #parts", pb.CachedOutput(output_literals=literals(o0=text, o1=2)))

    assert (await get(catalog, "a key/with ?odd #parts")).output_literals == literals(o0=text, o1=2)
    assert len(catalog.files()) == (0 if text == "small" else 1)


async def test_an_existing_entry_stays_unless_it_may_be_overwritten(catalog: Catalog) -> None:
    await put(catalog, "k", pb.CachedOutput(output_literals=literals(o0="first" * 100)))
    created = (await get(catalog, "k")).metadata.created_at
    catalog.clock.advance(60)

    async with refused(EXISTS, "value with matching already exists"):
        await put(catalog, "k", URI)
    assert (await get(catalog, "k")).output_literals == literals(o0="first" * 100)

    await put(catalog, "k", pb.CachedOutput(output_literals=literals(o0="second" * 100)), overwrite=True)
    found = await get(catalog, "k")
    assert found.output_literals == literals(o0="second" * 100)
    assert found.metadata.created_at == created
    assert found.metadata.last_updated_at.seconds == created.seconds + 60
    assert len(catalog.files()) == 1


async def test_a_creation_time_that_is_given_is_kept(catalog: Catalog) -> None:
    given = Timestamp(seconds=1_234_567, nanos=5)
    output = pb.CachedOutput(output_uri="s3://b/k")
    output.metadata.created_at.CopyFrom(given)
    await put(catalog, "k", URI)

    await put(catalog, "k", output, overwrite=True)

    assert (await get(catalog, "k")).metadata.created_at == given


async def test_overwriting_what_is_not_there_creates_it(catalog: Catalog) -> None:
    await put(catalog, "k", URI, overwrite=True)

    assert (await get(catalog, "k")).output_uri == URI.output_uri


async def test_an_entry_whose_literals_are_lost_is_a_miss_and_can_be_put_again(catalog: Catalog) -> None:
    await put(catalog, "k", pb.CachedOutput(output_literals=literals(o0="large" * 100)))
    for path in catalog.files():
        path.unlink()

    async with refused(MISSING):
        await get(catalog, "k")
    await put(catalog, "k", pb.CachedOutput(output_literals=literals(o0="again" * 100)))

    assert (await get(catalog, "k")).output_literals == literals(o0="again" * 100)


async def test_delete_removes_the_entry_and_what_the_service_kept_of_it(catalog: Catalog) -> None:
    await put(catalog, "k", pb.CachedOutput(output_literals=literals(o0="large" * 100)))

    await delete(catalog, "k")

    assert catalog.files() == []
    async with refused(MISSING, 'key: "k"'):
        await get(catalog, "k")
    async with refused(MISSING, 'key: "k"'):
        await delete(catalog, "k")


async def test_what_requests_must_have(catalog: Catalog) -> None:
    async with refused(INVALID, "missing key"):
        await get(catalog, "")
    async with refused(INVALID, "missing key"):
        await delete(catalog, "")
    async with refused(INVALID, "missing key"):
        await put(catalog, "", URI)
    async with refused(INVALID, "missing output"):
        await put(catalog, "k", None)
    async with refused(INVALID, "missing one of output_literals/output_uri"):
        await put(catalog, "k", pb.CachedOutput())
    async with refused(INVALID, "missing output_uri"):
        await put(catalog, "k", pb.CachedOutput(output_uri=""))
    wrong = pb.CachedOutput(output_uri="u")
    wrong.metadata.created_at.seconds = 10**15
    async with refused(INVALID, "invalid value for created_at"):
        await put(catalog, "k", wrong)
    async with refused(MISSING):
        await get(catalog, "k")


async def test_leases_on_keys(catalog: Catalog) -> None:
    mine = await extend(catalog, "a", Duration(seconds=4))
    told = await extend(catalog, "b", Duration(seconds=7))

    assert (mine.key, mine.owner_id, mine.heartbeat_interval.seconds) == ("k", "a", 4)
    assert mine.expires_at.seconds - catalog.clock.now // 10**9 == 12
    assert told == mine, "the holder's interval, not that of the request"

    catalog.clock.advance(13)
    assert (await extend(catalog, "b")).owner_id == "b"
    await catalog.cache.ReleaseReservation(pb.ReleaseReservationRequest(key="k", owner_id="a"))
    assert (await extend(catalog, "a")).owner_id == "b"
    for _ in range(2):
        await catalog.cache.ReleaseReservation(pb.ReleaseReservationRequest(key="k", owner_id="b"))
    assert (await extend(catalog, "a", Duration(seconds=3600))).heartbeat_interval.seconds == 10


async def test_what_leases_must_have(catalog: Catalog) -> None:
    for key, owner, reason in (("", "a", "missing key"), ("k", "", "missing owner_id")):
        async with refused(INVALID, reason):
            await extend(catalog, owner, key=key)
        async with refused(INVALID, reason):
            await catalog.cache.ReleaseReservation(pb.ReleaseReservationRequest(key=key, owner_id=owner))
    async with refused(INVALID, "invalid value for heartbeat_interval"):
        await extend(catalog, "a", Duration(seconds=-5))
