"""What flytekit really sends compiles, and comes out as the engine needs it; `make_fixtures.py` says how it is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from elevon_core import identifiers
from elevon_core.compiler import LaunchPlanInterface, compile_task, compile_workflow, requirements
from elevon_core.compiler.requirements import Key
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from tests.unit.core.compiler.templates import downstream, upstream

FIXTURES = Path(__file__).parent / "fixtures"
WORKFLOWS = sorted(path.name.removesuffix(".workflow.pb") for path in FIXTURES.glob("*.workflow.pb"))
TASKS = sorted(path.name.removesuffix(".task.pb") for path in FIXTURES.glob("*.task.pb"))


def task_spec(name: str) -> admin.TaskSpec:
    return admin.TaskSpec.FromString((FIXTURES / f"{name}.task.pb").read_bytes())


def workflow_spec(name: str) -> admin.WorkflowSpec:
    return admin.WorkflowSpec.FromString((FIXTURES / f"{name}.workflow.pb").read_bytes())


def compiled_tasks() -> dict[Key, core.CompiledTask]:
    """All tasks of the project, and the one that it refers to without registering it."""
    templates = [task_spec(name).template for name in TASKS]
    twice = core.TaskTemplate()
    twice.CopyFrom(task_spec("square").template)
    reference = core.Identifier(
        resource_type=core.TASK, project="elsewhere", domain="development", name="there.twice", version="v9"
    )
    twice.id.CopyFrom(reference)
    return {identifiers.key(template.id): compile_task(template) for template in (*templates, twice)}


def launch_plans() -> dict[Key, LaunchPlanInterface]:
    found = {}
    for name, workflow in (("chain_plan", "chain"), ("fixed_plan", "branches")):
        plan = admin.LaunchPlan.FromString((FIXTURES / f"{name}.launch_plan.pb").read_bytes())
        outputs = workflow_spec(workflow).template.interface.outputs
        found[identifiers.key(plan.id)] = LaunchPlanInterface(plan.spec.default_inputs, outputs)
    return found


def compiled(name: str) -> core.CompiledWorkflowClosure:
    """Compiles with exactly what the workflow says it requires."""
    spec = workflow_spec(name)
    needed = requirements(spec.template, spec.sub_workflows)
    tasks, plans = compiled_tasks(), launch_plans()
    return compile_workflow(
        spec.template,
        spec.sub_workflows,
        {identifiers.key(task): tasks[identifiers.key(task)] for task in needed.tasks},
        {identifiers.key(plan): plans[identifiers.key(plan)] for plan in needed.launch_plans},
    )


@pytest.mark.parametrize("name", TASKS)
def test_tasks_compile(name: str) -> None:
    template = task_spec(name).template
    assert compile_task(template).template == template


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_compile_with_their_requirements(name: str) -> None:
    closure = compiled(name)
    user_nodes = workflow_spec(name).template.nodes
    assert [node.id for node in closure.primary.template.nodes] == [
        "start-node",
        "end-node",
        *(node.id for node in user_nodes),
    ]
    assert closure.SerializeToString(deterministic=True) == compiled(name).SerializeToString(deterministic=True)


def test_conditionals() -> None:
    primary = compiled("branches").primary
    inner, outer = (node.branch_node.if_else for node in primary.template.nodes[3:])
    assert (inner.case.then_node.id, inner.else_node.id) == ("n1-n0", "n1-n1")
    assert (outer.case.then_node.id, outer.other[0].then_node.id) == ("n2-n0", "n2-n1")
    assert upstream(primary) == {
        "n0": ["start-node"],
        "n1": ["n0", "start-node"],
        "n1-n0": ["n0", "start-node"],
        "n1-n1": ["n0"],
        "n2": ["n0", "n1"],
        "n2-n0": ["start-node"],
        "n2-n1": ["n0", "n1"],
        "end-node": ["n2"],
    }
    assert downstream(primary) == {"start-node": ["n0", "n1"], "n0": ["n1", "n2"], "n1": ["n2"], "n2": ["end-node"]}


def test_conditionals_within_conditionals() -> None:
    closure = compiled("nested_branches")
    outer = closure.primary.template.nodes[3].branch_node.if_else
    inner = outer.case.then_node.branch_node.if_else
    assert [outer.case.then_node.id, outer.other[0].then_node.id, outer.else_node.id] == ["n1-n0", "n1-n1", "n1-n2"]
    assert [inner.case.then_node.id, inner.other[0].then_node.id] == ["n1-n0-n0", "n1-n0-n1"]
    assert upstream(closure.primary)["n1-n0-n0"] == ["n0", "start-node"]
    assert [each.template.id.name for each in closure.sub_workflows] == ["flytekit_project.chain"]


def test_map_tasks_gates_and_failure_nodes() -> None:
    assert upstream(compiled("maps").primary)["n1"] == ["n0", "start-node"]
    assert upstream(compiled("gates").primary)["n4"] == ["n0", "n1", "n3"]
    assert upstream(compiled("guarded").primary)["fn0"] == ["start-node"]
    assert upstream(compiled("mapped_plans").primary)["n1"] == ["n0"]


def test_sub_workflows_are_compiled_each_once() -> None:
    closure = compiled("nested")
    names = [each.template.id.name for each in closure.sub_workflows]
    assert sorted(names) == ["flytekit_project.chain", "flytekit_project.nested_inner"]
    assert all(each.connections.upstream for each in closure.sub_workflows)


def test_dynamic_tasks_yield_workflows_that_compile() -> None:
    job = core.DynamicJobSpec.FromString((FIXTURES / "fan_out.dynamic_job.pb").read_bytes())
    parent = task_spec("fan_out").template
    template = core.WorkflowTemplate(
        id=core.Identifier(
            resource_type=core.WORKFLOW, project="p", domain="d", name="dynamic_n0", version="0123456789"
        ),
        interface=core.TypedInterface(outputs=parent.interface.outputs),
        nodes=job.nodes,
        outputs=job.outputs,
    )
    tasks = {identifiers.key(task.id): compile_task(task) for task in job.tasks}
    closure = compile_workflow(template, job.subworkflows, tasks)
    assert upstream(closure.primary) == {
        "dn0": ["start-node"],
        "dn1": ["start-node"],
        "dn2": ["start-node"],
        "dn3": ["start-node"],
        "dn4": ["dn0", "dn1", "dn2", "dn3"],
        "end-node": ["dn4"],
    }
    assert [each.template.id.name for each in closure.sub_workflows] == ["flytekit_project.chain"]
