"""Registering, changing, and listing projects; and the check that a project and domain can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from elevon_core.errors import InvalidArgument, NotFound
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.entities import StoredProject
from elevon_admin.domain.filters import parse_filters
from elevon_admin.domain.paging import cut, parse_page
from elevon_admin.domain.project_rules import (
    check_active,
    check_exists,
    check_place,
    check_update,
    new_project,
    updated,
)
from elevon_admin.domain.sorting import parse_sort
from elevon_admin.domain.stored_text import check_text
from elevon_admin.ports import Clock, ProjectRepository


class Projects:
    """Projects and their domains; every project has the same domains, id to name in `domains`."""

    def __init__(self, projects: ProjectRepository, domains: Mapping[str, str], most_labels: int, clock: Clock) -> None:
        self._projects = projects
        self._domains = domains
        self._most_labels = most_labels
        self._clock = clock

    async def seed(self, projects: Sequence[admin.Project]) -> None:
        """Add the projects that do not exist yet; raises InvalidArgument for one that breaks a rule."""
        additions = [new_project(project, self._most_labels) for project in projects]
        if additions:
            await self._projects.add_missing(additions, self._clock())

    async def check(self, project: str, domain: str) -> None:
        """Raise InvalidArgument unless the project exists and is active, and the domain is known."""
        stored = await self._projects.get(project)
        self.check_state(project, None if stored is None else stored.state, domain)

    def check_state(self, project: str, state: int | None, domain: str) -> None:
        """As `check`, for a state that was read already; None for a project that does not exist."""
        check_place(project, state, domain, self._domains)

    async def check_active(self, project: str) -> None:
        """Raise InvalidArgument unless the project exists and is active."""
        check_active(project, await self._state(project))

    async def check_exists(self, project: str) -> None:
        """Raise InvalidArgument unless the project exists, in whatever state."""
        check_exists(project, await self._state(project))

    async def _state(self, project: str) -> int | None:
        if not project:
            raise InvalidArgument.missing("project")
        stored = await self._projects.get(project)
        return None if stored is None else stored.state

    async def register(self, request: admin.ProjectRegisterRequest) -> None:
        """Add a project; raises InvalidArgument and AlreadyExists."""
        if not request.HasField("project"):
            raise InvalidArgument.missing("project")
        await self._projects.add(new_project(request.project, self._most_labels), self._clock())

    async def update(self, project: admin.Project) -> None:
        """Change a project; raises NotFound and InvalidArgument."""
        _check_id(project.id)

        def change(stored: StoredProject) -> StoredProject:
            check_update(project, self._most_labels)
            return updated(stored, project)

        await self._projects.update(project.id, change, self._clock())

    async def get(self, identifier: str) -> admin.Project:
        """The project with all domains; raises InvalidArgument and NotFound."""
        _check_id(identifier)
        stored = await self._projects.get(identifier)
        if stored is None:
            raise NotFound(f"project [{identifier[:200]}] not found")
        return self._message(stored)

    async def list(self, request: admin.ProjectListRequest) -> admin.Projects:
        """A page of projects; a limit of 0 answers all. Archived ones are hidden unless something is filtered."""
        page = parse_page(request.limit, request.token, "ListProjects", optional=True)
        filters = parse_filters(request.filters)
        sort = parse_sort(request.sort_by if request.HasField("sort_by") else None)
        rows, token = cut(page, await self._projects.list(filters, sort, page, hide_archived=not filters))
        return admin.Projects(projects=[self._message(stored) for stored in rows], token=token)

    def domains(self) -> admin.GetDomainsResponse:
        """All domains, in the order in which they were configured."""
        return admin.GetDomainsResponse(domains=self._domain_messages())

    def _domain_messages(self) -> Sequence[admin.Domain]:
        return [admin.Domain(id=identifier, name=name) for identifier, name in self._domains.items()]

    def _message(self, stored: StoredProject) -> admin.Project:
        return admin.Project(
            id=stored.identifier,
            name=stored.name,
            domains=self._domain_messages(),
            description=stored.description,
            labels=stored.labels,
            state=admin.Project.ProjectState.ValueType(stored.state),
        )


def _check_id(identifier: str) -> None:
    if not identifier:
        raise InvalidArgument.missing("project_id")
    check_text("project_id", identifier)
