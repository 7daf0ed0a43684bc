"""Who owns which shard: leases with epochs, divided fairly among the replicas that are alive."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from elevon_kit.upserts import insert_into
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

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
    held = await _held(connection, dialect)
    wanted, surplus = choose(held, owner, now, fair_share(alive))
    await connection.execute(update(leases).where(leases.c.owner == owner).values(expires_at=expires_at))
    if wanted:
        taken = {"owner": owner, "epoch": leases.c.epoch + 1, "expires_at": expires_at}
        await connection.execute(update(leases).where(leases.c.shard.in_(wanted)).values(taken))
    epochs = {lease.shard: lease.epoch for lease in held if lease.owner == owner}
    epochs |= {lease.shard: lease.epoch + 1 for lease in held if lease.shard in wanted}
    return Leases(epochs, surplus, alive)


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
    statement = select(leases).order_by(leases.c.shard).with_for_update()
    rows = (await connection.execute(statement)).all()
    if len(rows) < SHARDS:
        blank = [{"shard": shard, "owner": "", "epoch": 0, "expires_at": 0} for shard in range(SHARDS)]
        await connection.execute(insert_into(leases, dialect).on_conflict_do_nothing(), blank)
        rows = (await connection.execute(statement)).all()
    return [Lease(row.shard, row.owner, row.epoch, row.expires_at) for row in rows]
