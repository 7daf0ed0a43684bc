"""What the simulator has found, each as the smallest play that shows it."""

from __future__ import annotations

import pytest
from elevon_propeller.simulation.blueprint import Graph, Step
from elevon_propeller.simulation.faults import Danger

from tests.simulation.staging import staged

SEEDS = range(8)
TASK = Step("n0", "task", task="t0")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_start_whose_answer_was_lost_is_not_made_again_after_the_end(seed: int) -> None:
    staged([TASK], ("plugin: start", Danger.UNHEARD, 0.0), seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_start_of_one_attempt_does_not_hide_that_of_the_next_from_its_stop(seed: int) -> None:
    failing = Step("n0", "task", task="t0", fates=("BS",))
    slow = [("start top-n0-0", Danger.SLOW_ANSWER, 1.0), ("start top-n0-1", Danger.LATE, 5.0)]
    staged([failing], *slow, seed=seed, abort_after=4.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_shards_are_taken_over_although_the_store_fails_in_between(seed: int) -> None:
    staged([TASK], ("commit top=1", Danger.CRASH_AFTER, 0.0), ("read nodes", Danger.REFUSED, 0.0), seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_execution_that_ended_while_it_was_looked_for_does_not_begin_again(seed: int) -> None:
    staged([TASK], ("look around", Danger.LATE, 3.0), seed=seed, replicas=2)


def test_large_outputs_of_a_sub_workflow_reach_those_that_follow() -> None:
    inner = Step("n0", "workflow", graph=Graph("g1", (Step("n0", "task", task="t0"),), "n0"))
    staged([inner, Step("n1", "task", ("n0",), task="t1")], inline_limit=0)


def test_large_outputs_of_an_arm_reach_those_that_follow() -> None:
    branch = Step("n0", "branch", arms=((1, Step("a0", "task", task="t0")), (1_000, Step("a1", "task", task="t1"))))
    staged([branch, Step("n1", "task", ("n0",), task="t2")], inline_limit=0)


def test_an_array_of_no_executions_has_outputs() -> None:
    launches = Step("n0", "array_plan", fates=(), graph=Graph("g1", (Step("n0", "task", task="t0"),), "n0"))
    staged([launches, Step("n1", "task", ("n0",), task="t1")])


@pytest.mark.parametrize("seed", SEEDS)
def test_another_attempt_after_a_restart_has_its_inputs(seed: int) -> None:
    hanging = Graph("g1", (Step("n0", "task", task="t2", fates=("H",), timeout=0.3),), "n0")
    dynamic = Step("n1", "dynamic", ("n0",), task="t1", retries=1, graph=hanging)
    steps = [Step("n0", "task", task="t0", files=True), dynamic]
    faults = [("start top-n1-0-n0-0", Danger.CRASH_AFTER, 0.0), ("read s3://", Danger.LATE, 3.0)]
    staged(steps, *faults, seed=seed, inline_limit=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_commit_that_was_written_and_is_looked_for_in_vain_is_not_lost(seed: int) -> None:
    staged([TASK], ("commit top=1", Danger.UNHEARD, 0.0), ("find top", Danger.REFUSED, 0.0), seed=seed)
