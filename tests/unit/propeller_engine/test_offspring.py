"""Launch-plan nodes and dynamic tasks, compiled by the real compiler, played in simulated worlds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from elevon_core import identifiers, naming
from elevon_core.compiler import LaunchPlanInterface, compile_task, compile_workflow
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine import children
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.plan import build_plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec
from elevon_propeller.simulation.offspring import Offspring
from elevon_propeller.simulation.world import Dangers, Fate, World
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue
from hypothesis import given, settings
from hypothesis import strategies as st

Node, Workflow = core.NodeExecution, core.WorkflowExecution
SEEDS = range(6)
PLAN = closures.identifier(core.ResourceType.LAUNCH_PLAN, "plan")
VARIABLE = core.Variable(type=closures.INTEGER)
VARIABLES = core.VariableMap(variables={"x": VARIABLE})
PLANS = {
    identifiers.key(PLAN): LaunchPlanInterface(
        core.ParameterMap(parameters={"x": core.Parameter(var=VARIABLE, required=True)}), VARIABLES
    )
}


def metadata(node_id: str, seconds: float = 0, retries: int = 0) -> core.NodeMetadata:
    """A node's name, timeout and retries."""
    timeout = Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
    return core.NodeMetadata(name=node_id, timeout=timeout, retries=core.RetryStrategy(retries=retries))


def constant(value: int) -> core.Binding:
    """Binds `x` to a number."""
    scalar = closures.integers(x=value).literals["x"].scalar
    return core.Binding(var="x", binding=core.BindingData(scalar=scalar))


def plan_node(node_id: str, binding: core.Binding, **options: Any) -> core.Node:
    """A node that launches the plan."""
    return core.Node(
        id=node_id,
        metadata=metadata(node_id, **options),
        inputs=[binding],
        workflow_node=core.WorkflowNode(launchplan_ref=PLAN),
    )


def task_node(node_id: str, binding: core.Binding, task: str = "t", **options: Any) -> core.Node:
    """A node that runs the task of this name."""
    reference = closures.identifier(core.ResourceType.TASK, f"task-{task}")
    return core.Node(
        id=node_id,
        metadata=metadata(node_id, **options),
        inputs=[binding],
        task_node=core.TaskNode(reference_id=reference),
    )


def compiled(nodes: Sequence[core.Node], output: str, *specs: TaskNodeSpec) -> core.CompiledWorkflowClosure:
    """A workflow with input and output `x`; its tasks are `t` and those given."""
    template = core.WorkflowTemplate(
        id=closures.identifier(core.ResourceType.WORKFLOW, "outer"),
        interface=core.TypedInterface(inputs=VARIABLES, outputs=VARIABLES),
        nodes=nodes,
        outputs=[closures.bind("x", output)],
    )
    tasks = [compile_task(closures.task_template(spec)) for spec in (TaskNodeSpec("t"), *specs)]
    return compile_workflow(template, [], {identifiers.key(task.template.id): task for task in tasks}, PLANS)


def job(nodes: Sequence[core.Node], output: str, *specs: TaskNodeSpec) -> core.DynamicJobSpec:
    """What a dynamic task yields; it brings its tasks along."""
    tasks = [closures.task_template(spec) for spec in (TaskNodeSpec("t"), *specs)]
    return core.DynamicJobSpec(nodes=nodes, tasks=tasks, outputs=[closures.bind("x", output)])


def world(
    closure: core.CompiledWorkflowClosure,
    seed: int,
    jobs: Mapping[str, core.DynamicJobSpec] | None = None,
    *,
    crash: float = 0.1,
    **options: Any,
) -> World:
    """A world with the input x = 7."""
    return World(
        closure,
        random.Random(seed),
        dangers=Dangers(crash=crash, duplicate=0.2),
        inputs=closures.integers(x=7),
        offspring=Offspring(jobs or {}, PLANS),
        **options,
    )


def told(played: World, node_id: str) -> list[event.NodeExecutionEvent]:
    """The events of a node, in order."""
    return [seen.node for seen in played.events if seen.HasField("node") and seen.node.id.node_id == node_id]


def kind_world(closure: core.CompiledWorkflowClosure, jobs: Mapping[str, core.DynamicJobSpec] | None = None) -> World:
    """A world without dangers."""
    return World(closure, random.Random(1), inputs=closures.integers(x=7), offspring=Offspring(jobs or {}, PLANS))


