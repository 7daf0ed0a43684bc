"""Executions that recover others, in simulated worlds: what was finished is not done again, the rest is."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from elevon_core import identifiers, naming
from elevon_core.compiler import compile_task, compile_workflow
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine.observations import SignalSet
from elevon_propeller.engine.phases import ExecutionPhase, NodePhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec, TaskNodeSpec
from elevon_propeller.simulation.ledger import Ledger
from elevon_propeller.simulation.offspring import Offspring
from elevon_propeller.simulation.world import Dangers, Fate, World
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.propeller_engine.conftest import branch_node, sub_workflow_node, task_node, template
from tests.unit.propeller_engine.test_nested_nodes import approval, boolean, sleeping
from tests.unit.propeller_engine.test_offspring import PLANS, VARIABLES, constant, plan_node
from tests.unit.propeller_engine.test_simulation import fates_of, graphs

Node = core.NodeExecution
Policy = core.WorkflowMetadata
SEEDS = range(8)
LATER = "again"


def recovering(before: World, seed: int = 0, *, name: str = LATER, **more: Any) -> World:
    """A world in which what the original has left undone works out."""
    options = propeller.ExecutionOptions()
    options.CopyFrom(before.options)
    options.recovered_from.name = before.name
    dangers = Dangers(crash=0.15 if seed % 2 else 0.0, duplicate=0.1)
    given: dict[str, Any] = {
        "dangers": dangers,
        "offspring": Offspring(before.offspring.jobs, PLANS),
        "files": before.files,
        "original": before.left(),
    }
    return World(
        before.closure,
        random.Random(seed),
        name=name,
        options=options,
        policy=before.policy,
        inputs=before.inputs,
        **(given | more),
    )


def succeeded(world: World) -> set[str]:
    """The nodes that have succeeded, by unique id."""
    return {name for name, node in world.left().nodes.items() if node.phase == NodePhase.SUCCEEDED}


def recovered(world: World) -> set[str]:
    """The nodes that were taken over."""
    return {told.node.id.node_id for told in world.events if told.node.phase == Node.RECOVERED}


def started(world: World) -> set[str]:
    """The nodes of which attempts were started."""
    return set(world.ledger.attempts)


EDGES = {"start-node", "end-node"}


@settings(max_examples=200, deadline=None)
@given(graphs(), st.data(), st.integers(0, 2**32), st.sampled_from([0, 0, 5, 15, 30]), st.sampled_from([0, 65_536]))
def test_what_has_succeeded_is_taken_over_and_nothing_else(
    specs: list[TaskNodeSpec], data: st.DataObject, seed: int, abort_after: int, inline_limit: int
) -> None:
    closure = closures.closure(specs, outputs={"x": specs[-1].id}, policy=Policy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    first = World(
        closure,
        random.Random(seed),
        name="first",
        fates=fates_of(data.draw, specs),
        inputs=closures.integers(x=7),
        dangers=Dangers(crash=0.05, abort_after=abort_after),
        policy=EnginePolicy(inline_limit=inline_limit),
    )
    first.run()
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert second.outputs() == closures.integers(x=7)
    done = succeeded(first) - EDGES
    assert recovered(second) == done
    assert started(second) & done == set()


@pytest.mark.parametrize("seed", range(20))
def test_a_recovery_can_be_recovered(seed: int) -> None:
    first = World(
        closures.chain(6), random.Random(seed), name="first", fates={"n3": [Fate.DIES]}, inputs=closures.integers(x=2)
    )
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed, name="second", fates={"n4": [Fate.DIES]})
    assert second.run() == ExecutionPhase.FAILED
    assert recovered(second) == {"n0", "n1", "n2"}
    third = recovering(second, seed + 1, name="third")
    assert third.run() == ExecutionPhase.SUCCEEDED
    assert recovered(third) == {"n0", "n1", "n2", "n3"}
    assert started(third) == {"n4", "n5"}
    assert third.outputs() == closures.integers(x=2)


def test_the_events_of_what_was_taken_over_tell_inputs_outputs_and_the_cache() -> None:
    specs = [TaskNodeSpec("n0", cached=True), TaskNodeSpec("n1", source="n0")]
    closure = closures.closure(specs, outputs={"x": "n1"})
    first = World(closure, random.Random(1), name="first", fates={"n1": [Fate.DIES]}, inputs=closures.integers(x=4))
    first.run()
    second = recovering(first)
    second.run()
    told = [event.node for event in second.events if event.node.id.node_id == "n0"]
    assert [event.phase for event in told] == [Node.RECOVERED]
    assert told[0].input_data == told[0].output_data == closures.integers(x=4)
    assert told[0].task_node_metadata.cache_status == core.CACHE_POPULATED
    assert told[0].task_node_metadata.catalog_key.dataset_id.name == "flyte_task-task-n0"
    assert not [event for event in second.events if event.task.parent_node_execution_id.node_id == "n0"]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_known_of_the_original_means_a_fresh_start(seed: int) -> None:
    first = World(closures.chain(3), random.Random(seed), name="first", inputs=closures.integers(x=2))
    second = recovering(first, seed, original=None)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert started(second) == {"n0", "n1", "n2"}


@pytest.mark.parametrize("seed", SEEDS)
def test_sub_workflows_and_branches_go_on_within(compiled: Any, seed: int) -> None:
    inner = template("inner", [task_node("a"), task_node("b", "a"), task_node("c", "b")], "c")
    arm = sub_workflow_node("arm", "inner", "n0")
    nodes = [sub_workflow_node("n0", "inner"), branch_node("n1", {1: arm}, task_node("other"), "n0")]
    closure = compiled(template("outer", nodes, "n1"), inner)
    first = World(
        closure,
        random.Random(seed),
        name="first",
        inputs=closures.integers(x=1),
        fates={"n1-0-n1-arm-0-b": [Fate.DIES]},
    )
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert recovered(second) == {"n0", "n1-0-n1-arm-0-a"}
    assert started(second) == {"n1-0-n1-arm-0-b", "n1-0-n1-arm-0-c"}
    assert second.outputs() == closures.integers(x=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_later_attempt_of_a_sub_workflow_has_done_is_found(compiled: Any, seed: int) -> None:
    inner = template("inner", [task_node("a"), task_node("b", "a")], "b")
    node = sub_workflow_node("n0", "inner")
    node.metadata.timeout.seconds, node.metadata.retries.retries = 5, 1
    fates = {"n0-0-a": [Fate.HANGS], "n0-1-b": [Fate.DIES]}
    closure = compiled(template("outer", [node], "n0"), inner)
    first = World(closure, random.Random(seed), name="first", inputs=closures.integers(x=1), fates=fates)
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert recovered(second) == {"n0-0-a"}
    assert started(second) == {"n0-0-b"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failure_node_runs_again(compiled: Any, seed: int) -> None:
    main = template("outer", [task_node("n0"), task_node("n1", "n0")], "n1", failure_node=task_node("cleanup"))
    first = World(
        compiled(main), random.Random(seed), name="first", inputs=closures.integers(x=1), fates={"n1": [Fate.DIES]}
    )
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed, fates={"n1": [Fate.DIES]})
    assert second.run() == ExecutionPhase.FAILED
    assert started(second) == {"n1", "cleanup"}


def launching(*nodes: core.Node) -> core.CompiledWorkflowClosure:
    """A workflow whose nodes may launch the plan."""
    outer = core.WorkflowTemplate(
        id=closures.identifier(core.ResourceType.WORKFLOW, "outer"),
        interface=core.TypedInterface(inputs=VARIABLES, outputs=VARIABLES),
        nodes=nodes,
        outputs=[closures.bind("x", nodes[-1].id)],
    )
    task = compile_task(closures.task_template(TaskNodeSpec("t")))
    return compile_workflow(outer, [], {identifiers.key(task.template.id): task}, PLANS)


@pytest.mark.parametrize("seed", SEEDS)
def test_failed_executions_of_launch_plans_are_recovered_themselves(seed: int) -> None:
    nodes = [plan_node("n0", closures.bind("x", "")), plan_node("n1", closures.bind("x", "n0"))]
    first = World(
        launching(*nodes),
        random.Random(seed),
        name="first",
        inputs=closures.integers(x=3),
        fates={"n1": [Fate.FAILS]},
        offspring=Offspring({}, PLANS),
    )
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    child = naming.child_execution_name(LATER, "n1", 0)
    assert set(second.offspring.launched) == {child}
    assert second.offspring.launched[child].recovers == naming.child_execution_name("first", "n1", 0)
    assert recovered(second) == {"n0"}
    (told,) = [event.node for event in second.events if event.node.id.node_id == "n0"]
    taken = naming.child_execution_name("first", "n0", 0)
    assert told.workflow_node_metadata.execution_id.name == taken
    third = recovering(second, seed, name="third")
    third.run()
    (told,) = [event.node for event in third.events if event.node.id.node_id == "n0"]
    assert told.workflow_node_metadata.execution_id.name == taken


def dynamic(fates: Mapping[str, list[Fate]], seed: int, retries: int = 0) -> World:
    """A world with a dynamic task that yields a chain of three."""
    chain = [task_node("dn0"), task_node("dn1", "dn0"), task_node("dn2", "dn1")]
    chain[0].inputs[0].CopyFrom(constant(1))
    task = closures.task_template(TaskNodeSpec("t"))
    job = core.DynamicJobSpec(nodes=chain, tasks=[task], outputs=[closures.bind("x", "dn2")])
    closure = launching(task_node("n0", retries=retries), task_node("n1", "n0"))
    return World(
        closure,
        random.Random(seed),
        name="first",
        inputs=closures.integers(x=3),
        fates=fates,
        offspring=Offspring({"n0": job}, PLANS),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_graph_of_a_dynamic_task_is_gone_on_with(seed: int) -> None:
    first = dynamic({"dn1": [Fate.DIES]}, seed)
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert started(second) == {"n0-0-dn1", "n0-0-dn2", "n1"}
    assert recovered(second) == {"n0-0-dn0"}
    assert second.offspring.builds == 0
    assert second.outputs() == closures.integers(x=1)
    told = [event.node for event in second.events if event.node.id.node_id == "n0"]
    assert [event.phase for event in told] == [Node.QUEUED, Node.RUNNING, Node.DYNAMIC_RUNNING, Node.SUCCEEDED]
    graph = told[2].task_node_metadata.dynamic_workflow
    assert len(graph.compiled_workflow.primary.template.nodes) == 5
    assert LATER in graph.dynamic_job_spec_uri


@pytest.mark.parametrize("seed", SEEDS)
def test_the_graph_of_a_later_attempt_is_gone_on_with(seed: int) -> None:
    first = dynamic({"n0": [Fate.FAILS, Fate.SUCCEEDS], "dn1": [Fate.DIES]}, seed, retries=1)
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert recovered(second) == {"n0-0-dn0"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_graph_that_is_gone_is_made_again(seed: int) -> None:
    first = dynamic({"dn1": [Fate.DIES]}, seed)
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed, files={})
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert started(second) == {"n0", "n0-0-dn0", "n0-0-dn1", "n0-0-dn2", "n1"}
    assert recovered(second) == set()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("gone", [True, False])
def test_a_dynamic_task_that_has_succeeded_is_taken_over_with_its_graph(seed: int, gone: bool) -> None:
    first = dynamic({"n1": [Fate.DIES]}, seed)
    assert first.run() == ExecutionPhase.FAILED
    kept = {uri: data for uri, data in first.files.items() if not gone or "compiled" not in uri}
    second = recovering(first, seed, files=kept)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert started(second) == {"n1"}
    (told,) = [event.node for event in second.events if event.node.id.node_id == "n0"]
    assert told.phase == Node.RECOVERED
    assert told.is_dynamic != gone
    assert told.task_node_metadata.HasField("dynamic_workflow") != gone


def array_world(seed: int, fates: Mapping[str, list[Fate]], **spec: Any) -> World:
    """A world with an array of ten."""
    return World(
        closures.array(ArraySpec(**spec)),
        random.Random(seed),
        name="first",
        inputs=closures.lists(x=range(10), y=range(10)),
        fates=fates,
        dangers=Dangers(crash=0.05 if seed % 3 else 0.0),
        policy=EnginePolicy(element_inline_limit=0 if seed % 2 else 1024),
    )


@pytest.mark.parametrize("seed", range(12))
def test_elements_that_have_succeeded_are_not_run_again(seed: int) -> None:
    first = array_world(seed, {"n0-0-n3": [Fate.DIES]}, runs_all=True)
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert started(second) == {"n0-0-n3"}
    assert second.outputs() == closures.lists(x=range(10), y=range(10))
    last = [event.task for event in second.events if event.HasField("task")][-1]
    assert last.phase == core.TaskExecution.SUCCEEDED
    assert {found.phase for found in last.metadata.external_resources} == {core.TaskExecution.SUCCEEDED}
    assert len(last.metadata.external_resources) == 10
    assert second.rows_of_elements == 0


@pytest.mark.parametrize("seed", range(12))
def test_an_array_goes_on_wherever_it_was_left(seed: int) -> None:
    first = array_world(seed, {}, parallelism=2)
    first.dangers = Dangers(abort_after=10 + 4 * seed)
    first.run()
    node = first.left().nodes.get("n0")
    done = (
        {f"n0-0-n{index}" for index, found in node.elements.items() if found.phase == NodePhase.SUCCEEDED}
        if node
        else set()
    )
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    everything = {f"n0-0-n{index}" for index in range(10)}
    if first.phase == ExecutionPhase.ABORTED:
        assert started(second) == everything - done
    assert second.outputs() == closures.lists(x=range(10), y=range(10))


class Noting(Ledger):
    """Notes where attempts keep their progress, and where they find that of others."""

    def __init__(self) -> None:
        super().__init__(0, EnginePolicy())
        self.earlier: dict[str, tuple[str, ...]] = {}
        self.own: dict[str, str] = {}

    def start_attempt(self, attempt: Attempt, slotless: bool | None = None) -> None:
        """Note an attempt."""
        super().start_attempt(attempt, slotless)
        place = f"{attempt.node_id}-{attempt.number}"
        self.earlier[place], self.own[place] = attempt.paths.earlier_checkpoints, attempt.paths.checkpoint


@pytest.mark.parametrize("seed", SEEDS)
def test_attempts_go_on_from_the_checkpoints_of_the_original(seed: int) -> None:
    first = World(
        closures.closure([TaskNodeSpec("n0", retries=2)], outputs={"x": "n0"}),
        random.Random(seed),
        name="first",
        inputs=closures.integers(x=1),
        fates={"n0": [Fate.FAILS]},
    )
    before = first.ledger = Noting()
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed, fates={"n0": [Fate.FAILS, Fate.SUCCEEDS]})
    after = second.ledger = Noting()
    assert second.run() == ExecutionPhase.SUCCEEDED
    inherited = tuple(before.own[f"n0-{number}"] for number in (2, 1, 0))
    assert after.earlier["n0-0"] == inherited
    assert after.earlier["n0-1"] == (after.own["n0-0"], *inherited)


@pytest.mark.parametrize("seed", SEEDS)
def test_elements_go_on_from_the_checkpoints_of_the_original(seed: int) -> None:
    first = array_world(seed, {"n0-0-n3": [Fate.DIES]}, runs_all=True)
    before = first.ledger = Noting()
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    after = second.ledger = Noting()
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert after.earlier["n0-0-n3-0"] == (before.own["n0-0-n3-0"],)


@pytest.mark.parametrize("seed", SEEDS)
def test_gates_keep_their_signals_unless_they_have_refused(compiled: Any, seed: int) -> None:
    late = approval("gate")
    late.upstream_node_ids.append("n0")
    closure = compiled(template("outer", [task_node("n0"), late], "gate"))
    first = World(
        closure, random.Random(seed), name="first", inputs=closures.integers(x=1), fates={"n0": [Fate.BREAKS] * 9}
    )
    first.later(1_000, SignalSet(0, "ok", boolean(True)))
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    refused = World(closure, random.Random(seed), name="first", inputs=closures.integers(x=1))
    refused.later(1_000, SignalSet(0, "ok", boolean(False)))
    assert refused.run() == ExecutionPhase.FAILED
    third = recovering(refused, seed)
    third.later(5_000_000, SignalSet(0, "ok", boolean(True)))
    assert third.run() == ExecutionPhase.SUCCEEDED
    assert recovered(third) == {"n0"}


@pytest.mark.parametrize("seed", SEEDS)
def test_gates_that_have_passed_are_taken_over(compiled: Any, seed: int) -> None:
    nodes = [sleeping(5), approval("gate"), task_node("n1", "gate", after=["sleep"])]
    closure = compiled(template("outer", nodes, "n1"))
    first = World(closure, random.Random(seed), name="first", inputs=closures.integers(x=1), fates={"n1": [Fate.DIES]})
    first.later(1_000, SignalSet(0, "ok", boolean(True)))
    assert first.run() == ExecutionPhase.FAILED
    second = recovering(first, seed)
    assert second.run() == ExecutionPhase.SUCCEEDED
    assert recovered(second) == {"sleep", "gate"}
    assert second.now < 5_000_000
