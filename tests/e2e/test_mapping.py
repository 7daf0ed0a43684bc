"""Map tasks from end to end, written with the real SDK."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from flyteidl.admin import task_execution_pb2
from flyteidl.core import catalog_pb2, literals_pb2
from flyteidl.core.execution_pb2 import TaskExecution

from tests.e2e.harness import Id, Phase, Plane, integer, string, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "mapping"


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("mapping", VERSION)


def arguments(values: Iterable[int], **others: int | str | list[int]) -> literals_pb2.LiteralMap:
    """A list `values`, and other inputs."""

    def literal(value: int | str | list[int]) -> literals_pb2.Literal:
        if isinstance(value, list):
            items = literals_pb2.LiteralCollection(literals=[integer(item) for item in value])
            return literals_pb2.Literal(collection=items)
        return integer(value) if isinstance(value, int) else string(value)

    return literals_pb2.LiteralMap(
        literals={name: literal(value) for name, value in {"values": list(values), **others}.items()}
    )


def succeeded(plane: Plane, execution: Id) -> list[literals_pb2.Scalar]:
    """The list that an execution has come to."""
    closure = plane.wait(execution, 180).closure
    assert Phase.Name(closure.phase) == "SUCCEEDED", closure.error.message
    return [item.scalar for item in plane.outputs(execution)["o0"].collection.literals]


def numbers(scalars: list[literals_pb2.Scalar]) -> list[int | None]:
    """Their values; None for none, whatever it is wrapped in."""
    plain = [scalar.union.value.scalar if scalar.HasField("union") else scalar for scalar in scalars]
    return [None if scalar.HasField("none_type") else scalar.primitive.integer for scalar in plain]


def array_task(plane: Plane, execution: Id) -> task_execution_pb2.TaskExecution:
    """The one task execution of the map node, as FlyteRemote and the console read it."""
    node = plane.nodes(execution)["n0"]
    assert node.metadata.is_array
    (found,) = plane.attempts(node)
    return found


def phases(found: task_execution_pb2.TaskExecution) -> dict[tuple[int, int], int]:
    resources = found.closure.metadata.external_resources
    return {(item.index, item.retry_attempt): item.phase for item in resources}


def test_a_hundred_elements_are_one_task_execution(plane: Plane) -> None:
    execution = plane.launch("mapping.squares", VERSION, arguments(range(100)))
    assert numbers(succeeded(plane, execution)) == [n * n for n in range(100)]
    found = array_task(plane, execution)
    assert found.closure.phase == TaskExecution.SUCCEEDED
    assert found.closure.task_type == "container_array"
    assert phases(found) == {(index, 0): TaskExecution.SUCCEEDED for index in range(100)}
    resources = found.closure.metadata.external_resources
    assert resources[7].logs[0].name.endswith("-7")
    assert resources[7].external_id == f"{execution.name}-n0-0-n7-0"
    assert len(plane.nodes(execution)) == 3


def test_an_empty_list_comes_to_an_empty_list(plane: Plane) -> None:
    assert succeeded(plane, plane.launch("mapping.squares", VERSION, arguments([]))) == []


def test_failures_within_the_ratio_leave_none(plane: Plane) -> None:
    execution = plane.launch("mapping.half", VERSION, arguments(range(6)))
    assert numbers(succeeded(plane, execution)) == [None, 1, None, 3, None, 5]
    ended = [phase for _, phase in sorted(phases(array_task(plane, execution)).items())]
    assert ended == [TaskExecution.FAILED, TaskExecution.SUCCEEDED] * 3


def test_too_many_failures_fail_with_grouped_errors(plane: Plane) -> None:
    execution = plane.launch("mapping.mostly", VERSION, arguments([0, 4, 1, 2, 3]))
    closure = plane.wait(execution).closure
    assert Phase.Name(closure.phase) == "FAILED"
    for told in ("[0]: ", "[1]: ", "[3]: ", "0 is left", "2 is left"):
        assert told in closure.error.message
    assert closure.error.code
    assert array_task(plane, execution).closure.phase == TaskExecution.FAILED


def test_sixty_percent_of_ten_are_six(plane: Plane) -> None:
    execution = plane.launch("mapping.mostly", VERSION, arguments([1, 3, 5, 7, 9, 11, 0, 0, 0, 0]))
    assert numbers(succeeded(plane, execution)) == [1, 3, 5, 7, 9, 11, None, None, None, None]


def test_concurrency_bounds_what_runs_at_a_time(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("mapping.by_twos", VERSION, arguments(range(6), witness=str(tmp_path)))
    crowds = [count for count in numbers(succeeded(plane, execution)) if count is not None]
    assert len(crowds) == 6
    assert max(crowds) <= 2


def test_bound_inputs_are_whole_for_every_element(plane: Plane) -> None:
    execution = plane.launch("mapping.partly_bound", VERSION, arguments(range(3), factors=[1, 2, 3, 4], offset=5))
    assert numbers(succeeded(plane, execution)) == [5, 15, 25]


def test_elements_are_cached_one_by_one(plane: Plane) -> None:
    def run(values: Iterable[int]) -> tuple[list[str], list[int]]:
        execution = plane.launch("mapping.remembered", VERSION, arguments(values))
        strings = [scalar.primitive.string_value for scalar in succeeded(plane, execution)]
        resources = array_task(plane, execution).closure.metadata.external_resources
        return strings, [item.cache_status for item in resources]

    first, status = run([1, 2, 3])
    assert status == [catalog_pb2.CACHE_POPULATED] * 3
    again, status = run([3, 2, 1, 4])
    assert again[:3] == first[::-1]
    assert status == [catalog_pb2.CACHE_HIT] * 3 + [catalog_pb2.CACHE_POPULATED]


def test_one_element_is_tried_again_alone(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("mapping.stubborn", VERSION, arguments(range(5), witness=str(tmp_path)))
    assert numbers(succeeded(plane, execution)) == [0, 0, 0, 2, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-0", "1-0", "2-0", "3-0", "3-1", "3-2", "4-0"]
    found = phases(array_task(plane, execution))
    assert [found[3, attempt] for attempt in range(3)] == [
        TaskExecution.FAILED,
        TaskExecution.FAILED,
        TaskExecution.SUCCEEDED,
    ]
    assert len(found) == 7


def test_what_cannot_succeed_any_more_is_stopped(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("mapping.hopeless", VERSION, arguments(range(3), witness=str(tmp_path)))
    closure = plane.wait(execution, 90).closure
    assert Phase.Name(closure.phase) == "FAILED"
    assert list(tmp_path.glob("*.finished")) == []
    assert "[0]: " in closure.error.message
    assert "one is enough" in closure.error.message


def test_a_launch_plan_can_be_mapped(plane: Plane) -> None:
    execution = plane.launch("mapping.squares_by_plan", VERSION, arguments(range(4)))
    assert numbers(succeeded(plane, execution)) == [0, 1, 4, 9]
    resources = array_task(plane, execution).closure.metadata.external_resources
    assert len({item.workflow_node_metadata.execution_id.name for item in resources} - {""}) == 4


def test_flyte_remote_reads_a_map(plane: Plane) -> None:
    done = plane.flytekit("python", Path(__file__).parent / "mapping_session.py")
    assert "every step worked" in done.stdout


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Plane]:
    """A control plane whose engine may be killed."""
    plane = Plane(tmp_path / "data")
    yield plane
    plane.close()


def has_files(folder: Path, count: int) -> bool:
    """Whether so many elements have left their lock file."""
    return len(list(folder.glob("*.lock"))) >= count


def test_an_engine_killed_in_the_middle_goes_on(fragile: Plane, tmp_path: Path) -> None:
    fragile.register("mapping", VERSION)
    witness = tmp_path / "witness"
    witness.mkdir()
    execution = fragile.launch("mapping.slowly", VERSION, arguments(range(30), witness=str(witness)))
    for share in (5, 15):
        until(partial(has_files, witness, share), 60, "some elements")
        time.sleep(0.1)
        fragile.kill("propeller")
    assert numbers(succeeded(fragile, execution)) == [n + 1 for n in range(30)]
    assert list(witness.glob("*.overlap")) == []
    assert phases(array_task(fragile, execution)) == {(index, 0): TaskExecution.SUCCEEDED for index in range(30)}