def test_the_events_of_a_launch_plan_node() -> None:
    played = kind_world(compiled([plan_node("n0", closures.bind("x", ""))], "n0"))
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=7)
    events = told(played, "n0")
    assert [seen.phase for seen in events] == [Node.QUEUED, Node.RUNNING, Node.SUCCEEDED]
    child = core.WorkflowExecutionIdentifier(
        project="p", domain="d", name=naming.child_execution_name("simulated", "n0", 0)
    )
    assert list(played.offspring.launched) == [child.name]
    assert [seen.workflow_node_metadata.execution_id for seen in events[1:]] == [child, child]
    assert not events[0].HasField("workflow_node_metadata")
    assert all(seen.target_entity == PLAN for seen in events)
    assert not any(seen.is_parent for seen in events)
    assert events[2].output_data == closures.integers(x=7)


def test_a_child_inherits_what_its_parent_runs_with() -> None:
    options = propeller.ExecutionOptions(
        max_parallelism=3,
        interruptible=BoolValue(value=True),
        overwrite_cache=True,
        environment={"A": "1"},
        labels={"team": "t", "shard-key": "4"},
        annotations={"note": "n"},
        raw_output_prefix="s3://bucket/raw",
        security_context=core.SecurityContext(run_as=core.Identity(k8s_service_account="robot")),
    )
    plan = build_plan(compiled([plan_node("n0", closures.bind("x", ""))], "n0"), SUPPORTED)
    name = core.WorkflowExecutionIdentifier(project="p", domain="d", name="parent")
    state = ExecutionState(plan, name, core.LiteralMap(), options, 0, "m", "r")
    node = state.nodes["n0"]
    node.inputs = closures.integers(x=4)
    request = children.launch_request(state, node)
    assert (request.project, request.domain, request.name) == ("p", "d", "parent-n0-0")
    assert request.inputs == closures.integers(x=4)
    spec = request.spec
    assert spec.launch_plan == PLAN
    assert spec.metadata.mode == admin.ExecutionMetadata.CHILD_WORKFLOW
    assert spec.metadata.nesting == 1
    assert spec.metadata.parent_node_execution == core.NodeExecutionIdentifier(node_id="n0", execution_id=name)
    assert (spec.max_parallelism, spec.interruptible.value, spec.overwrite_cache) == (3, True, True)
    assert dict(spec.labels.values) == {"team": "t"}
    assert dict(spec.annotations.values) == {"note": "n"}
    assert [(pair.key, pair.value) for pair in spec.envs.values] == [("A", "1")]
    assert spec.raw_output_data_config.output_location_prefix == "s3://bucket/raw"
    assert spec.security_context == options.security_context


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("fate", "code"),
    [
        (Fate.FAILS, "CHILD"),
        (Fate.DIES, "RemoteChildWorkflowExecutionFailed"),
        (Fate.BREAKS, "RuntimeExecutionError"),
    ],
)
def test_how_a_child_ends_badly_is_final(seed: int, fate: Fate, code: str) -> None:
    closure = compiled([plan_node("n0", closures.bind("x", ""), retries=3)], "n0")
    played = world(closure, seed, fates={"n0": [fate, Fate.SUCCEEDS]})
    assert played.run() == ExecutionPhase.FAILED
    assert told(played, "n0")[-1].error.code == code
    assert len(played.offspring.launched) == (0 if fate == Fate.BREAKS else 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_child_that_takes_too_long_is_terminated_and_launched_anew(seed: int) -> None:
    closure = compiled([plan_node("n0", closures.bind("x", ""), seconds=5, retries=1)], "n0")
    played = world(closure, seed, fates={"n0": [Fate.HANGS, Fate.SUCCEEDS]})
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert [child.phase for child in played.offspring.launched.values()] == [Workflow.ABORTED, Workflow.SUCCEEDED]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_abort_terminates_children_with_the_cause(seed: int) -> None:
    closure = compiled([plan_node("n0", closures.bind("x", ""))], "n0")
    played = world(closure, seed, fates={"n0": [Fate.HANGS]})
    played.dangers = Dangers(crash=0.1, abort_after=60)
    assert played.run() == ExecutionPhase.ABORTED
    cause = "cascading abort as parent execution id [simulated] aborted, reason [enough]"
    assert list(played.offspring.causes.values()) == [cause]


FAN = job([task_node("dn0", constant(7)), plan_node("dn1", closures.bind("x", "dn0"))], "dn1")


def test_the_events_of_a_dynamic_task() -> None:
    played = kind_world(compiled([task_node("n0", closures.bind("x", ""))], "n0"), {"n0": FAN})
    assert played.run() == ExecutionPhase.SUCCEEDED
    events = told(played, "n0")
    assert [seen.phase for seen in events] == [Node.QUEUED, Node.RUNNING, Node.DYNAMIC_RUNNING, Node.SUCCEEDED]
    assert [seen.is_dynamic for seen in events] == [False, False, True, True]
    assert [seen.is_parent for seen in events] == [False, False, True, True]
    workflow = events[2].task_node_metadata.dynamic_workflow
    assert workflow.id.name == "dynamic_n0"
    assert len(workflow.id.version) == 10
    assert workflow.dynamic_job_spec_uri.endswith("/n0/data/0/futures.pb")
    assert workflow.compiled_workflow.primary.template.id == workflow.id
    assert not workflow.compiled_workflow.primary.template.interface.inputs.variables
    assert events[3].output_uri.endswith("/n0/data/0/outputs.pb")
    inner = told(played, "n0-0-dn0")
    assert [seen.phase for seen in inner] == [Node.QUEUED, Node.RUNNING, Node.SUCCEEDED]
    assert all(seen.is_in_dynamic_chain and not seen.is_dynamic for seen in inner)
    assert {(seen.parent_node_metadata.node_id, seen.retry_group, seen.spec_node_id) for seen in inner} == {
        ("n0", "0", "dn0")
    }
    launched = told(played, "n0-0-dn1")[-1].workflow_node_metadata.execution_id.name
    assert launched == naming.child_execution_name("simulated", "n0-0-dn1", 0)
    assert played.files[events[3].output_uri] == closures.integers(x=7).SerializeToString()


@pytest.mark.parametrize("seed", SEEDS)
def test_dynamic_tasks_nest_and_are_compiled_once(seed: int) -> None:
    middle = job([task_node("dn0", constant(7), "inner")], "dn0", TaskNodeSpec("inner"))
    innermost = job([task_node("leaf", constant(7))], "leaf")
    closure = compiled([task_node("n0", closures.bind("x", "")), task_node("n1", closures.bind("x", "n0"))], "n1")
    played = world(closure, seed, {"n0": middle, "dn0": innermost}, policy=EnginePolicy(inline_limit=0))
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=7)
    assert played.ledger.phases("n0-0-dn0-0-leaf")[-1] == Node.SUCCEEDED
    assert played.offspring.builds == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_graph_that_does_not_compile_is_the_users_failure(seed: int) -> None:
    wrong = job([task_node("dn0", closures.bind("x", "nobody"))], "dn0")
    closure = compiled([task_node("n0", closures.bind("x", ""), retries=2)], "n0")
    played = world(closure, seed, {"n0": wrong})
    assert played.run() == ExecutionPhase.FAILED
    error = told(played, "n0")[-1].error
    assert (error.code, error.kind) == ("DynamicWorkflowBuildFailed", core.ExecutionError.USER)
    assert "nobody" in error.message


