"""The workflow and launch plan around a single task that is launched by itself."""

from __future__ import annotations

from elevon_core.identifiers import GENERATED_PREFIX
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.entities import EntityKey

LONGEST_NODE_ID = 63
_RESERVED = ("start-node", "end-node")
DEFAULT_RETRIES = 3
"""What a task gets that says nothing about retries."""


def skeleton_key(task: EntityKey) -> EntityKey:
    """The key that the workflow and the launch plan around a task share."""
    return task._replace(name=GENERATED_PREFIX + task.name)


def skeleton_workflow(task: core.TaskTemplate) -> core.WorkflowTemplate:
    """A workflow of one node that passes its inputs to the task and the task's outputs on.

    Equal tasks give equal workflows, byte for byte. The node keeps the task's retries, timeout and interruptibility.
    """
    key = EntityKey.of(task.id)
    node_id = _node_id(task.id.name)
    inputs, outputs = task.interface.inputs.variables, task.interface.outputs.variables
    node = core.Node(
        id=node_id,
        metadata=_node_metadata(node_id, task.metadata),
        inputs=[_binding(name, "") for name in sorted(inputs)],
        task_node=core.TaskNode(reference_id=task.id),
    )
    return core.WorkflowTemplate(
        id=skeleton_key(key).identifier(core.WORKFLOW),
        metadata=core.WorkflowMetadata(),
        interface=task.interface,
        nodes=[node],
        outputs=[_binding(name, node_id) for name in sorted(outputs)],
        metadata_defaults=core.WorkflowMetadataDefaults(),
    )


def skeleton_launch_plan(task: EntityKey) -> admin.LaunchPlanSpec:
    """A launch plan of the skeleton workflow without any settings: those come with each execution."""
    return admin.LaunchPlanSpec(
        workflow_id=skeleton_key(task).identifier(core.WORKFLOW), entity_metadata=admin.LaunchPlanMetadata()
    )


def _node_id(task_name: str) -> str:
    kept = "".join(character for character in task_name[-LONGEST_NODE_ID:] if character.isalnum() or character == "-")
    return kept if kept and kept not in _RESERVED else f"task-{kept}"


def _node_metadata(node_id: str, task: core.TaskMetadata) -> core.NodeMetadata:
    metadata = core.NodeMetadata(name=node_id, retries=core.RetryStrategy(retries=DEFAULT_RETRIES))
    if task.HasField("retries"):
        metadata.retries.CopyFrom(task.retries)
    if task.HasField("timeout"):
        metadata.timeout.CopyFrom(task.timeout)
    if task.HasField("interruptible"):
        metadata.interruptible = task.interruptible
    return metadata


def _binding(variable: str, node_id: str) -> core.Binding:
    promise = core.OutputReference(node_id=node_id, var=variable)
    return core.Binding(var=variable, binding=core.BindingData(promise=promise))
