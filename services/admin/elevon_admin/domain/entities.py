"""Registered entities as the store keeps and gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.stored_text import check_text

Kind: TypeAlias = "core.ResourceType.ValueType"
"""Task, workflow, launch plan or data set."""

KIND_NAMES: Mapping[Kind, str] = {
    core.TASK: "TASK",
    core.WORKFLOW: "WORKFLOW",
    core.LAUNCH_PLAN: "LAUNCH_PLAN",
    core.DATASET: "DATASET",
    core.UNSPECIFIED: "UNSPECIFIED",
}
"""How messages call the kinds of entities."""


class EntityKey(NamedTuple):
    """The name of one version of a task, workflow or launch plan; its kind is known from the context."""

    project: str
    domain: str
    name: str
    version: str

    @classmethod
    def of(cls, identifier: core.Identifier) -> EntityKey:
        """The key of an identifier."""
        return cls(identifier.project, identifier.domain, identifier.name, identifier.version)

    def identifier(self, kind: Kind) -> core.Identifier:
        """The identifier of this key."""
        return core.Identifier(
            resource_type=kind, project=self.project, domain=self.domain, name=self.name, version=self.version
        )

    def __str__(self) -> str:
        return ":".join(self)


def check_reference(key: EntityKey, field: str) -> None:
    """Raise InvalidArgument for a key in a request that no database can be asked for; parts may be empty."""
    for part, value in key._asdict().items():
        check_text(f"{field}.{part}", value)


class EntityScope(NamedTuple):
    """What a list is about: a project and domain, and one name where `name` is not empty."""

    project: str
    domain: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Digests:
    """What tells whether a registration repeats an earlier one: of the request, and of what was made of it."""

    request: bytes
    structure: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """What one look-up says before a registration: the state of the project, and who holds the key already."""

    project_state: int | None
    existing: Digests | None


@dataclass(frozen=True, slots=True)
class NewEntity:
    """The part of a registration that all kinds share; `state` is that of the name if it is new."""

    key: EntityKey
    digests: Digests
    created_at: int
    description: admin.DescriptionEntity | None = None
    name_state: int = admin.NAMED_ENTITY_ACTIVE

    @property
    def short_description(self) -> str:
        """The line that lists show."""
        return self.description.short_description if self.description is not None else ""


@dataclass(frozen=True, slots=True)
class NewLaunchPlan:
    """What a launch plan adds to NewEntity; `closure` holds expected inputs and outputs only."""

    spec: admin.LaunchPlanSpec
    closure: admin.LaunchPlanClosure
    workflow_row: int
    schedule_type: str


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A registered task; shared between callers, so nobody may change the message."""

    row: int
    key: EntityKey
    created_at: int
    short_description: str
    compiled: core.CompiledTask
    size: int


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A registered workflow; shared between callers, so nobody may change the message."""

    row: int
    key: EntityKey
    created_at: int
    short_description: str
    closure: core.CompiledWorkflowClosure
    size: int


@dataclass(frozen=True, slots=True)
class WorkflowSummary:
    """A workflow as lists show it: its interface without its nodes."""

    key: EntityKey
    created_at: int
    short_description: str
    interface: core.TypedInterface


@dataclass(frozen=True, slots=True)
class StoredLaunchPlan:
    """A registered launch plan; `state` and `updated_at` were true when it was read."""

    row: int
    key: EntityKey
    created_at: int
    updated_at: int
    state: int
    workflow_row: int
    spec: admin.LaunchPlanSpec
    closure: admin.LaunchPlanClosure


@dataclass(frozen=True, slots=True)
class StoredName:
    """A name with what people say about it."""

    scope: EntityScope
    description: str
    state: int


@dataclass(frozen=True, slots=True)
class StoredProject:
    """A project; `labels` is None when none were ever given."""

    identifier: str
    name: str
    description: str
    labels: admin.Labels | None
    state: int


@dataclass(frozen=True, slots=True)
class LaunchParts:
    """All that is needed to launch: nothing of it changes after registration, apart from the plan's state.

    `launch_plan.closure.state` may be stale; launching does not depend on it. Shared, so nobody may change it.
    `task_row` is set when a single task is launched.
    """

    launch_plan: admin.LaunchPlan
    launch_plan_row: int
    workflow_row: int
    closure: core.CompiledWorkflowClosure
    task_row: int | None = None

    @property
    def workflow_id(self) -> core.Identifier:
        """The workflow that runs."""
        return self.closure.primary.template.id
