"""What retention needs from the world outside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from typing import Protocol

from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.retention import Counts, Fate, Referring, Remains, RetentionRule, StoredRun


class Kept(Enum):
    """What stays of an execution."""

    NOTHING = "nothing"
    OUTLINE = "the execution itself, without nodes, attempts and data"


class RetentionRepository(Protocol):
    """Rules, runs, and executions that have ended. Ages and moments are nanoseconds."""

    async def put(self, rule: RetentionRule) -> None:
        """Set a rule."""
        ...

    async def delete(self, project: str, domain: str) -> None:
        """Remove a rule, if there is one."""
        ...

    async def rules(self) -> Sequence[RetentionRule]:
        """All rules, by project and domain."""
        ...

    async def claim(self, project: str, domain: str, owner: str, now: int, until: int, *, forced: bool) -> bool:
        """Take or extend the right to apply a rule; False when another has it or, unless `forced`, it is not due."""
        ...

    async def release(self, project: str, domain: str, owner: str, next_at: int) -> None:
        """Give the right up, and say when the rule is due again."""
        ...

    async def newest_to_delete(self, project: str, domain: str, kept: int) -> int:
        """When the newest ended execution was created beyond the `kept` newest ones; 0 when there are no more."""
        ...

    async def count(self, project: str, domain: str, before: int, kept: Kept) -> int:
        """How many ended executions were created before a moment; for an outline, those that still have data."""
        ...

    async def oldest(
        self, project: str, domain: str, before: int, kept: Kept, after: int, limit: int
    ) -> Sequence[Remains]:
        """Some of those `count` counts, the newest first, those before row `after`."""
        ...

    async def remains(self, rows: Sequence[int]) -> Sequence[Remains]:
        """What executions, by row, have left behind; those that are gone are left out."""
        ...

    async def referring(self, remains: Remains) -> Sequence[Referring]:
        """Other executions with a value that points at the data of one."""
        ...

    async def keep_files(self, rows: Sequence[int], until: int) -> None:
        """Have the files of executions stay until a moment, whoever is to delete them."""
        ...

    async def files_stay_until(self, rows: Sequence[int]) -> int:
        """The last moment until which the files of any of these executions stay; 0 for no such moment."""
        ...

    async def doom(self, remains: Remains, allowed: Collection[int], now: int) -> Fate:
        """Decide that the data of an execution goes, unless others than those allowed refer to it."""
        ...

    async def one(self, key: ExecutionKey) -> tuple[bool, Remains] | None:
        """Whether an execution has ended, and what it has left behind; None when there is none."""
        ...

    async def delete_executions(self, rows: Sequence[int]) -> set[int]:
        """Delete executions with everything below them, in one transaction; answers those that were still there."""
        ...

    async def delete_data(self, rows: Sequence[int], now: int) -> set[int]:
        """Delete nodes, attempts and literals of executions, in one transaction; answers those that still had them."""
        ...

    async def begin(self, run: StoredRun) -> int:
        """Write a new run down; answers its row."""
        ...

    async def progress(self, row_id: int, counts: Counts, ended_at: int | None, error: str) -> None:
        """Write down how far a run is."""
        ...

    async def runs(self, project: str, before: int | None, limit: int) -> Sequence[StoredRun]:
        """The newest runs before a row, of one project or, for an empty one, of all."""
        ...


class LeftFiles(Protocol):
    """The files that executions leave behind; what is gone already is no error, Unavailable when out of reach."""

    async def delete(self, remains: Remains) -> None:
        """Delete the engine's rows and files of an execution, and admin's own."""
        ...


class CachedResults(Protocol):
    """The catalog; every call raises Unavailable while it is out of reach."""

    async def evict_pointing(self, places: Sequence[str], *, dry_run: bool) -> int:
        """Delete, or only count, entries that point at places; answers how many."""
        ...

    async def prune(self, project: str, domain: str, age: int, *, dry_run: bool) -> int:
        """Delete some entries older than an age, 0 when none are left; or only count all of them."""
        ...
