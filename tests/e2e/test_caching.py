"""Caching from end to end: hits, versions, serialization, overwriting."""

from __future__ import annotations

from pathlib import Path

import pytest
from flyteidl.admin import node_execution_pb2
from flyteidl.core import catalog_pb2

from tests.e2e.harness import Id, Phase, Plane, inputs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "caching"


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("caching", VERSION)


def finished(plane: Plane, execution: Id) -> str:
    assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
    return str(plane.outputs(execution)["o0"].scalar.primitive.string_value)


def cached(plane: Plane, execution: Id) -> node_execution_pb2.TaskNodeMetadata:
    return plane.nodes(execution)["n0"].closure.task_node_metadata


def test_the_same_inputs_hit_the_same_artifact(plane: Plane) -> None:
    value = finished(plane, plane.launch("caching.unique_wf", VERSION, inputs(n=1)))
    third = plane.launch("caching.unique_wf", VERSION, inputs(n=1))
    assert finished(plane, third) == value
    assert cached(plane, third).cache_status == catalog_pb2.CACHE_HIT
    fourth = plane.launch("caching.unique_wf", VERSION, inputs(n=1))
    assert finished(plane, fourth) == value
    key, again = cached(plane, third).catalog_key, cached(plane, fourth).catalog_key
    assert key.artifact_tag.artifact_id == again.artifact_tag.artifact_id != ""
    assert key.dataset_id.name == "flyte_task-caching.unique"


def test_other_inputs_or_another_version_miss(plane: Plane) -> None:
    base = plane.launch("caching.unique_wf", VERSION, inputs(n=10))
    base_value = finished(plane, base)
    assert cached(plane, base).cache_status == catalog_pb2.CACHE_POPULATED
    for name, n in (("caching.unique_wf", 11), ("caching.unique_two_wf", 10)):
        other = plane.launch(name, VERSION, inputs(n=n))
        assert finished(plane, other) != base_value
        assert cached(plane, other).cache_status == catalog_pb2.CACHE_POPULATED


def test_ten_serialized_executions_run_once(plane: Plane, tmp_path: Path) -> None:
    executions = [plane.launch("caching.alone_wf", VERSION, inputs(witness=str(tmp_path), n=1)) for _ in range(10)]
    assert len({finished(plane, execution) for execution in executions}) == 1
    assert len(list(tmp_path.iterdir())) == 1
    statuses = [cached(plane, execution).cache_status for execution in executions]
    assert sorted(statuses) == [catalog_pb2.CACHE_HIT] * 9 + [catalog_pb2.CACHE_POPULATED]


def test_overwriting_runs_again_and_replaces(plane: Plane) -> None:
    first = finished(plane, plane.launch("caching.unique_wf", VERSION, inputs(n=20)))
    again = plane.launch("caching.unique_wf", VERSION, inputs(n=20), overwrite_cache=True)
    replaced = finished(plane, again)
    assert replaced != first
    assert cached(plane, again).cache_status == catalog_pb2.CACHE_POPULATED
    hit = plane.launch("caching.unique_wf", VERSION, inputs(n=20))
    assert finished(plane, hit) == replaced
    assert cached(plane, hit).cache_status == catalog_pb2.CACHE_HIT
