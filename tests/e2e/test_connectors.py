"""Tasks at real connector services: `pyflyte serve connector` with a connector of flytekit's and two of the test's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from flyteidl.admin import agent_pb2, execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.service import agent_pb2_grpc

from tests.e2e.harness import Id, Phase, Plane, inputs, until
from tests.flytekit_environment import flytekit_interpreter
from tests.servers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "connected"
Task = core_execution_pb2.TaskExecution
SETTINGS = "ELEVON_PROPELLER_PLUGINS__CONNECTOR__"


class Connectors:
    """A connector service of flytekit's, which can be killed and started again on its port."""

    def __init__(self, python: Path, log: Path) -> None:
        self.port = free_port()
        self._python = python
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve; returns once the connectors can be listed."""
        arguments = ["--port", str(self.port), "--prometheus_port", "0", "--modules", "connectors"]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [self._python.parent / "pyflyte", "serve", "connector", *arguments],
                cwd=Path(__file__).parent / "project",
                env={"PATH": os.environ["PATH"], "HOME": str(self._log.parent), "NO_COLOR": "1"},
                stdout=log,
                stderr=log,
            )
        until(self._lists, 90, "the connectors")

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _lists(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            try:
                stub = agent_pb2_grpc.AgentMetadataServiceStub(channel)
                return bool(stub.ListAgents(agent_pb2.ListAgentsRequest(), timeout=5).agents)
            except grpc.RpcError:
                return False


@dataclass
class Place:
    """A control plane with its connectors, and an execution that was created before there were any."""

    plane: Plane
    connectors: Connectors
    early: Id
    early_reason: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("connected")
    environment = {SETTINGS + "FIRST_POLL": "PT0.1S", SETTINGS + "POLL_INTERVAL": "PT1S"}
    connectors = Connectors(flytekit_interpreter(), folder / "connectors.log")
    plane = Plane(folder / "plane", environment, connectors=[f"127.0.0.1:{connectors.port}"])
    try:
        plane.register("connected", VERSION)
        early = plane.launch("connected.sensed", VERSION, inputs(path=str(folder)))
        reason = until(lambda: reasons(plane, early, "n0"), 60, "a reason")
        connectors.start()
        yield Place(plane, connectors, early, reason)
    finally:
        plane.close()
        connectors.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the jobs of a test note what happens to them."""
    made = tmp_path / "job"
    made.mkdir()
    return made


def calls(folder: Path, what: str) -> list[str]:
    """The names of jobs that were created or deleted, in order."""
    path = folder / "calls.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [name for kind, name in map(json.loads, lines) if kind == what]


def attempts(plane: Plane, execution: Id, node: str) -> list[task_execution_pb2.TaskExecution]:
    """The attempts of a node that is there."""
    found = plane.patiently(lambda: plane.nodes(execution)).get(node)
    return plane.patiently(lambda: plane.attempts(found)) if found is not None else []


def reasons(plane: Plane, execution: Id, node: str) -> str:
    """All reasons told of a node's last attempt."""
    found = attempts(plane, execution, node)
    return "\n".join(each.message for each in found[-1].closure.reasons) if found else ""


def phases(plane: Plane, execution: Id) -> list[int]:
    """The phases of the attempts of the first node."""
    return [each.closure.phase for each in attempts(plane, execution, "n0")]


def launch(place: Place, name: str, folder: Path, behaviour: str = "") -> Id:
    return place.plane.launch(f"connected.{name}", VERSION, inputs(folder=str(folder), behaviour=behaviour))


def ended(place: Place, name: str, folder: Path, behaviour: str) -> execution_pb2.Execution:
    """An execution whose job was let go from the beginning, at its end."""
    (folder / "go").touch()
    return place.plane.wait(launch(place, name, folder, behaviour))


def running(place: Place, execution: Id, node: str = "n0") -> None:
    """Wait until a job runs."""
    until(lambda: "working on it" in reasons(place.plane, execution, node), 60, "a job that runs")


def test_a_task_waits_for_connectors_that_come_later(place: Place) -> None:
    assert f"127.0.0.1:{place.connectors.port}" in place.early_reason
    assert place.plane.wait(place.early).closure.phase == Phase.SUCCEEDED


def test_flytekits_file_sensor_waits_for_a_file(place: Place, folder: Path) -> None:
    path = folder / "awaited"
    execution = place.plane.launch("connected.sensed", VERSION, inputs(path=str(path)))
    until(
        lambda: [each for each in attempts(place.plane, execution, "n0") if each.closure.phase == Task.RUNNING], 60, ""
    )
    path.touch()
    assert place.plane.wait(execution).closure.phase == Phase.SUCCEEDED
    (attempt,) = attempts(place.plane, execution, "n0")
    assert attempt.closure.metadata.plugin_identifier == "connector-service"
    assert attempt.closure.task_type == "sensor"


