"""What the use cases need from the world outside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.attributes import AttributeScope, StoredAttributes
from elevon_admin.domain.entities import (
    EntityKey,
    EntityScope,
    Kind,
    NewEntity,
    NewLaunchPlan,
    Standing,
    StoredLaunchPlan,
    StoredName,
    StoredProject,
    StoredTask,
    StoredWorkflow,
    WorkflowSummary,
)
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort

Clock = Callable[[], int]
"""Nanoseconds since the epoch."""


class ProjectRepository(Protocol):
    """Projects."""

    async def get(self, identifier: str) -> StoredProject | None:
        """The project, or None."""
        ...

    async def add(self, project: StoredProject, now: int) -> None:
        """Add a project; raises AlreadyExists."""
        ...

    async def add_missing(self, projects: Sequence[StoredProject], now: int) -> None:
        """Add those that do not exist, leave the others alone."""
        ...

    async def update(self, identifier: str, change: Callable[[StoredProject], StoredProject], now: int) -> None:
        """Read, change and write in one transaction; raises NotFound, and whatever `change` raises."""
        ...

    async def list(
        self, filters: Sequence[Filter], sort: Sort | None, page: Page, *, hide_archived: bool
    ) -> Sequence[StoredProject]:
        """A page and one more row if there is one."""
        ...


class TaskRepository(Protocol):
    """Registered tasks."""

    async def standing(self, key: EntityKey) -> Standing:
        """The project's state and the digests under the key, in one look-up."""
        ...

    async def add(self, entity: NewEntity, compiled: core.CompiledTask) -> StoredTask:
        """Add a task with its name and description; raises AlreadyExists when the key is taken."""
        ...

    async def get_many(self, keys: Collection[EntityKey]) -> Mapping[EntityKey, StoredTask]:
        """Those of the tasks that exist."""
        ...

    async def list(
        self, scope: EntityScope, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[StoredTask]:
        """A page and one more row if there is one."""
        ...


class WorkflowRepository(Protocol):
    """Registered workflows."""

    async def standing(self, key: EntityKey) -> Standing:
        """The project's state and the digests under the key, in one look-up."""
        ...

    async def add(self, entity: NewEntity, closure: core.CompiledWorkflowClosure) -> StoredWorkflow:
        """Add a workflow with its name and description; raises AlreadyExists when the key is taken."""
        ...

    async def get(self, key: EntityKey) -> StoredWorkflow | None:
        """The workflow, or None."""
        ...

    async def get_row(self, row: int) -> StoredWorkflow | None:
        """The workflow of a row, or None."""
        ...

    async def list(
        self, scope: EntityScope, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[WorkflowSummary]:
        """A page and one more row if there is one."""
        ...


class LaunchPlanRepository(Protocol):
    """Registered launch plans."""

    async def standing(self, key: EntityKey) -> Standing:
        """The project's state and the digests under the key, in one look-up."""
        ...

    async def add(self, entity: NewEntity, plan: NewLaunchPlan) -> StoredLaunchPlan:
        """Add an inactive launch plan with its name; raises AlreadyExists when the key is taken."""
        ...

    async def get_many(self, keys: Collection[EntityKey]) -> Mapping[EntityKey, StoredLaunchPlan]:
        """Those of the launch plans that exist."""
        ...

    async def active(self, project: str, domain: str, name: str) -> StoredLaunchPlan | None:
        """The active version of a name, or None."""
        ...

    async def activate(self, key: EntityKey, now: int) -> None:
        """Make this version the only active one of its name, in one transaction; raises NotFound."""
        ...

    async def deactivate(self, key: EntityKey, now: int) -> None:
        """Make this version inactive; raises NotFound."""
        ...

    async def list(
        self,
        scope: EntityScope,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        *,
        only_active: bool = False,
    ) -> Sequence[StoredLaunchPlan]:
        """A page and one more row if there is one."""
        ...


class NamedEntityRepository(Protocol):
    """Names under which something was registered."""

    async def get(self, kind: Kind, scope: EntityScope) -> StoredName | None:
        """The name, or None."""
        ...

    async def update(self, kind: Kind, scope: EntityScope, metadata: admin.NamedEntityMetadata, now: int) -> None:
        """Write the state, and the description unless it is empty; raises NotFound."""
        ...

    async def list(
        self,
        kind: Kind,
        scope: EntityScope,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        *,
        hide_generated: bool,
    ) -> Sequence[StoredName]:
        """A page and one more row if there is one."""
        ...


class DescriptionRepository(Protocol):
    """Descriptions of tasks and workflows."""

    async def get(self, kind: Kind, key: EntityKey) -> admin.DescriptionEntity | None:
        """The description with its id, or None."""
        ...

    async def list(
        self, kind: Kind, scope: EntityScope, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[admin.DescriptionEntity]:
        """A page and one more row if there is one."""
        ...


class AttributeRepository(Protocol):
    """Matchable attributes."""

    async def of_project(self, project: str) -> Sequence[StoredAttributes]:
        """Everything that is set for a project, its domains and its workflows."""
        ...

    async def of_type(self, resource_type: int) -> Sequence[StoredAttributes]:
        """Everything of a kind that is set anywhere: the most specific first, then by scope."""
        ...

    async def put(
        self,
        scope: AttributeScope,
        resource_type: int,
        change: Callable[[admin.MatchingAttributes | None], admin.MatchingAttributes],
        now: int,
    ) -> None:
        """Read, change and write one setting in one transaction; `change` gets None where there is none."""
        ...

    async def delete(self, scope: AttributeScope, resource_type: int) -> None:
        """Remove the setting of exactly this scope, if there is one."""
        ...


class PlatformLimits(Protocol):
    """What tasks of a project and domain may ask for."""

    async def task_resource_limits(self, project: str, domain: str) -> admin.TaskResourceSpec:
        """The largest quantities; an empty text is no limit."""
        ...


@dataclass(frozen=True, slots=True)
class MemoEntry:
    """An entry of the catalog; `source` names the attempt that made it as far as the entry tells."""

    tag: str
    artifact_id: str
    created_at: Timestamp
    source: core.TaskExecutionIdentifier


class MemoCatalog(Protocol):
    """What the catalog holds of one task; every call raises Unavailable while the catalog is out of reach."""

    async def datasets(self, like: core.Identifier) -> Sequence[core.Identifier]:
        """All versions of a dataset, the newest first."""
        ...

    async def entries(self, dataset: core.Identifier, limit: int) -> Sequence[MemoEntry]:
        """The newest entries of a dataset, without those that no tag leads to; none when there is no dataset."""
        ...

    async def entry(self, dataset: core.Identifier, tag: str) -> MemoEntry | None:
        """The entry that a look-up finds, or None."""
        ...

    async def evict(self, dataset: core.Identifier, tag: str) -> str:
        """Remove an entry; answers the id of the artifact that went with it, empty when nothing did."""
        ...
