"""Workflows of nested nodes, compiled by the real compiler, played in simulated worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from elevon_core import identifiers
from elevon_core.compiler import compile_task, compile_workflow
from elevon_idl.core import v1 as core
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

Compile = Callable[..., core.CompiledWorkflowClosure]


def task_node(node_id: str, source: str = "", *, retries: int = 0, after: Sequence[str] = ()) -> core.Node:
    """A task node fed by `x` of another node, or by the workflow's input."""
    reference = closures.identifier(core.ResourceType.TASK, "task-t")
    return core.Node(
        id=node_id,
        metadata=core.NodeMetadata(name=node_id, retries=core.RetryStrategy(retries=retries)),
        inputs=[closures.bind("x", source)],
        upstream_node_ids=list(after),
        task_node=core.TaskNode(reference_id=reference),
    )


def sub_workflow_node(node_id: str, name: str, source: str = "") -> core.Node:
    """A node that runs the sub-workflow of this name."""
    reference = closures.identifier(core.ResourceType.WORKFLOW, name)
    return core.Node(
        id=node_id,
        metadata=core.NodeMetadata(name=node_id),
        inputs=[closures.bind("x", source)],
        workflow_node=core.WorkflowNode(sub_workflow_ref=reference),
    )


def equals(variable: str, value: int) -> core.BooleanExpression:
    """The condition `variable == value`."""
    primitive = core.Primitive(integer=value)
    comparison = core.ComparisonExpression(
        operator=core.ComparisonExpression.EQ,
        left_value=core.Operand(var=variable),
        right_value=core.Operand(primitive=primitive),
    )
    return core.BooleanExpression(comparison=comparison)


def branch_node(
    node_id: str, cases: Mapping[int, core.Node], otherwise: core.Node | core.Error, source: str = ""
) -> core.Node:
    """A node that compares its input `x` with the keys of the cases."""
    blocks = [core.IfBlock(condition=equals("x", value), then_node=arm) for value, arm in cases.items()]
    if_else = core.IfElseBlock(case=blocks[0], other=blocks[1:])
    if isinstance(otherwise, core.Error):
        if_else.error.CopyFrom(otherwise)
    else:
        if_else.else_node.CopyFrom(otherwise)
    return core.Node(
        id=node_id,
        metadata=core.NodeMetadata(name=node_id),
        inputs=[closures.bind("x", source)],
        branch_node=core.BranchNode(if_else=if_else),
    )


def template(
    name: str, nodes: Sequence[core.Node], output: str, failure_node: core.Node | None = None
) -> core.WorkflowTemplate:
    """A workflow with the input `x`, whose output `x` is that of a node."""
    variables = core.VariableMap(variables={"x": core.Variable(type=closures.INTEGER)})
    return core.WorkflowTemplate(
        id=closures.identifier(core.ResourceType.WORKFLOW, name),
        metadata=core.WorkflowMetadata(),
        interface=core.TypedInterface(inputs=variables, outputs=variables),
        nodes=nodes,
        outputs=[closures.bind("x", output)],
        failure_node=failure_node,
    )


@pytest.fixture
def compiled() -> Compile:
    """Compiles a template with its sub-workflows; every task node runs the same echo task."""

    def compile_(main: core.WorkflowTemplate, *subs: core.WorkflowTemplate) -> core.CompiledWorkflowClosure:
        task = compile_task(closures.task_template(TaskNodeSpec("t")))
        return compile_workflow(main, list(subs), {identifiers.key(task.template.id): task}, {})

    return compile_
