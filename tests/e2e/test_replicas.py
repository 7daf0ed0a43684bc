"""Two propellers on PostgreSQL share the work: killed, paused and restarted ones lose nothing and repeat nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_idl.admin.v1 import admin_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc

from tests.benchmarks import specs
from tests.e2e.harness import Id, Phase, Plane, inputs, until
from tests.e2e.test_killed_services import compare_histories

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REPLICAS = ("propeller", "propeller-2")
REAL, BULK = 12, 188


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, fresh_postgres_database: Callable[[], str]) -> Iterator[Plane]:
    """A control plane with two propellers, which know a chain of real tasks and a workflow of sleeping nodes."""
    services = ("ADMIN", "CATALOG", "PROPELLER")
    environment = {f"ELEVON_{service}_DATABASE__URL": fresh_postgres_database() for service in services}
    plane = Plane(tmp_path_factory.mktemp("pair") / "data", environment, propellers=2)
    try:
        plane.register("witnessed", "v1")
        registry = admin_service_pb2_grpc.AdminServiceStub(plane.channel)
        sleep = specs.sleep_task("sleep")
        registry.CreateTask(sleep)
        for name, seconds in (("bulk", 1), ("long", 10)):
            workflow = specs.sleepers(name, sleep.id, width=2, seconds=seconds)
            registry.CreateWorkflow(workflow)
            registry.CreateLaunchPlan(specs.launch_plan(workflow.id))
        yield plane
    finally:
        plane.close()


class Load:
    """Executions created by several clients at once, which try again whatever is UNAVAILABLE."""

    def __init__(self, plane: Plane, witness: Path) -> None:
        self._plane = plane
        self._witness = witness
        self.real: list[Id] = []
        self.bulk: list[Id] = []

    def create(self, real: int, bulk: int) -> None:
        """Create so many of each kind."""
        numbers = range(len(self.real), len(self.real) + real)
        given = [inputs(witness=str(self._witness), n=number) for number in numbers]
        with ThreadPoolExecutor(8) as clients:
            chains = [clients.submit(self._plane.launch, "witnessed.chain", "v1", each) for each in given]
            others = [clients.submit(self._plane.launch, "bulk", "v1") for _ in range(bulk)]
        self.real += [each.result() for each in chains]
        self.bulk += [each.result() for each in others]

    def has_begun(self) -> bool:
        """Whether all executions have begun."""
        begun = (Phase.RUNNING, Phase.SUCCEEDING, Phase.SUCCEEDED)
        return all(self._plane.execution(each).closure.phase in begun for each in (*self.real, *self.bulk))

    def wait(self) -> set[str]:
        """The phases in which all have ended."""
        return {Phase.Name(self._plane.wait(each, 120).closure.phase) for each in (*self.real, *self.bulk)}

    def check(self) -> None:
        """All have succeeded, no attempt met itself, and admin tells what the engine holds."""
        assert self.wait() == {"SUCCEEDED"}
        assert list(self._witness.glob("*.overlap")) == []
        for number, execution in enumerate(self.real):
            assert self._plane.outputs(execution)["o0"].scalar.primitive.integer == (number + 1) * 3
            compare_histories(self._plane, execution)
        for execution in self.bulk[::10]:
            compare_histories(self._plane, execution, ("n0", "n1"))


def run_by(plane: Plane, replica: str, executions: Sequence[Id]) -> int:
    """How many of the executions a replica runs, by its own account."""
    with grpc.insecure_channel(f"127.0.0.1:{plane.control.ports.of(replica)}") as channel:
        stub = propeller_service_pb2_grpc.PropellerServiceStub(channel)
        return sum(_owner_of(stub, each) != "" for each in executions)


def _owner_of(stub: Any, execution: Id) -> str:
    """The replica that runs an execution; empty for another's, and for one that was not handed over yet."""
    key = core.WorkflowExecutionIdentifier(project=execution.project, domain=execution.domain, name=execution.name)
    try:
        answer = stub.DescribeExecution(propeller.DescribeExecutionRequest(execution_id=key))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return ""
        raise
    return str(answer.execution.owner)


def test_a_paused_replica_comes_back_and_does_no_harm(pair: Plane, tmp_path: Path) -> None:
    load = Load(pair, tmp_path)
    load.create(REAL, REAL)
    until(load.has_begun, 60, "all executions to begin")
    pid = pair.control.services["propeller-2"].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        assert load.wait() == {"SUCCEEDED"}
    finally:
        os.kill(pid, signal.SIGCONT)
    load.create(4, 4)
    load.check()
    assert pair.control.services["propeller-2"].pid == pid


def test_what_a_killed_replica_ran_goes_on_at_the_other(pair: Plane, tmp_path: Path) -> None:
    load = Load(pair, tmp_path)
    load.create(REAL, BULK)
    long = [pair.launch("long", "v1") for _ in range(16)]  # which still run when we have asked whose they are
    load.bulk += long
    until(lambda: run_by(pair, "propeller", long), 60, "the one that is killed to run some")
    pair.call(pair.control.services["propeller"].kill())
    assert load.wait() == {"SUCCEEDED"}
    pair.start("propeller")
    load.check()


def test_a_rolling_restart_is_not_noticed(pair: Plane, tmp_path: Path) -> None:
    load = Load(pair, tmp_path)
    with ThreadPoolExecutor(1) as background:
        for service in (*REPLICAS, "catalog", "admin"):
            creating = background.submit(load.create, 3, 10)
            pair.stop(service)
            pair.start(service)
            creating.result()
    load.check()
