"""Where the files of an execution lie."""

from __future__ import annotations

from elevon_core import naming

from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.state import CHECKPOINT, ExecutionState, NodeState
from elevon_propeller.plugins.contract import AttemptPaths

CHECKPOINTS = "_flytecheckpoints"


def data_prefix(state: ExecutionState, node: NodeState) -> str:
    """The node's folder; only the top level has the segment `data`. Elements of an array share that of the array."""
    parent = node.parent
    if parent is None:
        return f"{state.metadata_prefix}/{node.plan.id}/data"
    if isinstance(node, ElementState):
        folder = data_prefix(state, parent)
        return f"{folder}/{node.index}/{node.attempt}" if node.array.plan.own_files else folder
    return f"{data_prefix(state, parent)}/{node.scope.parent_attempt}/{node.plan.id}"


def output_prefix(state: ExecutionState, node: NodeState, number: int) -> str:
    """The folder of one attempt."""
    if isinstance(node, ElementState):
        array = node.array
        return f"{output_prefix(state, array.node, array.parent_attempt)}/{node.index}/{number}"
    return f"{data_prefix(state, node)}/{number}"


def generated_name(state: ExecutionState, node: NodeState, number: int) -> str:
    """The attempt's name as clients see it; executions of the same name in other projects have the same."""
    if isinstance(node, ElementState):
        return naming.fit(f"{state.identifier.name}-{node.id}-{number}", naming.GENERATED_NAME_LIMIT, bits=64)
    return naming.generated_name(state.identifier.name, node.id, number)


def attempt_name(state: ExecutionState, node: NodeState, number: int) -> str:
    """The attempt's name for plugins, unique among all executions: key of idempotency, folder of its raw data."""
    execution = state.identifier
    return naming.attempt_name(execution.project, execution.domain, execution.name, node.id, number)


def attempt_paths(state: ExecutionState, node: NodeState, number: int, name: str = "") -> AttemptPaths:
    """All paths of one attempt; an execution that recovers another may go on from the other's checkpoints.

    `name` is the attempt's name for plugins, if the caller has it.
    """
    data = data_prefix(state, node)
    earlier = tuple(f"{_raw_prefix(state, node, each)}/{CHECKPOINTS}" for each in reversed(range(number)))
    earlier += inherited_checkpoints(node.detail)
    raw = raw_folder(state.raw_output_prefix, name or attempt_name(state, node, number))
    return AttemptPaths(data, output_prefix(state, node, number), raw, earlier)


def inherited_checkpoints(detail: bytes) -> tuple[str, ...]:
    """The checkpoints of another execution that a task node's detail tells."""
    return tuple(detail[len(CHECKPOINT) :].decode().split("\n")) if detail.startswith(CHECKPOINT) else ()


def checkpoint_uri(raw_output_prefix: str, name: str) -> str:
    """Where the attempt of this name, the one for plugins, keeps its progress."""
    return f"{raw_folder(raw_output_prefix, name)}/{CHECKPOINTS}"


def _raw_prefix(state: ExecutionState, node: NodeState, number: int) -> str:
    return raw_folder(state.raw_output_prefix, attempt_name(state, node, number))


def raw_folder(raw_output_prefix: str, name: str) -> str:
    """Where the attempt of this name, the one for plugins, puts raw data."""
    return f"{raw_output_prefix}/{naming.raw_output_shard(name)}/{name}"
