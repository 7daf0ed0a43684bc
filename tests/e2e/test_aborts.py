"""An abort reaches everything that an execution of real flytekit runs: processes, what they start, children, gates."""

from __future__ import annotations

from pathlib import Path

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2

from tests.e2e.harness import Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

Phase = core_execution_pb2.WorkflowExecution
Node = core_execution_pb2.NodeExecution
ENDED = {Node.ABORTED, Node.SUCCEEDED, Node.SKIPPED, Node.FAILED}
BEGINNING = 4
"""So many tasks of six begin on the smallest machine; the others wait for a process."""


def noted(witness: Path) -> dict[str, list[int]]:
    """The processes of the tasks that have begun, by task."""
    found = [note for note in witness.iterdir() if not note.name.startswith(".")]
    return {note.name.rsplit("-", 1)[0]: [int(pid) for pid in note.read_text().split()] for note in found}


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that was killed and not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_nothing_keeps_running_after_an_abort(plane: Plane, tmp_path: Path) -> None:
    plane.register("aborting", "aborting")
    execution = plane.launch("aborting.everything", "aborting", inputs(witness=str(tmp_path)))
    until(lambda: len(noted(tmp_path)) >= BEGINNING, 120, "tasks to begin")
    processes = [pid for pids in noted(tmp_path).values() for pid in pids]
    assert all(is_alive(pid) for pid in processes)
    plane.admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=execution, cause="enough"))
    ended = plane.wait(execution)
    assert ended.closure.phase == Phase.ABORTED
    assert ended.closure.abort_metadata.cause == "enough"
    until(lambda: not [pid for pid in processes if is_alive(pid)], 30, "all processes to end")
    nodes = plane.nodes(execution)
    assert {node.closure.phase for node in nodes.values()} <= ENDED
    (launched,) = [node for node in nodes.values() if node.closure.workflow_node_metadata.executionId.name]
    child = plane.wait(launched.closure.workflow_node_metadata.executionId)
    assert child.closure.phase == Phase.ABORTED
    assert all(not is_alive(pid) for pids in noted(tmp_path).values() for pid in pids)
