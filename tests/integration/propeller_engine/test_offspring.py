"""Launched executions and dynamic tasks on real databases: crashes, outages, several replicas."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from elevon_core import identifiers
from elevon_core.compiler import LaunchPlanInterface, compile_task, compile_workflow
from elevon_core.errors import AlreadyExists, DeadlineExceeded, ResourceExhausted, Unavailable
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.ports import ChildOutcome
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

from tests.integration.propeller_engine.engines import Begin, Engine, echo, eventually, identifier, plugin, report

Node, Workflow = core.NodeExecution, core.WorkflowExecution
PLAN = closures.identifier(core.ResourceType.LAUNCH_PLAN, "plan")
VARIABLE = core.Variable(type=closures.INTEGER)
VARIABLES = core.VariableMap(variables={"x": VARIABLE})
INTERFACE = LaunchPlanInterface(
    core.ParameterMap(parameters={"x": core.Parameter(var=VARIABLE, required=True)}), VARIABLES
)
TASK = closures.task_template(TaskNodeSpec("t"))


def plan_node(node_id: str, binding: core.Binding) -> core.Node:
    """A node that launches the plan."""
    return core.Node(
        id=node_id,
        metadata=core.NodeMetadata(name=node_id),
        inputs=[binding],
        workflow_node=core.WorkflowNode(launchplan_ref=PLAN),
    )


def task_node(node_id: str, binding: core.Binding) -> core.Node:
    """A node that runs the task."""
    return core.Node(
        id=node_id,
        metadata=core.NodeMetadata(name=node_id),
        inputs=[binding],
        task_node=core.TaskNode(reference_id=TASK.id),
    )


def one(binding_value: int = 1) -> core.Binding:
    """Binds `x` to a number."""
    scalar = closures.integers(x=binding_value).literals["x"].scalar
    return core.Binding(var="x", binding=core.BindingData(scalar=scalar))


def workflow(*nodes: core.Node) -> core.CompiledWorkflowClosure:
    """A workflow with input and output `x`, the latter of its last node."""
    template = core.WorkflowTemplate(
        id=closures.identifier(core.ResourceType.WORKFLOW, "outer"),
        interface=core.TypedInterface(inputs=VARIABLES, outputs=VARIABLES),
        nodes=nodes,
        outputs=[closures.bind("x", nodes[-1].id)],
    )
    tasks = {identifiers.key(TASK.id): compile_task(TASK)}
    return compile_workflow(template, [], tasks, {identifiers.key(PLAN): INTERFACE})


LAUNCHING = workflow(plan_node("n0", closures.bind("x", "")))
DYNAMIC = workflow(task_node("n0", closures.bind("x", "")))
CHILD = "parent-n0-0"


def know_plan(engine: Engine) -> None:
    """Register the launch plan with admin."""
    engine.service.launch_plans[identifiers.key(PLAN)] = INTERFACE


def launched(engine: Engine) -> set[str]:
    """The names of the executions that admin was asked for."""
    return {name for _, _, name in engine.service.launched}


async def outputs(engine: Engine, name: str) -> core.LiteralMap:
    """The outputs of an execution."""
    root = engine.runtime.policy.metadata_root
    data = await engine.blobs.read(f"{root}/p-d-{name}/end-node/data/0/outputs.pb")
    return core.LiteralMap.FromString(data)


async def test_the_end_of_a_child_is_told_to_its_parent(begin: Begin) -> None:
    engine = await begin(echo)
    know_plan(engine)
    await engine.create("parent", LAUNCHING)
    await eventually(lambda: launched(engine) == {CHILD})
    await engine.create(CHILD, closures.chain(2))
    assert await engine.wait("parent") == "SUCCEEDED"
    assert await outputs(engine, "parent") == closures.integers(x=1)


@pytest.mark.parametrize(
    ("outcome", "phase", "code"),
    [
        (ChildOutcome(Workflow.SUCCEEDED, outputs=closures.integers(x=4)), "SUCCEEDED", ""),
        (ChildOutcome(Workflow.ABORTED), "FAILED", "RemoteChildWorkflowExecutionFailed"),
        (ChildOutcome(Workflow.TIMED_OUT), "FAILED", "RemoteChildWorkflowExecutionFailed"),
        (ChildOutcome(Workflow.FAILED), "FAILED", "LaunchPlanExecutionFailed"),
        (ChildOutcome(Workflow.FAILED, error=core.ExecutionError(code="X", message="y")), "FAILED", "X"),
        (ChildOutcome(Workflow.SUCCEEDED, outputs_uri="file:///nowhere/outputs.pb"), "FAILED", "OutputsNotFound"),
    ],
)
async def test_a_child_that_runs_elsewhere_is_asked_about(
    begin: Begin, outcome: ChildOutcome, phase: str, code: str
) -> None:
    engine = await begin()
    know_plan(engine)
    await engine.create("parent", LAUNCHING)
    await eventually(lambda: launched(engine) == {CHILD})
    engine.service.end(identifier(CHILD), outcome)
    assert await engine.wait("parent") == phase
    await engine.runtime.outbox.flushed(5)
    assert engine.node_events("n0")[-1].error.code == code


async def test_one_too_many_of_a_launch_plan_fails_the_node_with_what_admin_says(begin: Begin) -> None:
    engine = await begin()
    know_plan(engine)
    engine.service.failures = [AlreadyExists("concurrency limit (1) reached for launch plan plan; skipping execution")]
    await engine.create("parent", LAUNCHING)
    assert await engine.wait("parent") == "FAILED"
    await engine.runtime.outbox.flushed(5)
    last = engine.node_events("n0")[-1]
    assert last.phase == Node.FAILED
    assert not last.HasField("workflow_node_metadata"), "there is no such execution"
    assert "concurrency limit (1) reached for launch plan plan" in last.error.message


async def test_outages_of_admin_delay_a_launch_and_no_more(begin: Begin) -> None:
    engine = await begin(echo)
    know_plan(engine)
    engine.service.failures = [Unavailable("down"), ResourceExhausted("too busy"), DeadlineExceeded("slow")]
    await engine.create("parent", LAUNCHING)
    await eventually(lambda: launched(engine) == {CHILD})
    await engine.create(CHILD, closures.chain(1))
    assert await engine.wait("parent") == "SUCCEEDED"


async def test_a_launch_waits_until_admin_knows_the_node(begin: Begin) -> None:
    engine = await begin(echo)
    know_plan(engine)
    engine.admin.failures = [Unavailable("down")] * 3
    await engine.create("parent", LAUNCHING)
    await eventually(lambda: launched(engine) == {CHILD})
    assert [event.phase for event in engine.node_events("n0")][:1] == [Node.QUEUED]


async def test_a_plan_that_admin_does_not_have_fails_the_node(begin: Begin) -> None:
    engine = await begin(echo)
    await engine.create("parent", LAUNCHING)
    assert await engine.wait("parent") == "FAILED"
    await engine.runtime.outbox.flushed(5)
    error = engine.node_events("n0")[-1].error
    assert (error.code, error.kind) == ("RuntimeExecutionError", core.ExecutionError.USER)
    assert "plan" in error.message


@pytest.mark.parametrize("ended_before", [True, False])
async def test_parent_and_child_survive_a_crash(begin: Begin, ended_before: bool) -> None:
    first = await begin()
    know_plan(first)
    await first.create("parent", LAUNCHING)
    await eventually(lambda: launched(first) == {CHILD})
    await first.create(CHILD, closures.chain(1))
    await eventually(lambda: first.plugin.running)
    await first.stop(dead=True)
    calls = first.service.calls
    second = await begin(echo)
    if ended_before:
        assert await second.wait(CHILD) == "SUCCEEDED"
    assert await second.wait("parent") == "SUCCEEDED"
    assert launched(second) == {CHILD}
    assert second.service.calls <= calls + 1


async def test_an_abort_terminates_the_child(begin: Begin) -> None:
    engine = await begin()
    know_plan(engine)
    await engine.create("parent", LAUNCHING)
    await eventually(lambda: any(event.phase == Node.RUNNING for event in engine.node_events("n0")))
    await engine.abort("parent", "enough")
    assert await engine.wait("parent") == "ABORTED"
    cause = "cascading abort as parent execution id [parent] aborted, reason [enough]"
    assert list(engine.service.causes.values()) == [cause]


async def test_the_end_of_a_child_that_was_never_begun_is_told_at_once(begin: Begin) -> None:
    engine = await begin(echo, child_first_look=60_000_000)
    engine.service.launch_plans[PLAN.project, PLAN.domain, PLAN.name, PLAN.version] = INTERFACE
    await engine.create("parent", workflow(plan_node("n0", one())))
    await eventually(lambda: bool(engine.service.launched))
    ((project, domain, name),) = engine.service.launched
    child = core.WorkflowExecutionIdentifier(project=project, domain=domain, name=name)
    await engine.service.terminate(child, "no longer needed")
    for known in (child, identifier("never-heard-of"), child):
        await engine.executions.tell_end(propeller.TellEndRequest(execution_id=known))
    assert await engine.wait("parent") == "FAILED"


async def test_parents_and_children_may_run_on_different_replicas(begin: Begin) -> None:
    first, second = await begin(echo, lease_seconds=4.0), await begin(echo, lease_seconds=4.0)
    await eventually(lambda: len(second.runtime.driver.epochs) == 8 and len(first.runtime.driver.epochs) == 8)
    know_plan(first)
    names = [f"many{number}" for number in range(8)]
    for name in names:
        await first.create(name, LAUNCHING)
    children = {f"{name}-n0-0" for name in names}
    await eventually(lambda: launched(first) == children)
    for child in sorted(children):
        await second.create(child, closures.chain(1))
    for name in names:
        assert await first.wait(name) == "SUCCEEDED"


def job(*nodes: core.Node, tasks: tuple[core.TaskTemplate, ...] = (TASK,)) -> core.DynamicJobSpec:
    """What a dynamic task yields."""
    return core.DynamicJobSpec(nodes=nodes, tasks=tasks, outputs=[closures.bind("x", nodes[-1].id)])


def yielding(spec: core.DynamicJobSpec) -> Any:
    """A task that is dynamic at the top and echoes below."""

    def script(attempt: Attempt) -> Report:
        if attempt.node_id == "n0":
            return report(AttemptPhase.SUCCEEDED, futures=spec)
        return echo(attempt)

    return script


async def test_a_job_may_refer_to_what_only_admin_has(begin: Begin) -> None:
    spec = job(task_node("dn0", one()), plan_node("dn1", closures.bind("x", "dn0")), tasks=())
    engine = await begin(yielding(spec))
    know_plan(engine)
    engine.service.tasks[identifiers.key(TASK.id)] = compile_task(TASK)
    engine.service.failures = [Unavailable("down"), Unavailable("still")]
    await engine.create("parent", DYNAMIC)
    await eventually(lambda: len(launched(engine)) == 1)
    engine.service.end(
        identifier(next(iter(launched(engine)))), ChildOutcome(Workflow.SUCCEEDED, outputs=closures.integers(x=9))
    )
    assert await engine.wait("parent") == "SUCCEEDED"
    assert await outputs(engine, "parent") == closures.integers(x=9)


async def test_a_job_with_unknown_references_is_the_users_failure(begin: Begin) -> None:
    engine = await begin(yielding(job(task_node("dn0", one()), tasks=())))
    await engine.create("parent", DYNAMIC)
    assert await engine.wait("parent") == "FAILED"
    await engine.runtime.outbox.flushed(5)
    error = engine.node_events("n0")[-1].error
    assert (error.code, error.kind) == ("DynamicWorkflowBuildFailed", core.ExecutionError.USER)
    assert "task-t" in error.message


async def test_a_graph_of_five_thousand_nodes_survives_a_crash(begin: Begin) -> None:
    spec = job(*(task_node(f"dn{number}", one()) for number in range(5_000)))

    def half(attempt: Attempt) -> Report | None:
        held = attempt.node_id.endswith("7") and attempt.node_id != "n0"
        return None if held else yielding(spec)(attempt)

    first = await begin(plugin(half))
    await first.create("parent", DYNAMIC)
    state = first.runtime.driver.actors["p", "d", "parent"].state
    await eventually(lambda: (scope := state.nodes["n0"].children) is not None and scope.unfinished == 501)
    async with first.runtime.driver.committing:
        pass  # what the state has come to is durable now
    await first.stop(dead=True)
    second = await begin(echo)
    assert await second.wait("parent") == "SUCCEEDED"
    assert len(second.plugin.started) == 500
    await second.runtime.outbox.flushed(10)
    told = next(event for event in second.node_events("n0") if event.phase == Node.DYNAMIC_RUNNING)
    workflow_told = told.task_node_metadata.dynamic_workflow.compiled_workflow
    assert len(workflow_told.primary.template.nodes) == 5_002
    ended = {event.id.node_id for event in second.node_events_below("n0") if event.phase == Node.SUCCEEDED}
    assert len(ended) == 5_002


async def test_an_execution_waits_for_files_that_cannot_be_read(begin: Begin) -> None:
    first = await begin(
        plugin(lambda attempt: yielding(job(task_node("dn0", one())))(attempt) if attempt.node_id == "n0" else None)
    )
    await first.create("parent", DYNAMIC)
    await eventually(lambda: "parent-n0-0-dn0-0" in first.plugin.running)
    await first.stop(dead=True)
    root = first.runtime.policy.metadata_root
    uri = f"{root}/p-d-parent/n0/data/0/dynamic_compiled.pb"
    data = await first.blobs.read(uri)
    await first.blobs.delete(uri)
    second = await begin(echo)
    await asyncio.sleep(0.05)
    assert not second.runtime.driver.actors
    await second.blobs.write(uri, data)
    assert await second.wait("parent") == "SUCCEEDED"