@pytest.mark.parametrize("seed", SEEDS)
def test_a_retry_runs_the_task_again_with_new_children(seed: int) -> None:
    yielded = job([task_node("dn0", constant(7))], "dn0")
    closure = compiled([task_node("n0", closures.bind("x", ""), seconds=5, retries=1)], "n0")
    played = world(closure, seed, {"n0": yielded}, fates={"n0-0-dn0": [Fate.HANGS]})
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.ledger.attempts["n0"] == 2
    assert played.ledger.phases("n0-0-dn0")[-1] == Node.ABORTED
    assert played.ledger.phases("n0-1-dn0")[-1] == Node.SUCCEEDED
    versions = {
        seen.task_node_metadata.dynamic_workflow.id.version
        for seen in told(played, "n0")
        if seen.phase == Node.DYNAMIC_RUNNING
    }
    assert len(versions) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_failure_of_a_dynamic_child_is_final_its_timeout_is_not(seed: int) -> None:
    closure = compiled([task_node("n0", closures.bind("x", ""), retries=1)], "n0")
    failing = job([task_node("dn0", constant(7))], "dn0")
    played = world(closure, seed, {"n0": failing}, fates={"dn0": [Fate.DIES]})
    assert played.run() == ExecutionPhase.FAILED
    assert played.ledger.attempts["n0"] == 1
    assert told(played, "n0")[-1].error.code == "DIES"

    slow = job([task_node("dn0", constant(7), seconds=2, retries=5)], "dn0")
    played = world(closure, seed, {"n0": slow}, fates={"dn0": [Fate.HANGS]})
    assert played.run() == ExecutionPhase.FAILED
    assert played.ledger.attempts["n0"] == 2
    assert told(played, "n0")[-1].error.code == "RetriesExhausted|DynamicNodeFailing"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("limit", [0, 65_536])
