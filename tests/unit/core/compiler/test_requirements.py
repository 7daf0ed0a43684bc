"""What has to be loaded before a workflow can be compiled."""

from __future__ import annotations

from elevon_core import identifiers
from elevon_core.compiler import requirements
from elevon_idl.core import v1 as core

from tests.unit.core.compiler.templates import Flow, choose, compare, each, embed, launch, run


def test_references_are_found_wherever_nodes_are() -> None:
    nested = choose("n0", (compare(1, 2), run("n0", "in-branch")), otherwise=run("n1", "in-else"))
    flow = (
        Flow()
        .run("n0", "plain")
        .run("n1", "plain")
        .add(choose("n2", (compare(1, 2), nested), (compare(1, 2), launch("n1", "plan-in-branch"))))
        .add(each("n3", run("e", "in-array")), each("n4", launch("e", "plan-in-array")))
        .add(embed("n5", "inner"), launch("n6", "plan"))
        .on_failure(run("f", "on-failure"))
    )
    inner = Flow(name="inner").run("n0", "in-sub-workflow").add(launch("n1", "plan-in-sub-workflow"))
    found = requirements(flow.template, [inner.template])
    assert [task.name for task in found.tasks] == [
        "in-array",
        "in-branch",
        "in-else",
        "in-sub-workflow",
        "on-failure",
        "plain",
    ]
    assert [plan.name for plan in found.launch_plans] == [
        "plan-in-array",
        "plan-in-branch",
        "plan-in-sub-workflow",
        "plan",
    ]
    assert all(task.resource_type == core.TASK for task in found.tasks)


def test_identifiers_are_copies_sorted_by_text() -> None:
    flow = Flow().run("n0", "b").run("n1", "a").run("n2", "a")
    flow.template.nodes[2].task_node.reference_id.version = "v0"
    found = requirements(flow.template)
    assert [identifiers.text(task) for task in found.tasks] == ["p:d:a:v0", "p:d:a:v1", "p:d:b:v1"]
    found.tasks[0].name = "changed"
    assert flow.template.nodes[2].task_node.reference_id.name == "a"


def test_nodes_without_references_are_passed_over() -> None:
    flow = Flow().add(core.Node(id="n0"), core.Node(id="n1", task_node=core.TaskNode()))
    flow.add(core.Node(id="n2", workflow_node=core.WorkflowNode()), core.Node(id="n3", array_node=core.ArrayNode()))
    found = requirements(flow.template)
    assert (found.tasks, found.launch_plans) == ((), ())
