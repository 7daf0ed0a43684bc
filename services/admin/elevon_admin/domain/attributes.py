"""Matchable attributes: what is set for a project, a domain or a workflow, and which of it counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from elevon_core.compiler import quantities
from elevon_core.errors import InvalidArgument, NotFound
from elevon_core.identifiers import validate_name, validate_part
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.environments import check_environment
from elevon_admin.domain.kubernetes_names import check_labels

ResourceType: TypeAlias = "admin.MatchableResource.ValueType"
"""What kind of thing is set."""

RESOURCE_NAMES: dict[int, str] = {number: name for name, number in admin.MatchableResource.items()}

_SETTABLE: dict[str, ResourceType] = {
    "task_resource_attributes": admin.TASK_RESOURCE,
    "cluster_resource_attributes": admin.CLUSTER_RESOURCE,
    "execution_queue_attributes": admin.EXECUTION_QUEUE,
    "execution_cluster_label": admin.EXECUTION_CLUSTER_LABEL,
    "plugin_overrides": admin.PLUGIN_OVERRIDE,
    "workflow_execution_config": admin.WORKFLOW_EXECUTION_CONFIG,
    "cluster_assignment": admin.CLUSTER_ASSIGNMENT,
}
"""Members of the message to what they set; `quality_of_service` is not among them."""

_LARGEST_PARALLELISM = 2**31 - 1


class AttributeScope(NamedTuple):
    """Where something is set, or where it is asked for; an empty part means any."""

    project: str
    domain: str = ""
    workflow: str = ""
    launch_plan: str = ""

    @property
    def priority(self) -> int:
        """The larger, the more specific."""
        if self.launch_plan:
            return 1000
        if self.workflow:
            return 100
        return 10 if self.domain else 5

    def wider(self) -> Iterator[AttributeScope]:
        """This scope and those that contain it, the most specific first; each once."""
        seen = None
        for parts in (self, self[:3], self[:2], self[:1]):
            scope = AttributeScope(*parts)
            if scope != seen:
                yield scope
            seen = scope


@dataclass(frozen=True, slots=True)
class StoredAttributes:
    """One setting; shared between callers, so nobody may change the message."""

    scope: AttributeScope
    resource_type: int
    attributes: admin.MatchingAttributes

    def configuration(self) -> admin.MatchableAttributesConfiguration:
        """The setting as lists show it."""
        return admin.MatchableAttributesConfiguration(attributes=self.attributes, **self.scope._asdict())


def resource_type_of(attributes: admin.MatchingAttributes, scope: AttributeScope) -> ResourceType:
    """What the attributes set; raises InvalidArgument for what cannot be set and for values that break a rule."""
    member = attributes.WhichOneof("target")
    if member is None or member not in _SETTABLE:
        place = "-".join(part for part in scope if part)
        raise InvalidArgument(
            f"unrecognized matching attributes type for request {place}: {member or 'nothing is set'}"
        )
    if member == "task_resource_attributes":
        _check_resources(attributes.task_resource_attributes)
    elif member == "plugin_overrides":
        _check_overrides(attributes.plugin_overrides)
    elif member == "workflow_execution_config":
        parallelism = attributes.workflow_execution_config.max_parallelism
        if parallelism < 0:
            rule = f"must be between 0, which is unlimited, and {_LARGEST_PARALLELISM}"
            raise InvalidArgument.invalid("workflow_execution_config.max_parallelism", parallelism, rule)
        _check_taken_over(attributes.workflow_execution_config)
    return _SETTABLE[member]


def _check_taken_over(config: admin.WorkflowExecutionConfig) -> None:
    """What executions take over would refuse every one of them that says it again, such as children do."""
    check_environment(config.envs.values, "workflow_execution_config.envs")
    check_labels(config.labels.values, len(config.labels.values))


def _check_resources(resources: admin.TaskResourceAttributes) -> None:
    """A quantity that cannot be read would refuse every task of the project."""
    for kind, spec in (("defaults", resources.defaults), ("limits", resources.limits)):
        for field, value in spec.ListFields():
            quantities.amount(value, f"task_resource_attributes.{kind}.{field.name}")


def _check_overrides(overrides: admin.PluginOverrides) -> None:
    for index, override in enumerate(overrides.overrides):
        if not override.task_type:
            raise InvalidArgument.missing(f"plugin_overrides.overrides[{index}].task_type")


def check_resource_type(resource_type: int) -> None:
    """Raise InvalidArgument for a number that is no MatchableResource."""
    if resource_type not in RESOURCE_NAMES:
        raise InvalidArgument.invalid("resource_type", resource_type, "it is not a MatchableResource")


def check_scope(scope: AttributeScope) -> None:
    """Raise InvalidArgument for parts that are set and break the rule for parts of identifiers, or for names."""
    for field, value in scope._asdict().items():
        if value:
            (validate_name if field in ("workflow", "launch_plan") else validate_part)(value, field)


def replaced(present: admin.MatchingAttributes | None, given: admin.MatchingAttributes) -> admin.MatchingAttributes:
    """What is stored after an update: what is given, but plugin overrides are merged by task type.

    The order is stable: a task type keeps its place, new ones come last in the order given.
    """
    changed = admin.MatchingAttributes()
    changed.CopyFrom(given)
    if given.WhichOneof("target") != "plugin_overrides":
        return changed
    overrides = {} if present is None else {each.task_type: each for each in present.plugin_overrides.overrides}
    overrides.update((each.task_type, each) for each in given.plugin_overrides.overrides)
    changed.plugin_overrides.ClearField("overrides")
    changed.plugin_overrides.overrides.extend(overrides.values())
    return changed


def no_attributes(scope: AttributeScope, resource_type: int) -> NotFound:
    """The error of a look-up that finds nothing."""
    kind = RESOURCE_NAMES.get(resource_type, str(resource_type))
    return NotFound(
        f"Resource [{{Project:{scope.project} Domain:{scope.domain} Workflow:{scope.workflow} "
        f"LaunchPlan:{scope.launch_plan} ResourceType:{kind}}}] not found"
    )


def assigned_pool(requested: str, assigned: str) -> str:
    """The cluster pool of an execution; raises InvalidArgument when request and attribute name different ones."""
    if requested and assigned and requested != assigned:
        rule = f"the attributes of this project and domain assign the pool {assigned!r}"
        raise InvalidArgument.invalid("cluster_assignment.cluster_pool_name", requested, rule)
    return requested or assigned