def test_a_dynamic_task_is_cached_as_a_whole(seed: int, limit: int) -> None:
    cached = TaskNodeSpec("c", cached=True)
    closure = compiled([task_node("n0", closures.bind("x", ""), "c")], "n0", cached)
    catalog: dict[str, core.LiteralMap] = {}
    statuses = []
    for _ in range(2):
        played = world(closure, seed, {"n0": FAN}, catalog=catalog, policy=EnginePolicy(inline_limit=limit))
        assert played.run() == ExecutionPhase.SUCCEEDED
        assert played.outputs() == closures.integers(x=7)
        statuses.append(told(played, "n0")[-1].task_node_metadata.cache_status)
    assert statuses == [core.CACHE_POPULATED, core.CACHE_HIT]
    assert played.ledger.attempts == {}


BINDINGS = ["", "n0", "n1"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Launch-plan nodes, tasks and dynamic tasks that yield them, among random dangers."""
    fates: dict[str, list[Fate]] = {}
    jobs: dict[str, core.DynamicJobSpec] = {}

    def node(node_id: str, binding: core.Binding, depth: int) -> core.Node:
        seconds = draw(st.sampled_from([0, 0, 5]))
        kinds = [Fate.SUCCEEDS, Fate.SUCCEEDS, Fate.SUCCEEDS, Fate.FAILS, Fate.BREAKS, Fate.DIES]
        choices = st.sampled_from([*kinds, Fate.HANGS] if seconds else kinds)
        fates[node_id] = draw(st.lists(choices, min_size=1, max_size=4))
        options = {"seconds": seconds, "retries": draw(st.integers(0, 2))}
        kind = draw(st.sampled_from(["task", "plan", "dynamic"] if depth else ["task", "plan"]))
        if kind == "plan":
            return plan_node(node_id, binding, **options)
        if kind == "dynamic":
            count = draw(st.integers(1, 3))
            inner = [node(f"{node_id}d{number}", constant(7), depth - 1) for number in range(count)]
            jobs[node_id] = job(inner, inner[-1].id)
        return task_node(node_id, binding, draw(st.sampled_from(["t", "c"])) if depth == 2 else "t", **options)

    nodes = [node(f"n{number}", closures.bind("x", BINDINGS[number]), 2) for number in range(draw(st.integers(1, 3)))]
    return World(
        compiled(nodes, nodes[-1].id, TaskNodeSpec("c", cached=True, serializable=True)),
        random.Random(draw(st.integers(0, 2**32))),
        fates=fates,
        options=propeller.ExecutionOptions(max_parallelism=draw(st.integers(0, 2))),
        dangers=Dangers(
            crash=draw(st.sampled_from([0.0, 0.05, 0.2])),
            duplicate=draw(st.sampled_from([0.0, 0.2])),
            abort_after=draw(st.sampled_from([0, 0, 5, 20, 60])),
        ),
        policy=EnginePolicy(
            inline_limit=draw(st.sampled_from([0, 65_536])), begins_per_step=draw(st.sampled_from([1, 2, 250]))
        ),
        inputs=closures.integers(x=7),
        offspring=Offspring(jobs, PLANS),
    )


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_every_rule_holds_in_every_world(played: World) -> None:
    phase = played.run()
    assert phase in (ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED)
    if phase == ExecutionPhase.SUCCEEDED:
        assert played.outputs() == closures.integers(x=7)
