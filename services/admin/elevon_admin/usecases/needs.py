"""Who still needs the data of an execution: those that refer to it and are kept, and those whose data these need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from elevon_core.errors import FailedPrecondition

from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.retention import Referring, Remains, StillNeeded
from elevon_admin.retention_ports import RetentionRepository

TOLD = 5
"""How many are named of those that need an execution."""


@dataclass(frozen=True, slots=True)
class Need:
    """Some of those that need an execution; when there are none, the rows of all that refer to it and go as well."""

    kept_by: tuple[ExecutionKey, ...]
    group: frozenset[int] = frozenset()


class Needs:
    """`goes` tells of an execution whether it is to be deleted too, unless it is needed itself."""

    def __init__(self, repository: RetentionRepository, goes: Callable[[Referring], bool]) -> None:
        self._repository = repository
        self._goes = goes
        self._kept: dict[int, tuple[ExecutionKey, ...]] = {}

    async def sorted_out(
        self, some: Sequence[Remains]
    ) -> tuple[list[tuple[Remains, frozenset[int]]], list[StillNeeded]]:
        """Those that may go, each with the rows of those that go with it, and those that are kept."""
        going, still = list[tuple[Remains, frozenset[int]]](), list[StillNeeded]()
        for remains in some:
            need = await self.of(remains)
            if need.kept_by:
                still.append(StillNeeded(remains.key, need.kept_by))
            else:
                going.append((remains, need.group))
        return going, still

    async def of(self, remains: Remains) -> Need:
        """Follow references back until somebody is found who is kept."""
        seen, frontier = {remains.row_id}, [remains]
        while frontier:
            found: dict[int, Referring] = {}
            for each in frontier:
                found |= {other.row_id: other for other in await self._repository.referring(each)}
            keys = [key for other in found.values() for key in self._keepers(other)]
            if keys:
                self._kept[remains.row_id] = tuple(dict.fromkeys(keys))[:TOLD]
                return Need(self._kept[remains.row_id])
            frontier = list(await self._repository.remains(sorted(set(found) - seen)))
            seen |= set(found)
        return Need((), frozenset(seen))

    def _keepers(self, other: Referring) -> tuple[ExecutionKey, ...]:
        return self._kept.get(other.row_id, ()) if self._goes(other) else (other.key,)


def goes_by(project: str, domain: str, before: int) -> Callable[[Referring], bool]:
    """Whether an execution goes by a rule: when it has ended and was created before a moment."""

    def goes(other: Referring) -> bool:
        return other.ended and other.created_at < before and other.key[:2] == (project, domain)

    return goes


def needed(key: ExecutionKey, need: Need) -> FailedPrecondition:
    """The error for an execution that cannot be deleted."""
    names = ", ".join(str(each) for each in need.kept_by)
    return FailedPrecondition(f"execution {key} is kept because others refer to its data: {names}; delete them first")
