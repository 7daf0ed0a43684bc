"""A service that is away stops nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from flyteidl.core import catalog_pb2

from tests.e2e.harness import Id, Phase, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    plane = Plane(tmp_path_factory.mktemp("own"))
    plane.register("caching", "v1")
    plane.register("basics", "v1")
    yield plane
    plane.close()


def test_without_catalog_tasks_run_uncached_and_say_so(own: Plane) -> None:
    own.stop("catalog")
    execution = own.launch("caching.unique_wf", "v1", inputs(n=1))
    assert Phase.Name(own.wait(execution, 120).closure.phase) == "SUCCEEDED"
    status = own.nodes(execution)["n0"].closure.task_node_metadata.cache_status
    assert status in (catalog_pb2.CACHE_LOOKUP_FAILURE, catalog_pb2.CACHE_PUT_FAILURE)
    own.start("catalog")
    back = own.launch("caching.unique_wf", "v1", inputs(n=1))
    assert Phase.Name(own.wait(back).closure.phase) == "SUCCEEDED"
    assert own.nodes(back)["n0"].closure.task_node_metadata.cache_status == catalog_pb2.CACHE_POPULATED


def test_without_admin_work_goes_on(own: Plane, tmp_path: Path) -> None:
    execution = own.launch("basics.long_wf", "v1", inputs(witness=str(tmp_path), seconds=2))
    until(lambda: (tmp_path / "started").exists(), 60, "the task to start")
    own.stop("admin")
    until(lambda: engine_phase(own, execution) == core.WorkflowExecution.SUCCEEDED, 60, "the engine to finish")
    own.start("admin")
    ended = own.wait(execution, 60)
    assert Phase.Name(ended.closure.phase) == "SUCCEEDED"
    assert own.outputs(execution)["o0"].scalar.primitive.integer == 2
    assert {"start-node", "n0", "end-node"} <= set(own.nodes(execution))


def engine_phase(plane: Plane, execution: Id) -> int:
    with grpc.insecure_channel(f"127.0.0.1:{plane.control.ports.propeller}") as channel:
        stub = propeller_service_pb2_grpc.PropellerServiceStub(channel)
        key = core.WorkflowExecutionIdentifier(project=execution.project, domain=execution.domain, name=execution.name)
        return stub.DescribeExecution(propeller.DescribeExecutionRequest(execution_id=key)).execution.phase
