"""From a node that runs to what a plugin is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from elevon_idl.core import v1 as core

from elevon_propeller.engine import paths, retries
from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.plan import Plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import ExecutionState, NodeState
from elevon_propeller.plugins.contract import Attempt, forever

ARRAY_INDEX = "FLYTE_K8S_ARRAY_INDEX"
_EMPTY = core.LiteralMap()


def build_attempt(
    plan: Plan,
    state: ExecutionState,
    node: NodeState,
    policy: EnginePolicy,
    traceparent: str = "",
    until: Callable[[], float] = forever,
) -> Attempt:
    """The present attempt of a task node, the same whenever it is built again."""
    task = node.plan.task
    assert task is not None
    options = state.options
    override = options.interruptible.value if options.HasField("interruptible") else None
    target = node.plan.template.task_node
    name = paths.attempt_name(state, node, node.attempt)
    return Attempt(
        name=name,
        generated_name=paths.generated_name(state, node, node.attempt),
        execution_id=state.identifier,
        workflow_name=plan.primary.id.name,
        node_id=node.id,
        spec_node_id=node.plan.id,
        number=node.attempt,
        task=task.template,
        inputs=node.inputs or _EMPTY,
        paths=paths.attempt_paths(state, node, node.attempt, name),
        started_at=datetime.fromtimestamp(node.attempt_at / 1_000_000, UTC),
        environment=dict(options.environment) | _array_index(node),
        labels=dict(options.labels),
        annotations=dict(options.annotations),
        overrides=target.overrides if target.HasField("overrides") else None,
        security_context=options.security_context if options.HasField("security_context") else None,
        interruptible=retries.interruptible(node, override, policy),
        console_url=options.console_url,
        traceparent=traceparent,
        shares_inputs_file=isinstance(node, ElementState) and not node.array.plan.own_files,
        until=until,
    )


def _array_index(node: NodeState) -> dict[str, str]:
    """Which element of an array it is, told by naming the variable that holds the number."""
    if not isinstance(node, ElementState):
        return {}
    return {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": ARRAY_INDEX, ARRAY_INDEX: str(node.index)}
