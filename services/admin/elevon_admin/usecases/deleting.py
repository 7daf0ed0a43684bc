"""Deleting executions: cached results go first, then files, rows last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from elevon_admin.domain.retention import Counts, Fate, Remains, StillNeeded
from elevon_admin.domain.times import NANOSECONDS
from elevon_admin.ports import Clock
from elevon_admin.retention_ports import CachedResults, Kept, LeftFiles, RetentionRepository
from elevon_admin.usecases.at_once import some_at_once
from elevon_admin.usecases.needs import Needs

FILES_AT_ONCE = 8
"""Executions whose files are deleted at the same time."""

EVICTING_SECONDS = 60.0
"""How long it may take to evict cached results; who finds that somebody was at it waits for so long."""


@dataclass(slots=True)
class Deleted:
    """Rows of executions that were deleted, and those that were kept."""

    rows: set[int] = field(default_factory=set)
    kept: list[StillNeeded] = field(default_factory=list)


class Deleting:
    """Deletes executions that have ended and counts them; `settle_seconds` as in RetentionTimes."""

    def __init__(
        self,
        repository: RetentionRepository,
        files: LeftFiles,
        cache: CachedResults | None,
        clock: Clock,
        settle_seconds: float,
    ) -> None:
        self._repository = repository
        self._files = files
        self._cache = cache
        self._clock = clock
        self._settle_seconds = settle_seconds

    async def delete(
        self,
        some: Sequence[Remains],
        kept: Kept,
        counts: Counts,
        needs: Needs,
        written: Callable[[], Awaitable[None]],
        begun: int,
    ) -> Deleted:
        """Whatever is left at any moment points at something that is there; `written` keeps the counts so far.

        `begun` is when the whole began of which this is a part.

        A row that is left finds its files again; files that are left would be found by nobody.
        """
        going, still = await needs.sorted_out(some)
        if going and self._cache is not None:
            remaining = [remains for remains, _ in going]
            if await self._evict(self._cache, remaining, counts, written, begun):
                going, more = await needs.sorted_out(remaining)
                still += more
        done = Deleted(kept=still)
        doomed = await self._doomed(going, done)
        await some_at_once((partial(self._files.delete, remains) for remains in doomed), FILES_AT_ONCE)
        rows = [remains.row_id for remains in doomed]
        if kept is Kept.NOTHING:
            done.rows = await self._repository.delete_executions(rows)
        else:
            done.rows = await self._repository.delete_data(rows, self._clock())
        _add(counts, [remains for remains in doomed if remains.row_id in done.rows], kept)
        counts.kept += len(still)
        return done

    async def count(self, some: Sequence[Remains], kept: Kept, counts: Counts, needs: Needs) -> Deleted:
        """What `delete` would do."""
        going, still = await needs.sorted_out(some)
        if going and self._cache is not None:
            counts.cache_entries += await self._cache.evict_pointing(_places(each for each, _ in going), dry_run=True)
        _add(counts, [remains for remains, _ in going], kept)
        counts.kept += len(still)
        return Deleted(kept=still)

    async def _doomed(self, going: Sequence[tuple[Remains, frozenset[int]]], done: Deleted) -> list[Remains]:
        now, doomed = self._clock(), list[Remains]()
        for remains, group in going:
            fate = await self._repository.doom(remains, group, now)
            if fate is Fate.GOES:
                doomed.append(remains)
            elif fate is Fate.NEEDED:
                done.kept.append(StillNeeded(remains.key, ()))
        return doomed

    async def _evict(
        self,
        cache: CachedResults,
        some: Sequence[Remains],
        counts: Counts,
        written: Callable[[], Awaitable[None]],
        begun: int,
    ) -> bool:
        """Evict what points at executions and wait until hits that were found before are reported; False if at once.

        How long their files stay is durable before anything is evicted: whoever comes next has nothing to evict, and
        waits all the same.
        """
        rows, places, settle = [remains.row_id for remains in some], _places(some), self._settle_seconds
        found = await cache.evict_pointing(places, dry_run=True)
        if found:
            await self._repository.keep_files(rows, self._in(settle + EVICTING_SECONDS))
            counts.cache_entries += await cache.evict_pointing(places, dry_run=False)
            await self._repository.keep_files(rows, self._in(settle))
            await written()
        until = await self._repository.files_stay_until(rows)
        if any(remains.caches for remains in some):
            # Somebody may have evicted by hand, a moment before all this began, what these had stored.
            until = max(until, begun + round(settle * NANOSECONDS))
        wait = min((until - self._clock()) / NANOSECONDS, settle + EVICTING_SECONDS)
        if settle and wait > 0:
            await asyncio.sleep(wait)
        return bool(settle) and wait > 0

    def _in(self, seconds: float) -> int:
        return self._clock() + round(seconds * NANOSECONDS)


def _places(some: Iterable[Remains]) -> list[str]:
    return sorted({place for remains in some for place in remains.places()})


def _add(counts: Counts, some: Sequence[Remains], kept: Kept) -> None:
    if kept is Kept.NOTHING:
        counts.executions += len(some)
    else:
        counts.outlines += len(some)
    counts.nodes += sum(remains.nodes for remains in some)
