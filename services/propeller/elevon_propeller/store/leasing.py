"""Who owns which shard: leases with epochs, divided fairly among the replicas that are alive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from elevon_kit.upserts import insert_into
from sqlalchemy import delete, select, update

from elevon_propeller.ports import SHARDS, Leases
from elevon_propeller.store.tables import leases, replicas


@dataclass(slots=True)
class Lease:
    """One shard's lease; `owner` is empty when it was given up."""

    shard: int
    owner: str
    epoch: int
    expires_at: int


def fair_share(replica_count: int) -> int:
    """How many shards each of so many replicas may own at most."""
    return -(-SHARDS // max(replica_count, 1))


def choose(held: Iterable[Lease], owner: str, now: int, share: int) -> tuple[list[int], list[int]]:
    """The shards to take, and those owned beyond the fair share."""
    mine = [lease.shard for lease in held if lease.owner == owner]
    free = [lease.shard for lease in held if lease.owner != owner and (not lease.owner or lease.expires_at < now)]
    return free[: max(share - len(mine), 0)], mine[share:]


async def take(connection: AsyncConnection, dialect: str, owner: str, now: int, expires_at: int) -> Leases:
    """Say that the replica is alive, renew its leases, take more up to its share; in the caller's transaction."""
    alive = await _announce(connection, dialect, owner, now, expires_at)
    wanted, surplus = choose(await _held(connection, dialect), owner, now, fair_share(alive))
    renew = update(leases).where(leases.c.owner == owner).values(expires_at=expires_at)
    rows = (await connection.execute(renew.returning(leases.c.shard, leases.c.epoch))).all()
    if wanted:
        rows = [*rows, *await _seize(connection, wanted, owner, now, expires_at)]
    return Leases({row.shard: row.epoch for row in rows}, surplus, alive)


async def _seize(
    connection: AsyncConnection, wanted: Collection[int], owner: str, now: int, expires_at: int
) -> Sequence[Any]:
    """Take those of the wanted shards that are still free.

    A commit under way locks the lease it relies on. It is not waited for: whoever commits is alive, and one that stops
    dead in its transaction is cut off by the database.
    """
    free = (leases.c.owner == "") | (leases.c.expires_at < now)
    looked = select(leases.c.shard).where(leases.c.shard.in_(wanted), free).order_by(leases.c.shard)
    shards = (await connection.scalars(looked.with_for_update(skip_locked=True))).all()
    if not shards:
        return []
    taken = {"owner": owner, "epoch": leases.c.epoch + 1, "expires_at": expires_at}
    statement = update(leases).where(leases.c.shard.in_(shards)).values(taken)
    return (await connection.execute(statement.returning(leases.c.shard, leases.c.epoch))).all()


async def release(connection: AsyncConnection, owner: str, shards: Collection[int]) -> None:
    """Give up some shards of an owner, in the caller's transaction."""
    mine = (leases.c.owner == owner) & leases.c.shard.in_(sorted(shards))
    await connection.execute(update(leases).where(mine).values(owner="", expires_at=0))
    if len(shards) >= SHARDS:
        await connection.execute(delete(replicas).where(replicas.c.owner == owner))


async def _announce(connection: AsyncConnection, dialect: str, owner: str, now: int, expires_at: int) -> int:
    await connection.execute(delete(replicas).where(replicas.c.expires_at < now))
    statement = insert_into(replicas, dialect).values(owner=owner, expires_at=expires_at)
    statement = statement.on_conflict_do_update(
        index_elements=["owner"], set_={"expires_at": statement.excluded.expires_at}
    )
    await connection.execute(statement)
    return len((await connection.execute(select(replicas.c.owner))).all())


async def _held(connection: AsyncConnection, dialect: str) -> list[Lease]:
    statement = select(leases).order_by(leases.c.shard)
    rows = (await connection.execute(statement)).all()
    if len(rows) < SHARDS:
        blank = [{"shard": shard, "owner": "", "epoch": 0, "expires_at": 0} for shard in range(SHARDS)]
        await connection.execute(insert_into(leases, dialect).on_conflict_do_nothing(), blank)
        rows = (await connection.execute(statement)).all()
    return [Lease(row.shard, row.owner, row.epoch, row.expires_at) for row in rows]
