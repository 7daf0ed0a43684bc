"""Whether executions may be created in a project and domain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from elevon_admin.domain.entities import StoredProject
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.project_rules import check_place
from elevon_admin.domain.sorting import Sort
from elevon_admin.ports import Clock, ProjectRepository

FRESH = 1_000_000_000
"""Nanoseconds that a project is remembered; a change made by another replica counts after that time at the latest."""


class RememberedProjects:
    """A ProjectRepository that remembers what it has just read, for `recent`; a change made here is seen at once."""

    def __init__(self, projects: ProjectRepository, clock: Clock) -> None:
        self._projects = projects
        self._clock = clock
        self._read: dict[str, tuple[int, StoredProject | None]] = {}
        self._changes = 0

    async def recent(self, identifier: str) -> StoredProject | None:
        """The project as it was within the last second."""
        now = self._clock()
        known = self._read.get(identifier)
        if known is not None and 0 <= now - known[0] < FRESH:
            return known[1]
        changes = self._changes
        stored = await self._projects.get(identifier)
        if stored is not None and changes == self._changes:
            self._read[identifier] = (now, stored)
        return stored

    async def get(self, identifier: str) -> StoredProject | None:
        """See ProjectRepository."""
        return await self._projects.get(identifier)

    async def add(self, project: StoredProject, now: int) -> None:
        """See ProjectRepository."""
        await self._projects.add(project, now)

    async def add_missing(self, projects: Sequence[StoredProject], now: int) -> None:
        """See ProjectRepository."""
        await self._projects.add_missing(projects, now)

    async def update(self, identifier: str, change: Callable[[StoredProject], StoredProject], now: int) -> None:
        """See ProjectRepository."""
        try:
            await self._projects.update(identifier, change, now)
        finally:
            self._changes += 1
            self._read.pop(identifier, None)

    async def list(
        self, filters: Sequence[Filter], sort: Sort | None, page: Page, *, hide_archived: bool
    ) -> Sequence[StoredProject]:
        """See ProjectRepository."""
        return await self._projects.list(filters, sort, page, hide_archived=hide_archived)


class RegisteredProjects:
    """The ActiveProjects of the registry."""

    def __init__(self, projects: RememberedProjects, domains: Collection[str]) -> None:
        self._projects = projects
        self._domains = domains

    async def require_active(self, project: str, domain: str) -> Mapping[str, str]:
        """See ActiveProjects."""
        stored = await self._projects.recent(project)
        check_place(project, None if stored is None else stored.state, domain, self._domains)
        if stored is None or stored.labels is None:
            return {}
        return stored.labels.values
