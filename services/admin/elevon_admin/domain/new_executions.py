"""What an execution looks like when it is created: its spec, its closure, its tags, and what the engine is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_admin.domain.concurrency import forget_waiting
from elevon_admin.domain.entities import LaunchParts
from elevon_admin.domain.execution_config import ExecutionConfig, effective_notifications
from elevon_admin.domain.executions import LaunchSituation
from elevon_admin.domain.records import ExecutionKey


@dataclass(slots=True)
class LaunchRequest:
    """A request to create an execution, whichever call it came by; an empty name asks for a generated one.

    `source` is the earlier execution of a relaunch or recovery.
    """

    project: str
    domain: str
    name: str
    spec: admin.ExecutionSpec | None
    inputs: core.LiteralMap
    principal: str = ""
    source: ExecutionKey | None = None
    source_row: int | None = None
    recovers: bool = False


def stored_spec(
    spec: admin.ExecutionSpec,
    config: ExecutionConfig,
    principal: str,
    parent: LaunchSituation | None,
    namespace: str,
) -> admin.ExecutionSpec:
    """The spec as it is kept: what the client must not decide is overwritten, inputs are kept elsewhere."""
    stored = admin.ExecutionSpec()
    stored.CopyFrom(spec)
    stored.ClearField("inputs")
    if stored.HasField("annotations"):
        forget_waiting(stored.annotations.values)
    metadata = stored.metadata
    metadata.principal = principal if parent is None else parent.user
    if parent is not None:
        metadata.nesting = parent.nesting + 1
        if parent.cluster_label:
            stored.execution_cluster_label.value = parent.cluster_label
    metadata.ClearField("artifact_ids")
    metadata.system_metadata.Clear()
    metadata.system_metadata.namespace = namespace
    stored.max_parallelism = config.max_parallelism
    stored.security_context.CopyFrom(config.security_context)
    return stored


def new_closure(spec: admin.ExecutionSpec, parts: LaunchParts, principal: str, now: int) -> admin.ExecutionClosure:
    """The closure of an execution that nothing was heard of yet; `now` in nanoseconds."""
    plan = parts.launch_plan.spec if parts.task_row is None else None
    closure = admin.ExecutionClosure(
        phase=core.WorkflowExecution.UNDEFINED,
        workflow_id=parts.workflow_id,
        notifications=effective_notifications(spec, plan),
    )
    closure.created_at.FromNanoseconds(now)
    closure.updated_at.CopyFrom(closure.created_at)
    details = closure.state_change_details
    details.state = admin.EXECUTION_ACTIVE
    details.principal = principal
    details.occurred_at.CopyFrom(closure.created_at)
    return closure


def execution_tags(spec: admin.ExecutionSpec) -> list[tuple[str, str]]:
    """Tags with an empty value, and labels: filters find both as `execution_tag`."""
    return [(tag, "") for tag in spec.tags] + list(spec.labels.values.items())


def options(
    key: ExecutionKey,
    request: LaunchRequest,
    parts: LaunchParts,
    config: ExecutionConfig,
    plugin_overrides: Iterable[admin.PluginOverride],
    now: int,
) -> propeller.CreateExecutionRequest:
    """The hand-over to the engine, without closure and inputs, which are added on the way."""
    message = propeller.CreateExecutionRequest(execution_id=key.identifier())
    message.accepted_at.FromNanoseconds(now)
    resolved = message.options
    resolved.max_parallelism = max(0, config.max_parallelism)
    if config.interruptible is not None:
        resolved.interruptible.value = config.interruptible
    resolved.overwrite_cache = config.overwrite_cache
    resolved.environment.update(config.environment)
    resolved.labels.update(config.labels)
    resolved.annotations.update(config.annotations)
    resolved.raw_output_prefix = config.raw_output_prefix
    resolved.security_context.CopyFrom(config.security_context)
    if request.recovers and request.source is not None:
        resolved.recovered_from.CopyFrom(request.source.identifier())
    resolved.plugin_overrides.extend(plugin_overrides)
    if parts.task_row is None:
        resolved.launch_plan_id.CopyFrom(parts.launch_plan.id)
    return message
