"""Plays repeat themselves, end as fates decide whatever fails, and shrink to what matters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from elevon_propeller.ports import EventChunk
from elevon_propeller.runtime.batch import ActorBatch
from elevon_propeller.simulation.__main__ import main
from elevon_propeller.simulation.blueprint import steps_of
from elevon_propeller.simulation.scene import Script, UnrulyDriver, play
from elevon_propeller.simulation.shrinking import shrink
from elevon_propeller.simulation.telling import told

KINDS = {"task", "branch", "workflow", "dynamic", "array", "launch_plan", "array_plan", "sleep", "approve", "signal"}


class NumbersEventsAnew(UnrulyDriver):
    """Writes new events over old ones."""

    def _chunks(self, shard: int, shares: list[ActorBatch]) -> list[EventChunk]:
        chunks = super()._chunks(shard, shares)
        for number, chunk in enumerate(chunks, 1):
            chunk.number = number
        return chunks


@pytest.mark.parametrize("seed", range(10))
def test_a_seed_tells_the_same_history_each_time(seed: int) -> None:
    first, second = (play(Script.of_seed(seed), notes=True) for _ in range(2))
    assert first.notes == second.notes
    assert first.happened == second.happened


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_holds_without_its_faults_too(seed: int) -> None:
    outcome = play(replace(Script.of_seed(seed), faults=()))
    assert outcome.violation is None
    assert not outcome.happened


def test_the_faults_of_a_play_can_be_given() -> None:
    outcome = next(found for found in map(play, map(Script.of_seed, range(100))) if len(found.happened) > 5)
    again = play(replace(outcome.script, faults=outcome.happened))
    assert again.happened == outcome.happened
    assert again.seconds == outcome.seconds


def test_blueprints_have_every_kind_of_node_nested_in_others() -> None:
    outer: set[str] = set()
    inner: set[str] = set()
    for seed in range(60):
        graph = Script.of_seed(seed).blueprint.graph
        outer.update(step.kind for step in graph.steps)
        inner.update(step.kind for top in graph.steps if top.graph is not None for step in steps_of(top.graph))
    assert outer == inner == KINDS


def test_what_fails_is_made_small() -> None:
    failed = play(Script.of_seed(1), driver=NumbersEventsAnew)
    smallest = shrink(failed, lambda script: play(script, driver=NumbersEventsAnew))
    assert smallest.violation is not None
    assert failed.violation is not None
    assert smallest.violation.rule is failed.violation.rule
    assert not smallest.happened
    steps = list(steps_of(smallest.script.blueprint.graph))
    assert len(steps) == 1
    again = play(smallest.script, notes=True, driver=NumbersEventsAnew)
    text = told(again)
    assert "every event reaches admin exactly once" in text
    assert "n0: task" in text or steps[0].id in text
    assert "the history" in text


def test_the_command_plays_many_and_one_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "5", "--processes", "1"]) == 0
    assert "5 of 5 seeds" in capsys.readouterr().out
    assert main(["--seed", "3"]) == 0
    assert "all rules hold" in capsys.readouterr().out
