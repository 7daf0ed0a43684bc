"""What nodes and executions say of their tasks reaches them, with the real flytekit."""

from __future__ import annotations

from pathlib import Path

import pytest
from flyteidl.admin import common_pb2
from flyteidl.core import catalog_pb2, identifier_pb2, literals_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.event import event_pb2
from google.protobuf import wrappers_pb2

from tests.e2e.harness import Id, Phase, Plane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "overrides"
INTERRUPTIBLE = event_pb2.TaskExecutionMetadata.INTERRUPTIBLE
DEFAULT = event_pb2.TaskExecutionMetadata.DEFAULT


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("overrides", VERSION)


def succeeded(plane: Plane, execution: Id) -> None:
    ended = plane.wait(execution)
    assert Phase.Name(ended.closure.phase) == "SUCCEEDED", ended.closure.error


def test_a_node_has_retries_of_its_own(plane: Plane) -> None:
    execution = plane.launch("overrides.retried_wf", VERSION)
    succeeded(plane, execution)
    assert plane.outputs(execution)["o0"].scalar.primitive.integer == 2


def test_timeouts_of_a_node_and_of_a_task_alone(plane: Plane) -> None:
    by_node = plane.launch("overrides.timed_wf", VERSION)
    alone = plane.launch("overrides.alone", VERSION, kind=identifier_pb2.TASK)
    for execution in (by_node, alone):
        succeeded(plane, execution)
        (node,) = (node for name, node in plane.nodes(execution).items() if not name.endswith("-node"))
        first, second = plane.attempts(node)
        assert first.closure.error.code == "TimeoutExpired"
        assert second.closure.phase == core_execution_pb2.TaskExecution.SUCCEEDED
        expected = INTERRUPTIBLE if execution is alone else DEFAULT
        assert {each.closure.metadata.instance_class for each in (first, second)} == {expected}


def test_a_node_caches_what_its_task_does_not_and_an_execution_may_refuse(plane: Plane) -> None:
    def run(**spec: bool) -> tuple[str, str]:
        execution = plane.launch("overrides.cached_wf", VERSION, **spec)
        succeeded(plane, execution)
        status = plane.nodes(execution)["n0"].closure.task_node_metadata.cache_status
        return plane.outputs(execution)["o0"].scalar.primitive.string_value, catalog_pb2.CatalogCacheStatus.Name(status)

    first, status = run()
    assert status == "CACHE_POPULATED"
    assert run() == (first, "CACHE_HIT")
    fresh, status = run(overwrite_cache=True)
    assert (fresh != first, status) == (True, "CACHE_POPULATED")
    assert run() == (fresh, "CACHE_HIT")


def seen(plane: Plane, execution: Id) -> dict[str, str]:
    found: dict[str, literals_pb2.Literal] = dict(plane.outputs(execution)["o0"].map.literals)
    return {name: literal.scalar.primitive.string_value for name, literal in found.items()}


def test_what_a_node_and_its_execution_say_reaches_the_task(plane: Plane, tmp_path: Path) -> None:
    values = [
        literals_pb2.KeyValuePair(key="FROM_EXECUTION", value="execution"),
        literals_pb2.KeyValuePair(key="BOTH", value="execution"),
    ]
    execution = plane.launch(
        "overrides.seen_wf",
        VERSION,
        envs=common_pb2.Envs(values=values),
        raw_output_data_config=common_pb2.RawOutputDataConfig(output_location_prefix=f"file://{tmp_path}/raw"),
        interruptible=wrappers_pb2.BoolValue(value=False),
    )
    succeeded(plane, execution)
    expected = {"FROM_TASK": "task", "FROM_EXECUTION": "execution", "BOTH": "execution"}
    assert seen(plane, execution) == expected
    file = Path(plane.outputs(execution)["o1"].scalar.blob.uri.removeprefix("file://"))
    assert file.is_relative_to(tmp_path / "raw")
    assert file.read_text() == "put"
    nodes = plane.nodes(execution)
    classes = {name: plane.attempts(nodes[name])[0].closure.metadata.instance_class for name in ("n0", "n1")}
    assert classes == {"n0": INTERRUPTIBLE, "n1": DEFAULT}
