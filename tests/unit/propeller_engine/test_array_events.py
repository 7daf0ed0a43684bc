"""What is told of arrays, event for event."""

from __future__ import annotations

import random

import pytest
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from elevon_propeller.engine import array_events
from elevon_propeller.engine.observations import AbortRequested
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec
from elevon_propeller.simulation.world import Dangers, Fate, World

Node, Task = core.NodeExecution, core.TaskExecution
INPUTS_URI = "file:///tmp/elevon/metadata/propeller/p-d-simulated/n0/data/inputs.pb"


def played(
    spec: ArraySpec,
    size: int,
    fates: dict[int, list[Fate]] | None = None,
    policy: EnginePolicy | None = None,
) -> World:
    """A world that has come to its end."""
    world = World(
        closures.array(spec),
        random.Random(3),
        fates={f"n0-0-n{index}": fate for index, fate in (fates or {}).items()},
        inputs=closures.lists(x=range(size), y=range(size)),
        policy=policy or EnginePolicy(),
    )
    world.run()
    return world


def tasks(world: World) -> list[event.TaskExecutionEvent]:
    return [told.task for told in world.events if told.HasField("task")]


def nodes(world: World) -> list[event.NodeExecutionEvent]:
    return [told.node for told in world.events if told.node.id.node_id == "n0"]


def resources(told: event.TaskExecutionEvent) -> list[tuple[int, int, int]]:
    return [(item.index, item.retry_attempt, item.phase) for item in told.metadata.external_resources]


def test_one_task_execution_tells_of_all_elements() -> None:
    world = played(ArraySpec(retries=1, required=0.5), 3, {1: [Fate.FAILS, Fate.SUCCEEDS], 2: [Fate.DIES]})
    told = tasks(world)
    assert [(each.phase, each.phase_version) for each in told[:2]] == [(Task.QUEUED, 0), (Task.RUNNING, 0)]
    assert [each.phase_version for each in told if each.phase == Task.RUNNING] == list(range(len(told) - 2))
    assert {each.retry_attempt for each in told} == {0}
    assert {each.task_type for each in told} == {"container_array"}
    assert {each.metadata.plugin_identifier for each in told} == {"k8s-array"}
    assert {each.event_version for each in told} == {1}
    assert {each.task_id.name for each in told} == {"map-task"}
    assert {each.parent_node_execution_id.node_id for each in told} == {"n0"}
    assert [each.input_uri for each in told] == [INPUTS_URI] + [""] * (len(told) - 1)
    assert resources(told[0]) == [(0, 0, Task.UNDEFINED), (1, 0, Task.UNDEFINED), (2, 0, Task.UNDEFINED)]
    assert resources(told[-1]) == [
        (0, 0, Task.SUCCEEDED),
        (1, 0, Task.FAILED),
        (1, 1, Task.SUCCEEDED),
        (2, 0, Task.FAILED),
    ]
    assert told[-1].phase == Task.SUCCEEDED
    assert told[-1].output_data == closures.lists(x=[0, 1, None], y=[0, 1, None])
    assert told[-1].metadata.external_resources[2].external_id == "simulated-n0-0-n1-1"


def test_between_first_and_last_only_what_has_changed_is_told() -> None:
    told = tasks(played(ArraySpec(retries=2, parallelism=1), 4, {0: [Fate.FAILS, Fate.FAILS, Fate.SUCCEEDS]}))
    before: dict[tuple[int, int], int] = {}
    for each in told[1:-1]:
        assert each.phase == Task.RUNNING
        for index, number, phase in resources(each):
            assert before.get((index, number)) != phase
            before[index, number] = phase
    assert before[0, 0] == before[0, 1] == Task.FAILED


def test_the_node_is_an_array_and_elements_are_no_nodes() -> None:
    world = played(ArraySpec(), 2)
    assert [told.phase for told in nodes(world)] == [Node.QUEUED, Node.RUNNING, Node.SUCCEEDED]
    assert all(told.is_array and not told.is_parent for told in nodes(world))
    told = {each.node.id.node_id for each in world.events if each.HasField("node")}
    assert told == {"start-node", "n0", "end-node"}


def test_a_failure_carries_the_errors_of_the_elements() -> None:
    world = played(ArraySpec(), 4, {0: [Fate.DIES], 3: [Fate.DIES]}, EnginePolicy())
    error = tasks(world)[-1].error
    assert tasks(world)[-1].phase == Task.FAILED
    assert error.code == "DIES"
    assert error.kind == core.ExecutionError.USER
    assert error.message.endswith(": fails for good\n")
    assert nodes(world)[-1].error == error


def test_lists_of_different_lengths_fail_before_anything_runs() -> None:
    world = World(closures.array(ArraySpec()), random.Random(1), inputs=closures.lists(x=[1], y=[1, 2]))
    assert world.run() == ExecutionPhase.FAILED
    assert tasks(world) == []
    assert nodes(world)[-1].error.code == "InvalidArrayLength"
    assert nodes(world)[-1].error.kind == core.ExecutionError.USER


def test_too_few_elements_for_the_required_number_fail() -> None:
    world = played(ArraySpec(required=5), 3)
    assert world.phase == ExecutionPhase.FAILED
    assert tasks(world)[-1].error.message == "5 elements must succeed, and 0 of 3 have"
    assert world.ledger.attempts == {}