@pytest.mark.parametrize("behaviour", ["inline", "file"])
def test_outputs_links_and_words_of_a_job_arrive(place: Place, folder: Path, behaviour: str) -> None:
    execution = launch(place, "job_wf", folder, behaviour)
    running(place, execution)
    (folder / "go").touch()
    assert place.plane.wait(execution).closure.phase == Phase.SUCCEEDED
    assert place.plane.outputs(execution)["o0"].scalar.primitive.integer == 42
    (attempt,) = attempts(place.plane, execution, "n0")
    assert [(log.uri, log.name) for log in attempt.closure.logs] == [("http://jobs.example/n0-0", "Job page")]
    assert attempt.closure.custom_info["behaviour"] == behaviour
    assert "all done" in reasons(place.plane, execution, "n0")
    assert calls(folder, "created") == ["n0-0"]
    assert calls(folder, "deleted") == []


@pytest.mark.parametrize(
    ("name", "behaviour", "words"),
    [
        ("job_wf", "refuse", ["no such warehouse: adjust the task's configuration", "connector service 'default'"]),
        ("job_wf", "fail", ["table `orders` does not exist", "connector service 'default'"]),
        ("job_wf", "wrong type", ["answer is str, int is expected", "connector service 'default'"]),
        ("job_wf", "nothing", ["its answer has no outputs", "['answer']", "connector service 'default'"]),
        ("ask_wf", "refuse", ["nobody knows", "connector service 'default'"]),
        ("ask_wf", "fail", ["the answer is forbidden", "connector service 'default'"]),
    ],
)
def test_failures_tell_the_user_what_to_do(
    place: Place, folder: Path, name: str, behaviour: str, words: list[str]
) -> None:
    execution = ended(place, name, folder, behaviour)
    assert execution.closure.phase == Phase.FAILED
    (attempt,) = attempts(place.plane, execution.id, "n0")
    assert attempt.closure.phase == Task.FAILED
    for word in words:
        assert word in attempt.closure.error.message
        assert word in execution.closure.error.message


def test_a_failure_that_may_pass_is_tried_again(place: Place, folder: Path) -> None:
    execution = ended(place, "persistent_wf", folder, "fail once")
    assert execution.closure.phase == Phase.SUCCEEDED
    assert calls(folder, "created") == ["n0-0", "n0-1"]
    first, second = attempts(place.plane, execution.id, "n0")
    assert (first.closure.phase, second.closure.phase) == (Task.FAILED, Task.SUCCEEDED)


def test_a_synchronous_connector_answers(place: Place, folder: Path) -> None:
    execution = ended(place, "ask_wf", folder, "")
    assert execution.closure.phase == Phase.SUCCEEDED
    assert place.plane.outputs(execution.id)["o0"].scalar.primitive.integer == 8
    assert calls(folder, "asked") == ["it"]


def test_termination_deletes_the_job(place: Place, folder: Path) -> None:
    execution = launch(place, "job_wf", folder)
    running(place, execution)
    request = execution_pb2.ExecutionTerminateRequest(id=execution, cause="not wanted")
    place.plane.admin.TerminateExecution(request)
    assert place.plane.wait(execution).closure.phase == Phase.ABORTED
    until(lambda: calls(folder, "deleted") == ["n0-0"], 60, "the deletion")


def test_a_deadline_deletes_the_job(place: Place, folder: Path) -> None:
    execution = place.plane.wait(launch(place, "limited_wf", folder))
    assert execution.closure.phase in (Phase.FAILED, Phase.TIMED_OUT)
    until(lambda: calls(folder, "deleted") == ["n0-0"], 60, "the deletion")


def test_jobs_survive_a_restart_of_their_connector(place: Place, folder: Path) -> None:
    execution = launch(place, "job_wf", folder)
    running(place, execution)
    place.connectors.kill()
    until(lambda: "cannot be reached since" in reasons(place.plane, execution, "n0"), 60, "the reason")
    place.connectors.start()
    (folder / "go").touch()
    assert place.plane.wait(execution).closure.phase == Phase.SUCCEEDED
    assert calls(folder, "created") == ["n0-0"]


def test_a_termination_during_an_outage_deletes_the_job_afterwards(place: Place, folder: Path) -> None:
    execution = launch(place, "job_wf", folder)
    running(place, execution)
    place.connectors.kill()
    request = execution_pb2.ExecutionTerminateRequest(id=execution, cause="not wanted")
    place.plane.admin.TerminateExecution(request)
    assert place.plane.wait(execution).closure.phase == Phase.ABORTED
    place.plane.kill("propeller")
    place.connectors.start()
    until(lambda: calls(folder, "deleted") == ["n0-0"], 90, "the deletion")


def test_a_killed_propeller_goes_on_with_the_jobs_it_has(place: Place, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(8)]
    for each in folders:
        each.mkdir()
    executions = [launch(place, "job_wf", each) for each in folders]
    for execution in executions:
        running(place, execution)
    place.plane.kill("propeller")
    for each in folders:
        (each / "go").touch()
    for execution in executions:
        assert place.plane.wait(execution).closure.phase == Phase.SUCCEEDED
    assert [calls(each, "created") for each in folders] == [["n0-0"]] * 8
    assert [calls(each, "deleted") for each in folders] == [[]] * 8
