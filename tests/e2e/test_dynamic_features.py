"""Dynamic tasks that yield nodes of every kind, and a map over a thousand, with real flytekit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.features import SUCCEEDED, Case, Ended, run_cases
from tests.e2e.harness import Plane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


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
