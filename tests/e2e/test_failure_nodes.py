"""Failure nodes of real flytekit: what runs, what it is told, and that the failure stays one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.features import FAILED, SUCCEEDED, Case, Ended, run_cases
from tests.e2e.harness import Plane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CASES = (
    "cleaned",
    "cleaned_at_last",
    "not_cleaned",
    "cleaned_by_workflow",
    "outer",
    "outer_of_plan",
    "cleaned_late",
    "not_needed",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failures")


@pytest.fixture(scope="module")
def ended(features: Plane, folder: Path) -> Mapping[str, Ended]:
    cases: dict[str, Case] = {}
    for name in CASES:
        (folder / name).mkdir()
        cases[name] = (f"failing.{name}", {"a": 3, "witness": str(folder / name)})
    return run_cases(features, cases)


@pytest.mark.parametrize(
    ("case", "failed"),
    [
        ("cleaned", "n1"),
        ("cleaned_by_workflow", "n0"),
        ("outer", "n0-0-n0"),
        ("outer_of_plan", "n0"),
        ("cleaned_late", "n1"),
    ],
)
def test_the_failure_node_is_told_which_node_has_failed_and_why(
    ended: Mapping[str, Ended], folder: Path, case: str, failed: str
) -> None:
    assert "is no good" in ended[case].message
    assert (folder / case / "cleaned").read_text() == f"3 {failed}: True"


def test_a_failure_node_is_tried_again(ended: Mapping[str, Ended], folder: Path) -> None:
    assert "3 is no good" in ended["cleaned_at_last"].message
    assert len(list((folder / "cleaned_at_last").glob("attempt-*"))) == 3
    assert ended["cleaned_at_last"].nodes["fn0"]["phase"] == SUCCEEDED


def test_a_failure_node_that_fails_has_the_last_word(ended: Mapping[str, Ended], folder: Path) -> None:
    assert "the cleaning failed as well" in ended["not_cleaned"].message
    assert (folder / "not_cleaned" / "tried").exists()
    assert ended["not_cleaned"].nodes["fn0"]["phase"] == FAILED


def test_a_failure_node_waits_for_what_still_can_run(ended: Mapping[str, Ended], folder: Path) -> None:
    assert (folder / "cleaned_late" / "touched").exists()


def test_without_a_failure_it_does_not_run(ended: Mapping[str, Ended], folder: Path) -> None:
    assert ended["not_needed"].value == 6
    assert list((folder / "not_needed").iterdir()) == []
    assert "fn0" not in ended["not_needed"].nodes
