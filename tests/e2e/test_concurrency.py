"""Concurrency policies of flytekit's launch plans, while services are killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import literals_pb2

from tests.e2e.harness import Id, Phase, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

WAITING = "elevon/waiting"


@pytest.fixture(params=["sqlite", "postgresql"])
def fragile(
    request: pytest.FixtureRequest, tmp_path: Path, fresh_postgres_database: Callable[[], str]
) -> Iterator[Plane]:
    environment = {}
    if request.param == "postgresql":
        services = ("ADMIN", "CATALOG", "PROPELLER")
        environment = {f"ELEVON_{service}_DATABASE__URL": fresh_postgres_database() for service in services}
    plane = Plane(tmp_path / "data", environment)
    yield plane
    plane.close()


def described(plane: Plane, execution: Id) -> str:
    """What `elevon describe` prints."""
    command = [sys.executable, "-m", "elevon", "describe", execution.name, "--target", plane.target]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def watched(plane: Plane, execution: Id) -> subprocess.Popen[str]:
    """`elevon watch`, which outlives what is killed."""
    command = [sys.executable, "-m", "elevon", "watch", execution.name, "--target", plane.target]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def with_seconds(witness: Path, seconds: float) -> literals_pb2.LiteralMap:
    values = inputs(witness=str(witness))
    values.literals["seconds"].scalar.primitive.float_value = seconds
    return values


def test_one_after_the_other_in_order_whatever_is_killed(fragile: Plane, tmp_path: Path) -> None:
    fragile.register("limited", "v1")
    witness = tmp_path / "witness"
    witness.mkdir()
    before = fragile.launch("limited.wait", "v1", with_seconds(witness, 300))
    executions = [fragile.launch("limited.wait", "v1", inputs(witness=str(witness))) for _ in range(7)]
    last = fragile.execution(executions[-1])
    assert last.closure.phase == Phase.QUEUED
    assert last.spec.annotations.values[WAITING] in " ".join(described(fragile, executions[-1]).split())
    watching = watched(fragile, executions[-1])
    assert watching.stdout is not None
    assert watching.stdout.readline().strip() == last.spec.annotations.values[WAITING]
    request = execution_pb2.ExecutionTerminateRequest(id=before, cause="it has held the others back for long enough")
    fragile.admin.TerminateExecution(request)
    for over, victim in ((0, "admin"), (2, "propeller"), (4, "admin")):
        fragile.wait(executions[over])
        fragile.kill(victim)
    ended = [fragile.wait(execution, 180) for execution in executions]
    assert [execution.closure.phase for execution in ended] == [Phase.SUCCEEDED] * len(executions)
    told, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0, told
    assert told.splitlines()[-1] == f"{executions[-1].name}  SUCCEEDED"
    assert not (witness / "overlap").exists()
    began = [fragile.outputs(execution)["o0"].scalar.primitive.float_value for execution in executions]
    assert began == sorted(began)
    replace_what_runs(fragile, tmp_path / "second")


def replace_what_runs(plane: Plane, witness: Path) -> None:
    """The same control plane, the other policy."""
    witness.mkdir()
    first = plane.launch("limited.replace", "v1", with_seconds(witness, 300))
    until(lambda: plane.execution(first).closure.phase == Phase.RUNNING, 60, "the first one to run")
    second = plane.launch("limited.replace", "v1", with_seconds(witness, 300))
    third = plane.launch("limited.replace", "v1", inputs(witness=str(witness)))
    plane.kill("admin")
    assert plane.wait(third).closure.phase == Phase.SUCCEEDED
    for replaced, newer in ((first, second), (second, third)):
        ended = plane.wait(replaced)
        assert ended.closure.phase == Phase.ABORTED
        assert newer.name in ended.closure.abort_metadata.cause
    assert not (witness / "overlap").exists()
