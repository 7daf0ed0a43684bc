"""Retries, failures and timeouts of real tasks, with the codes of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2

from tests.e2e.harness import Phase, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "contract"
USER = core_execution_pb2.ExecutionError.USER
SYSTEM = core_execution_pb2.ExecutionError.SYSTEM
TaskPhase = core_execution_pb2.TaskExecution.Phase


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("basics", VERSION)


def witnesses(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_recoverable_failures_are_retried(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("basics.recovers_wf", VERSION, inputs(witness=str(tmp_path)))
    assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
    assert witnesses(tmp_path) == ["attempt-0", "attempt-1", "attempt-2"]
    attempts = plane.attempts(plane.nodes(execution)["n0"])
    assert [TaskPhase.Name(attempt.closure.phase) for attempt in attempts] == ["FAILED", "FAILED", "SUCCEEDED"]
    assert attempts[0].closure.error.code == "USER:Recoverable"
    assert attempts[0].closure.error.kind == USER
    assert plane.outputs(execution)["o0"].scalar.primitive.integer == 2


def test_an_ordinary_exception_is_not_retried(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("basics.wrong_wf", VERSION, inputs(witness=str(tmp_path)))
    ended = plane.wait(execution)
    assert Phase.Name(ended.closure.phase) == "FAILED"
    assert witnesses(tmp_path) == ["attempt-0"]
    assert ended.closure.error.code.startswith("USER:")
    assert ended.closure.error.kind == USER
    assert "this value is wrong for ever" in ended.closure.error.message


def test_the_budget_of_retries_ends(plane: Plane) -> None:
    execution = plane.launch("basics.never_recovers_wf", VERSION)
    ended = plane.wait(execution)
    assert Phase.Name(ended.closure.phase) == "FAILED"
    assert ended.closure.error.code == "RetriesExhausted|USER:Recoverable"
    assert len(plane.attempts(plane.nodes(execution)["n0"])) == 2


def test_a_killed_task_is_retried_as_a_system_failure(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("basics.killed_wf", VERSION, inputs(witness=str(tmp_path)))
    assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
    first, second = plane.attempts(plane.nodes(execution)["n0"])
    assert first.closure.error.kind == SYSTEM
    assert first.closure.error.code == "Interrupted"
    assert second.closure.phase == TaskPhase.SUCCEEDED


def test_a_timeout_ends_an_attempt_and_retries_it(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("basics.slow_once_wf", VERSION, inputs(witness=str(tmp_path)))
    assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
    first, second = plane.attempts(plane.nodes(execution)["n0"])
    assert first.closure.error.code == "TimeoutExpired" or first.closure.phase == TaskPhase.ABORTED
    assert second.closure.phase == TaskPhase.SUCCEEDED
    assert witnesses(tmp_path) == ["attempt-0", "attempt-1"]


def test_terminating_stops_the_task(plane: Plane, tmp_path: Path) -> None:
    from flyteidl.admin import execution_pb2

    execution = plane.launch("basics.long_wf", VERSION, inputs(witness=str(tmp_path)))
    until(lambda: (tmp_path / "started").exists(), 60, "the task to start")
    plane.admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=execution, cause="enough"))
    ended = plane.wait(execution)
    assert Phase.Name(ended.closure.phase) == "ABORTED"
    assert ended.closure.abort_metadata.cause == "enough"
    assert witnesses(tmp_path) == ["started"]


def test_a_single_task_keeps_its_retries(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("basics.recovers", VERSION, inputs(witness=str(tmp_path)), kind=identifier_pb2.TASK)
    assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
    assert len(witnesses(tmp_path)) == 3
