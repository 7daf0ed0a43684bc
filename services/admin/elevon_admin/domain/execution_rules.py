"""What the spec of an execution must look like."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument
from elevon_core.identifiers import validate_identifier, validate_part
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.environments import check_environment
from elevon_admin.domain.kubernetes_names import check_labels
from elevon_admin.domain.launch_plan_rules import check_notification
from elevon_admin.domain.sayable import check_sayable


def check_spec(spec: admin.ExecutionSpec, most_labels: int) -> None:
    """Raise InvalidArgument for the first rule that is broken."""
    _check_target(spec.launch_plan)
    if spec.metadata.mode not in admin.ExecutionMetadata.ExecutionMode.values():
        raise InvalidArgument.invalid("metadata", spec.metadata.mode, "mode must be an ExecutionMode")
    check_sayable(spec, "spec")
    if spec.max_parallelism < 0:
        raise InvalidArgument.invalid("max_parallelism", spec.max_parallelism, "must be 0, for no limit, or more")
    check_environment(spec.envs.values)
    for index, notification in enumerate(spec.notifications.notifications):
        check_notification(notification, f"notifications[{index}]")
    check_labels(spec.labels.values, most_labels)
    for index, tag in enumerate(spec.tags):
        validate_part(tag, f"tags[{index}]")
    if spec.execution_cluster_label.value:
        label = spec.execution_cluster_label.value
        raise InvalidArgument.invalid("execution_cluster_label", label, "this installation has one cluster")


def _check_target(target: core.Identifier) -> None:
    if target.resource_type not in (core.LAUNCH_PLAN, core.TASK):
        known = core.ResourceType.items()
        named = next((text for text, number in known if number == target.resource_type), str(target.resource_type))
        raise InvalidArgument(
            f"Invalid reference entity resource type [{named}], only [{core.ResourceType.Name(core.TASK)}] and "
            f"[{core.ResourceType.Name(core.LAUNCH_PLAN)}] allowed"
        )
    validate_identifier(target, target.resource_type)
