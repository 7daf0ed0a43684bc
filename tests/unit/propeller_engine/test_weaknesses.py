"""Known weaknesses of other engines that no other test rules out; docs/weaknesses.md lists them all."""

from __future__ import annotations

import random
from typing import Any

import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine.commands import Command, LoadMany, ReserveCache
from elevon_propeller.engine.observations import AbortRequested, ManyLoaded
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec, TaskNodeSpec
from elevon_propeller.simulation.ledger import Ledger
from elevon_propeller.simulation.world import Fate, World

from tests.unit.propeller_engine.conftest import branch_node, task_node, template

Node, Task = core.NodeExecution, core.TaskExecution
SECOND = 1_000_000
LATE = 1_000 * SECOND


def world(closure: core.CompiledWorkflowClosure, seed: int = 0, **more: Any) -> World:
    return World(closure, random.Random(seed), inputs=closures.integers(x=1), **more)


def failures(played: World) -> dict[str, core.ExecutionError]:
    """The error of each node that has failed or timed out."""
    ended = [event.node for event in played.events if event.node.phase in (Node.FAILED, Node.TIMED_OUT)]
    return {node.id.node_id: node.error for node in ended}


@pytest.mark.parametrize("seed", range(5))
def test_an_abort_stops_the_failure_node(compiled: Any, seed: int) -> None:
    main = template("outer", [task_node("n0")], "n0", failure_node=task_node("cleanup"))
    played = world(compiled(main), seed, fates={"n0": [Fate.DIES], "cleanup": [Fate.HANGS]})
    played.later(LATE, AbortRequested(0, "enough"))
    assert played.run() == ExecutionPhase.ABORTED
    assert played.ledger.phases("cleanup")[-1] == Node.ABORTED


def test_a_task_with_a_deck_keeps_its_error(compiled: Any) -> None:
    closure = compiled(template("outer", [task_node("n0")], "n0"))
    closure.tasks[0].template.metadata.generates_deck.value = True
    played = world(closure, fates={"n0": [Fate.DIES]})
    played.run()
    assert failures(played)["n0"].code == "DIES"
    (attempt,) = [event.task for event in played.events if event.task.phase == Task.FAILED]
    assert attempt.error.code == "DIES"
    assert played.events[-1].workflow.error.code == "DIES"


@pytest.mark.parametrize("seed", range(5))
def test_every_failing_node_keeps_its_own_error_and_the_first_is_told_of(compiled: Any, seed: int) -> None:
    main = template("outer", [task_node("n0"), task_node("n1"), task_node("n2", "n1")], "n2")
    main.metadata.on_failure = core.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    played = world(compiled(main), seed, fates={"n0": [Fate.DIES], "n2": [Fate.FAILS]})
    assert played.run() == ExecutionPhase.FAILED
    found = failures(played)
    assert {node_id: error.code for node_id, error in found.items()} == {"n0": "DIES", "n2": "RetriesExhausted|FAILS"}
    first = next(iter(found.values()))
    assert played.events[-1].workflow.error.code == first.code


def test_a_branch_that_times_out_below_says_so(compiled: Any) -> None:
    slow = task_node("one")
    slow.metadata.timeout.FromSeconds(5)
    closure = compiled(template("outer", [branch_node("n0", {1: slow}, task_node("other"))], "n0"))
    played = world(closure, fates={"n0-one": [Fate.HANGS]})
    assert played.run() == ExecutionPhase.FAILED
    for error in (*failures(played).values(), played.events[-1].workflow.error):
        assert "timeout" in error.message
        assert error.code


def test_a_slow_node_never_keeps_others_from_running() -> None:
    options = propeller.ExecutionOptions(max_parallelism=2)
    played = world(closures.fan_out(6), options=options, fates={"n0": [Fate.HANGS]})
    played.later(LATE, AbortRequested(0, "enough"))
    assert played.run() == ExecutionPhase.ABORTED
    ended = [node_id for node_id in (f"n{number}" for number in range(1, 6)) if _succeeded(played, node_id)]
    assert len(ended) == 5


def _succeeded(played: World, node_id: str) -> bool:
    return played.ledger.phases(node_id)[-1:] == [Node.SUCCEEDED]


def test_nothing_waits_for_a_round() -> None:
    """In the simulated world each move takes a millisecond, and timers are the only thing that lets more time pass."""
    played = world(closures.chain(50))
    start = played.now
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.now - start == 1_000 * played.steps


def test_elements_of_an_array_have_no_input_files_of_their_own() -> None:
    played = World(closures.array(ArraySpec()), random.Random(1), inputs=closures.lists(x=range(5), y=range(5)))
    assert played.run() == ExecutionPhase.SUCCEEDED
    inputs = [uri for uri in played.files if uri.endswith("/inputs.pb")]
    assert len(inputs) == 1
    assert inputs[0].endswith("/n0/data/inputs.pb")


class Unreadable(World):
    """Files of elements that are gone."""

    def _load_many(self, command: LoadMany) -> ManyLoaded:
        return ManyLoaded(self.now, command.node_id, command.number, failure="n0/data/0/1/0/outputs.pb is gone")


def test_outputs_that_cannot_be_gathered_fail_the_array_and_never_shorten_it() -> None:
    inputs, policy = closures.lists(x=range(3), y=range(3)), EnginePolicy(element_inline_limit=0)
    played = Unreadable(closures.array(ArraySpec()), random.Random(1), inputs=inputs, policy=policy)
    assert played.run() == ExecutionPhase.FAILED
    assert "is gone" in played.events[-1].workflow.error.message


class Counting(World):
    """Counts how often a reservation is asked for."""

    reserved = 0

    def _carry_out(self, command: Command) -> None:
        self.reserved += isinstance(command, ReserveCache)
        super()._carry_out(command)


def test_a_reservation_is_extended_for_as_long_as_the_task_runs() -> None:
    closure = closures.closure([TaskNodeSpec("n0", cached=True, serializable=True, timeout_seconds=300)])
    played = Counting(closure, random.Random(1), inputs=closures.integers(x=1), fates={"n0": [Fate.HANGS]})
    played.run()
    assert played.reserved >= 300 * SECOND // played.policy.reservation_heartbeat


class Places(Ledger):
    """Notes where attempts find their inputs, and what the input `x` is."""

    def __init__(self, max_parallelism: int, policy: EnginePolicy) -> None:
        super().__init__(max_parallelism, policy)
        self.places: dict[str, int] = {}

    def start_attempt(self, attempt: Attempt, slotless: bool | None = None) -> None:
        """Note it as well."""
        super().start_attempt(attempt, slotless)
        self.places[attempt.paths.inputs.split("/n0/")[1]] = attempt.inputs.literals["x"].scalar.primitive.integer


def test_elements_that_ask_for_input_files_of_their_own_have_a_place_for_them() -> None:
    inputs = closures.lists(x=range(3), y=range(3))
    played = World(closures.array(ArraySpec(own_files=True)), random.Random(1), inputs=inputs)
    ledger = played.ledger = Places(0, played.policy)
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert ledger.places == {f"data/{index}/0/inputs.pb": index for index in range(3)}
