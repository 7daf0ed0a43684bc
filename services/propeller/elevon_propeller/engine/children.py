"""The executions that launch-plan nodes start: their names, and what admin is asked for."""

from __future__ import annotations

from elevon_core import naming
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.state import ExecutionState, NodeState

LAUNCHED = b"launched"
"""`NodeState.detail` once admin has the execution of the present attempt."""
RECOVERS = b"recovers:"
"""The detail of a node whose execution is to go on with one that the original has launched; its name follows."""
TAKEN_OVER = b"taken over:"
"""The detail of a node that was taken over from the original; the name of the execution it launched follows."""

SHARD_LABEL = "shard-key"
"""A label of one execution that its children do not inherit."""


def identifier(state: ExecutionState, node: NodeState) -> core.WorkflowExecutionIdentifier:
    """The execution that the present attempt starts, or has; the same whenever it is asked for again."""
    name = naming.child_execution_name(state.identifier.name, node.id, node.attempt)
    if node.detail.startswith(TAKEN_OVER):
        name = told_child(node.detail)
    return core.WorkflowExecutionIdentifier(project=state.identifier.project, domain=state.identifier.domain, name=name)


def is_launched(node: NodeState) -> bool:
    """Whether admin has the node's execution."""
    return node.detail == LAUNCHED or node.detail.startswith(TAKEN_OVER)


def told_child(detail: bytes) -> str:
    """The name of another execution's child that a node's detail tells; empty when it tells none."""
    for prefix in (RECOVERS, TAKEN_OVER):
        if detail.startswith(prefix):
            return detail[len(prefix) :].decode()
    return ""


def recover_request(state: ExecutionState, node: NodeState) -> admin.ExecutionRecoverRequest | None:
    """What admin is asked to recover for the present attempt; None when it is to launch from scratch."""
    if not node.detail.startswith(RECOVERS):
        return None
    child = identifier(state, node)
    original = core.WorkflowExecutionIdentifier(
        project=child.project, domain=child.domain, name=told_child(node.detail)
    )
    return admin.ExecutionRecoverRequest(id=original, name=child.name, metadata=_metadata(state, node))


def launch_request(state: ExecutionState, node: NodeState) -> admin.ExecutionCreateRequest:
    """What admin is asked to create for the present attempt: the inputs, and what the parent hands down."""
    child = identifier(state, node)
    return admin.ExecutionCreateRequest(
        project=child.project, domain=child.domain, name=child.name, spec=_spec(state, node), inputs=node.inputs
    )


def termination_cause(state: ExecutionState, reason: str) -> str:
    """Why a child is terminated, as admin is told."""
    return f"cascading abort as parent execution id [{state.identifier.name}] aborted, reason [{reason}]"


def _told_node(node: NodeState) -> NodeState:
    """The node that admin knows: of elements of an array it knows the array."""
    return node.array.node if isinstance(node, ElementState) else node


def _metadata(state: ExecutionState, node: NodeState) -> admin.ExecutionMetadata:
    return admin.ExecutionMetadata(
        mode=admin.ExecutionMetadata.CHILD_WORKFLOW,
        nesting=1,
        parent_node_execution=core.NodeExecutionIdentifier(node_id=_told_node(node).id, execution_id=state.identifier),
    )


def _spec(state: ExecutionState, node: NodeState) -> admin.ExecutionSpec:
    options = state.options
    spec = admin.ExecutionSpec(
        launch_plan=node.plan.template.workflow_node.launchplan_ref,
        metadata=_metadata(state, node),
        labels=admin.Labels(values={name: value for name, value in options.labels.items() if name != SHARD_LABEL}),
        annotations=admin.Annotations(values=dict(options.annotations)),
        max_parallelism=options.max_parallelism,
        overwrite_cache=options.overwrite_cache,
    )
    if options.raw_output_prefix:
        spec.raw_output_data_config.output_location_prefix = options.raw_output_prefix
    if options.HasField("security_context"):
        spec.security_context.CopyFrom(options.security_context)
    if options.HasField("interruptible"):
        spec.interruptible.CopyFrom(options.interruptible)
    for key, value in sorted(options.environment.items()):
        spec.envs.values.add(key=key, value=value)
    return spec
