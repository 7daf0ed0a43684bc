"""`kill -9` of every service at random moments loses nothing and runs nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc

from tests.e2e.harness import Id, Phase, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

EXECUTIONS = 50
KILLS_OF_EACH = 3


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


def test_nothing_is_lost_and_nothing_runs_twice(fragile: Plane, tmp_path: Path) -> None:
    fragile.register("witnessed", "v1")
    dice = random.Random(20)
    victims = ["admin", "propeller", "catalog"] * KILLS_OF_EACH
    dice.shuffle(victims)
    executions = []
    witness = tmp_path / "witness"
    witness.mkdir()
    for number in range(EXECUTIONS):
        executions.append(fragile.launch("witnessed.chain", "v1", inputs(witness=str(witness), n=number)))
        if number % 5 == 4 and victims:
            time.sleep(dice.random())
            fragile.kill(victims.pop())
    phases = [Phase.Name(fragile.wait(execution, 240).closure.phase) for execution in executions]
    assert phases == ["SUCCEEDED"] * EXECUTIONS
    assert victims == []
    assert list(witness.glob("*.overlap")) == []
    for number, execution in enumerate(executions):
        assert fragile.outputs(execution)["o0"].scalar.primitive.integer == (number + 1) * 3
        compare_histories(fragile, execution)
    restarts = {name: process.restarts for name, process in fragile.control.services.items()}
    assert restarts == dict.fromkeys(restarts, KILLS_OF_EACH)


def compare_histories(plane: Plane, execution: Id, tasks: tuple[str, ...] = ("n0", "n1", "n2")) -> None:
    """What admin tells of an execution is what the engine holds, and nothing is left to deliver."""
    with grpc.insecure_channel(f"127.0.0.1:{plane.control.ports.propeller}") as channel:
        stub = propeller_service_pb2_grpc.PropellerServiceStub(channel)
        key = core.WorkflowExecutionIdentifier(project=execution.project, domain=execution.domain, name=execution.name)
        request = propeller.DescribeExecutionRequest(execution_id=key)

        def delivered() -> propeller.ExecutionView | None:
            view = stub.DescribeExecution(request).execution
            return view if view.undelivered_events == 0 else None

        view = until(delivered, 30, "the events to be delivered")
    engine = {node.node_id: node.phase for node in view.nodes}
    told = {name: node.closure.phase for name, node in plane.nodes(execution).items()}
    assert told == engine
    assert set(told) == {"start-node", *tasks, "end-node"}
    for name in tasks:
        attempts = plane.attempts(plane.nodes(execution)[name])
        assert [attempt.closure.phase for attempt in attempts][-1] == core.TaskExecution.SUCCEEDED
