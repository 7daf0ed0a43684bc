"""Dynamic tasks that yield nodes of every kind, and a map over a thousand, with real flytekit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from flyteidl.core import literals_pb2
from flyteidl.core.execution_pb2 import TaskExecution

from tests.e2e.features import SUCCEEDED, VERSION, Case, Ended, run_cases
from tests.e2e.harness import Phase, Plane, integer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dynamics")


@pytest.fixture(scope="module")
def ended(features: Plane, folder: Path) -> Mapping[str, Ended]:
    cases: dict[str, Case] = {
        "chosen 4": ("dynamics.chosen_wf", {"a": 4}),
        "chosen 40": ("dynamics.chosen_wf", {"a": 40}),
        "mapped": ("dynamics.mapped_wf", {"count": 10, "factor": 3}),
        "launched map": ("dynamics.launched_map_wf", {"count": 3}),
        "deeper": ("dynamics.deeper_wf", {"depth": 3}),
        "second time": ("dynamics.second_time_wf", {"witness": str(folder)}),
        "ordered": ("dynamics.ordered_wf", {"witness": str(folder)}),
        "nothing": ("dynamics.nothing_wf", {"count": 0}),
    }
    return run_cases(features, cases)


def test_a_conditional_within_a_dynamic_task(ended: Mapping[str, Ended]) -> None:
    assert ended["chosen 4"].value == 64
    assert ended["chosen 40"].value == 320


def test_a_map_task_within_a_dynamic_task(ended: Mapping[str, Ended]) -> None:
    assert ended["mapped"].value == 3 * sum(range(10))
    below = ended["mapped"].below("n0")
    assert [len(node["tasks"]) for node in below.values() if node["spec"] == "dn1"] == [1]


def test_a_map_over_a_launch_plan_within_a_dynamic_task(ended: Mapping[str, Ended]) -> None:
    assert ended["launched map"].value == [0, 4, 8]


def test_dynamic_tasks_within_dynamic_tasks(ended: Mapping[str, Ended]) -> None:
    assert ended["deeper"].value == 16
    assert len(ended["deeper"].below("n0", "n0-0-dn0", "n0-0-dn0-0-dn0")) == 4


def test_a_dynamic_task_that_is_tried_again_yields_other_ids(ended: Mapping[str, Ended], folder: Path) -> None:
    assert ended["second time"].value == 2
    assert {path.name for path in folder.glob("attempt-*")} == {"attempt-0", "attempt-1"}
    below = ended["second time"].below("n0")
    assert set(below) == {"n0-1-start-node", "n0-1-dn0", "n0-1-end-node"}
    assert below["n0-1-dn0"]["phase"] == SUCCEEDED


def test_order_without_data_within_a_dynamic_task(ended: Mapping[str, Ended], folder: Path) -> None:
    assert ended["ordered"].phase == "SUCCEEDED"
    assert (folder / "order").read_text().split() == ["first", "last"]


def test_a_dynamic_task_may_yield_nothing(ended: Mapping[str, Ended]) -> None:
    assert ended["nothing"].value == 0


def test_a_map_over_a_thousand_with_half_of_them_failing(features: Plane) -> None:
    execution = features.launch("dynamics.thousand", VERSION, list_of(range(1000)))
    closure = features.wait(execution, 500).closure
    assert Phase.Name(closure.phase) == "SUCCEEDED", closure.error.message
    found = features.outputs(execution)["o0"].collection.literals
    assert len(found) == 1000
    kept = [item.scalar.union.value.scalar if item.scalar.HasField("union") else item.scalar for item in found]
    assert [scalar.primitive.integer for scalar in kept[::2]] == list(range(0, 1000, 2))
    assert all(scalar.HasField("none_type") for scalar in kept[1::2])
    (attempt,) = features.attempts(features.nodes(execution)["n0"])
    ended = Counter(resource.phase for resource in attempt.closure.metadata.external_resources)
    assert ended == {TaskExecution.SUCCEEDED: 500, TaskExecution.FAILED: 500}


def list_of(values: Iterable[int]) -> literals_pb2.LiteralMap:
    items = literals_pb2.LiteralCollection(literals=[integer(value) for value in values])
    return literals_pb2.LiteralMap(literals={"values": literals_pb2.Literal(collection=items)})
