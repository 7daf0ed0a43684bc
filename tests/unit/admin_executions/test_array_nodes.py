"""Array nodes within compiled workflows."""

from __future__ import annotations

import pytest
from elevon_admin.domain.array_nodes import element_of, find_array
from elevon_idl.core import v1 as core


def task(name: str) -> core.Identifier:
    return core.Identifier(resource_type=core.TASK, project="p", domain="d", name=name, version="v")


def array(node_id: str, name: str, bound: str) -> core.Node:
    element = core.Node(task_node=core.TaskNode(reference_id=task(name)))
    return core.Node(id=node_id, array_node=core.ArrayNode(node=element, bound_inputs=[bound]))


def workflow(*nodes: core.Node) -> core.CompiledWorkflow:
    return core.CompiledWorkflow(template=core.WorkflowTemplate(nodes=nodes))


@pytest.fixture
def closure() -> core.CompiledWorkflowClosure:
    inner = core.IfElseBlock(case=core.IfBlock(then_node=array("arm", "a", "in an arm")), else_node=core.Node(id="n0"))
    launched = core.Node(id="n5", array_node=core.ArrayNode(node=core.Node(workflow_node=core.WorkflowNode())))
    return core.CompiledWorkflowClosure(
        primary=workflow(core.Node(id="n0"), array("n1", "a", "on top"), launched),
        sub_workflows=[
            workflow(array("n1", "b", "below"), core.Node(id="n2", branch_node=core.BranchNode(if_else=inner)))
        ],
        tasks=[core.CompiledTask(template=core.TaskTemplate(id=task(name))) for name in "ab"],
    )


@pytest.mark.parametrize(
    ("node_id", "name", "bound"), [("n1", "a", "on top"), ("n1", "b", "below"), ("arm", "a", "in an arm")]
)
def test_array_nodes_are_found_wherever_they_are(
    closure: core.CompiledWorkflowClosure, node_id: str, name: str, bound: str
) -> None:
    found = find_array(closure, node_id, task(name))
    assert found is not None
    assert found.array.bound_inputs == [bound]
    assert found.task is not None
    assert found.task.id == task(name)


def test_what_is_no_such_array(closure: core.CompiledWorkflowClosure) -> None:
    assert find_array(closure, "n0", task("a")) is None
    assert find_array(closure, "arm", task("b")) is None
    launched = find_array(closure, "n5", task("plan"))
    assert launched is not None
    assert launched.task is None


@pytest.mark.parametrize(
    ("node_id", "element"),
    [("n0-0-n1", ("n0", 1)), ("n0-1-dn2-0-n13", ("n0-1-dn2", 13)), ("n0", None), ("n1-0-n", None)],
)
def test_names_of_elements(node_id: str, element: tuple[str, int] | None) -> None:
    assert element_of(node_id) == element