def test_hits_are_told_with_their_cache_status() -> None:
    spec = ArraySpec(cached=True)
    first = played(spec, 3)
    statuses = [item.cache_status for item in tasks(first)[-1].metadata.external_resources]
    assert statuses == [core.CACHE_POPULATED] * 3
    again = World(
        closures.array(spec), random.Random(1), catalog=first.catalog, inputs=closures.lists(x=range(3), y=range(3))
    )
    assert again.run() == ExecutionPhase.SUCCEEDED
    assert again.ledger.attempts == {}
    assert resources(tasks(again)[-1]) == [(index, 0, Task.SUCCEEDED) for index in range(3)]
    assert {item.cache_status for item in tasks(again)[-1].metadata.external_resources} == {core.CACHE_HIT}


def test_an_abort_ends_every_element() -> None:
    world = World(
        closures.array(ArraySpec(parallelism=3)),
        random.Random(1),
        fates={f"n0-0-n{index}": [Fate.HANGS] for index in range(3)},
        inputs=closures.lists(x=range(5), y=range(5)),
    )
    world.later(60_000_000, AbortRequested(0, "enough"))
    assert world.run() == ExecutionPhase.ABORTED
    assert tasks(world)[-1].phase == Task.ABORTED
    phases = [phase for _, _, phase in resources(tasks(world)[-1])]
    assert phases == [Task.ABORTED] * 3 + [Task.UNDEFINED] * 2
    assert tasks(world)[-1].error.message == "enough"
    assert nodes(world)[-1].phase == Node.ABORTED


def test_long_lists_are_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_events, "RESOURCES_PER_EVENT", 4)
    told = tasks(played(ArraySpec(), 10))
    assert [(each.phase, each.phase_version) for each in told[:3]] == [(Task.QUEUED, version) for version in range(3)]
    assert max(len(each.metadata.external_resources) for each in told) == 4
    assert resources(told[-1]) == [(index, 0, Task.SUCCEEDED) for index in (8, 9)]
    versions = [each.phase_version for each in told if each.phase == Task.RUNNING]
    assert versions == list(range(len(versions)))
    assert {index for each in told[-3:] for index, _, _ in resources(each)} == set(range(10))


def test_offloaded_lists_are_read_first() -> None:
    inputs = closures.lists(x=range(3), y=range(3))
    stored = inputs.literals["x"].SerializeToString()
    inputs.literals["x"].offloaded_metadata.uri = "file:///x.pb"
    world = World(
        closures.array(ArraySpec()),
        random.Random(1),
        inputs=inputs,
        files={"file:///x.pb": stored},
        dangers=Dangers(crash=0.1),
    )
    assert world.run() == ExecutionPhase.SUCCEEDED
    assert world.outputs() == closures.lists(x=range(3), y=range(3))


def test_elements_that_hang_are_tried_again_until_their_budget_is_spent() -> None:
    world = played(ArraySpec(retries=1, timeout_seconds=5, required=0.5), 2, {0: [Fate.HANGS]})
    assert world.phase == ExecutionPhase.SUCCEEDED
    assert world.ledger.attempts["n0-0-n0"] == 2
    assert resources(tasks(world)[-1]) == [(0, 0, Task.FAILED), (0, 1, Task.FAILED), (1, 0, Task.SUCCEEDED)]


@pytest.mark.parametrize("crash", [0.0, 0.1])
def test_an_array_that_takes_too_long_begins_again_as_a_whole(crash: float) -> None:
    closure = closures.array(ArraySpec())
    metadata = closure.primary.template.nodes[1].metadata
    metadata.timeout.seconds, metadata.retries.retries = 1, 3
    world = World(
        closure,
        random.Random(2),
        fates={"n0-0-n1": [Fate.HANGS]},
        inputs=closures.lists(x=range(3), y=range(3)),
        dangers=Dangers(crash=crash),
    )
    assert world.run() == ExecutionPhase.SUCCEEDED
    told = tasks(world)
    first = [each for each in told if each.retry_attempt == 0]
    assert (first[-1].phase, first[-1].error.code) == (Task.FAILED, "TimeoutExpired")
    assert told[-1].retry_attempt == 1
    assert told[-1].phase == Task.SUCCEEDED
    assert world.ledger.attempts["n0-1-n1"] == 1
    assert world.rows_of_elements == 0


@pytest.mark.parametrize("crash", [0.0, 0.1])
def test_an_array_may_be_within_a_sub_workflow(crash: float) -> None:
    closure = closures.array(ArraySpec(retries=1))
    inner = core.CompiledWorkflow()
    inner.CopyFrom(closure.primary)
    closure.sub_workflows.append(inner)
    closure.primary.template.id.name = "outer"
    node = closure.primary.template.nodes[1]
    node.ClearField("array_node")
    node.workflow_node.sub_workflow_ref.CopyFrom(inner.template.id)
    world = World(
        closure,
        random.Random(5),
        fates={"n0-0-n0-0-n1": [Fate.FAILS, Fate.SUCCEEDS]},
        inputs=closures.lists(x=range(3), y=range(3)),
        dangers=Dangers(crash=crash),
    )
    assert world.run() == ExecutionPhase.SUCCEEDED
    assert world.outputs() == closures.lists(x=range(3), y=range(3))
    assert {each.parent_node_execution_id.node_id for each in tasks(world)} == {"n0-0-n0"}
    assert (1, 1, Task.SUCCEEDED) in resources(tasks(world)[-1])
