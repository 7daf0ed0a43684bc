"""The leases in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from elevon_kit.database import Contention
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import and_, delete, or_, select

from elevon_catalog.domain.leases import Lease, LeaseRequest
from elevon_catalog.store.repository import Repository, chunks
from elevon_catalog.store.tables import leases

if TYPE_CHECKING:
    from elevon_kit.upserts import Insert


class SqlLeaseStore(Repository):
    """Implements LeaseStore."""

    async def acquire(self, requests: Sequence[LeaseRequest], now: int) -> list[Lease]:
        """See LeaseStore."""
        # One order for all, so that two servers never wait for each other's rows in a circle.
        ordered = sorted(requests, key=lambda request: request.subject)

        async def work(connection: AsyncConnection) -> dict[bytes, Lease]:
            held: dict[bytes, Lease] = {}
            for chunk in chunks(ordered):
                await self._take(connection, chunk, now, held)
            return held

        held = await self._database.write(work)
        return [held[request.subject] for request in requests]

    async def _take(
        self, connection: AsyncConnection, requests: Sequence[LeaseRequest], now: int, held: dict[bytes, Lease]
    ) -> None:
        columns = (leases.c.subject, leases.c.owner_id, leases.c.heartbeat, leases.c.expires_at)
        taken = await connection.execute(
            self._upsert(now).returning(*columns), [_values(request) for request in requests]
        )
        for subject, owner_id, heartbeat, expires_at in taken:
            held[bytes(subject)] = Lease(owner_id, heartbeat, expires_at)
        refused = [request.subject for request in requests if request.subject not in held]
        if not refused:
            return
        for subject, owner_id, heartbeat, expires_at in await connection.execute(
            select(*columns).where(leases.c.subject.in_(refused))
        ):
            held[bytes(subject)] = Lease(owner_id, heartbeat, expires_at)
        if any(subject not in held for subject in refused):
            raise Contention("a lease was given up while it was looked at")

    def _upsert(self, now: int) -> Insert:
        statement = self._insert(leases)
        new = statement.excluded
        return statement.on_conflict_do_update(
            index_elements=[leases.c.subject],
            set_={"owner_id": new.owner_id, "heartbeat": new.heartbeat, "expires_at": new.expires_at},
            where=or_(leases.c.expires_at <= now, leases.c.owner_id == new.owner_id),
        )

    async def release(self, named: Sequence[tuple[bytes, str]]) -> None:
        """See LeaseStore."""

        async def work(connection: AsyncConnection) -> None:
            for chunk in chunks(sorted(named)):
                mine = (and_(leases.c.subject == subject, leases.c.owner_id == owner) for subject, owner in chunk)
                await connection.execute(delete(leases).where(or_(*mine)))

        await self._database.write(work)

    async def forget(self, expired_before: int) -> int:
        """See LeaseStore."""

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(leases).where(leases.c.expires_at < expired_before))).rowcount

        return await self._database.write(work)


def _values(request: LeaseRequest) -> dict[str, Any]:
    return {
        "subject": request.subject,
        "label": request.label,
        "owner_id": request.owner_id,
        "heartbeat": request.interval,
        "expires_at": request.expires_at,
    }
