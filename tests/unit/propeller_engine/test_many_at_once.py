"""Many nodes that may begin at once do so a share at a time, and none is forgotten."""

from __future__ import annotations

import random

import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine.commands import StartAttempt
from elevon_propeller.engine.decision import Decision
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.observations import AbortRequested, ExecutionStarted, Observation, Resumed, TimerFired
from elevon_propeller.engine.phases import ExecutionPhase, NodePhase, TimerKind
from elevon_propeller.engine.plan import build_plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.records import NodeRow, node_row, restore
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.engine.step import step
from elevon_propeller.runtime import reasons
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec
from elevon_propeller.simulation.world import Dangers, Fate, World

WIDTH, SHARE = 10, 4
POLICY = EnginePolicy(begins_per_step=SHARE)
PLAN = build_plan(closures.fan_out(WIDTH), SUPPORTED)
NAME = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e")


class Execution:
    """A fan-out that is stepped through by hand; its rows are kept as a store would."""

    def __init__(self) -> None:
        self.rows: dict[str, NodeRow] = {}
        self.state = self._fresh()

    def _fresh(self) -> ExecutionState:
        inputs = closures.integers(x=7)
        return ExecutionState(PLAN, NAME, inputs, propeller.ExecutionOptions(), 0, "s3://m", "s3://r")

    def see(self, observation: Observation) -> Decision:
        """Take one step."""
        decision = step(PLAN, self.state, observation, POLICY)
        self.rows |= {node.id: node_row(node) for node in decision.nodes.values()}
        return decision

    def crash(self) -> None:
        """Lose everything but the rows."""
        before, self.state = self.state, self._fresh()
        self.state.phase, self.state.started_at = before.phase, before.started_at
        restore(PLAN, self.state, self.rows.values())


def started(decision: Decision) -> list[str]:
    """The nodes whose attempts a step begins."""
    return [command.node_id for command in decision.commands if isinstance(command, StartAttempt)]


def fired(decision: Decision) -> TimerFired:
    """The timer that lets the rest begin; it is due whatever the clock says."""
    (timer,) = (timer for timer in decision.timers if timer.kind == TimerKind.DUE)
    assert timer.at == 0
    return TimerFired(1, timer.node_id, timer.kind, timer.number)


def test_one_step_begins_its_share_and_the_next_ones_the_rest() -> None:
    execution = Execution()
    decision = execution.see(ExecutionStarted(1))
    begun = [started(decision)]
    while any(timer.kind == TimerKind.DUE for timer in decision.timers):
        decision = execution.see(fired(decision))
        begun.append(started(decision))
    # The start node is one of the first share.
    assert [len(some) for some in begun] == [SHARE - 1, SHARE, WIDTH - 2 * SHARE + 1]
    assert len({node_id for some in begun for node_id in some}) == WIDTH


def test_those_that_are_left_say_that_they_begin_shortly() -> None:
    execution = Execution()
    decision = execution.see(ExecutionStarted(1))
    waiting = {node.id for node in execution.state.due}
    assert len(waiting) == WIDTH - SHARE + 1
    told = {node_id: reasons.of_node(execution.state, execution.state.nodes[node_id]) for node_id in waiting}
    assert set(told.values()) == {"begins shortly: many nodes may begin at once"}
    assert not waiting & set(started(decision))


def test_other_observations_neither_begin_more_nor_ask_twice() -> None:
    execution = Execution()
    timer = fired(execution.see(ExecutionStarted(1)))
    decision = execution.see(TimerFired(1, "n0", TimerKind.ATTEMPT_DEADLINE, 5))
    assert not started(decision)
    assert not decision.timers
    assert len(started(execution.see(timer))) == SHARE


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_crash_forgets_none(steps: int) -> None:
    execution = Execution()
    decision = execution.see(ExecutionStarted(1))
    for _ in range(steps):
        decision = execution.see(fired(decision))
    execution.crash()
    decision = execution.see(Resumed(2))
    while execution.state.due:
        decision = execution.see(fired(decision))
    phases = {execution.state.nodes[f"n{number}"].phase for number in range(WIDTH)}
    assert phases == {NodePhase.RUNNING}


def test_those_that_are_left_never_begin_once_the_execution_is_aborted() -> None:
    execution = Execution()
    timer = fired(execution.see(ExecutionStarted(1)))
    execution.see(AbortRequested(1, "enough"))
    assert execution.state.phase == ExecutionPhase.ABORTING
    while execution.state.due:
        decision = execution.see(timer)
        assert not started(decision)
        assert not any(node.phase == NodePhase.QUEUED for node in decision.nodes.values())


@pytest.mark.parametrize("abort_after", range(1, 30))
def test_an_abort_at_any_moment_finds_the_failure_node_begun_or_not_wanted(abort_after: int) -> None:
    made = closures.closure(
        [TaskNodeSpec("n0"), TaskNodeSpec("n1", source="n0")],
        outputs={"x": "n1"},
        policy=core.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE,
        failure_node=TaskNodeSpec("fn"),
    )
    world = World(
        made,
        random.Random(abort_after),
        fates={"n0": [Fate.DIES], "n1": [Fate.SUCCEEDS], "fn": [Fate.SUCCEEDS]},
        options=propeller.ExecutionOptions(),
        dangers=Dangers(abort_after=abort_after),
        policy=EnginePolicy(begins_per_step=1),
        inputs=closures.integers(x=7),
    )
    assert world.run() in (ExecutionPhase.FAILED, ExecutionPhase.ABORTED)
