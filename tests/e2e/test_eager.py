"""Eager workflows: tasks that are clients of the control plane that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import identifier_pb2

from tests.e2e.features import VERSION, Case, Ended, run_cases
from tests.e2e.harness import DOMAIN, PROJECT, TERMINAL, Id, Phase, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CASES: dict[str, Case] = {
    "sums": ("eagerly.sums", {"a": 2}),
    "outer": ("eagerly.outer", {"a": 3}),
    "failing": ("eagerly.failing", {"a": 3}),
    "forgiving": ("eagerly.forgiving", {"a": 3}),
    "pair": ("eagerly.inner", {"a": 1}),
}


@pytest.fixture(scope="module")
def ended(features: Plane) -> Mapping[str, Ended]:
    """More at a time than the process plugin has places."""
    return run_cases(features, CASES)


def started_by(plane: Plane, name: str, key: str = "eager-exec") -> list[execution_pb2.Execution]:
    """The executions with a label, as the SDK's own cleaning task looks for them."""
    scope = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN)
    filters = f"value_in(execution_tag.key,{key})+value_in(execution_tag.value,{name})"
    request = common_pb2.ResourceListRequest(id=scope, limit=100, filters=filters)
    return list(plane.admin.ListExecutions(request).executions)


def test_tasks_and_workflows_are_executions_of_their_own(features: Plane, ended: Mapping[str, Ended]) -> None:
    assert ended["sums"].value == 28
    found = started_by(features, ended["sums"].name)
    assert sorted(execution.spec.launch_plan.name for execution in found) == [
        "eagerly.awaited",
        "eagerly.awaited",
        "eagerly.fourfold",
        "eagerly.fourfold",
    ], "the SDK runs a launch plan's workflow"
    assert all(execution.id.name.startswith("e-sums-") for execution in found)


def test_an_eager_workflow_within_an_eager_workflow(features: Plane, ended: Mapping[str, Ended]) -> None:
    assert ended["outer"].value == 14
    family = started_by(features, ended["outer"].name, "eager-root-exec")
    assert sorted(execution.spec.launch_plan.name for execution in family) == [
        "eagerly.double",
        "eagerly.double",
        "eagerly.inner",
    ]


def test_the_failure_of_a_child_is_an_exception(ended: Mapping[str, Ended]) -> None:
    assert ended["forgiving"].value == 6
    assert "Error executing eagerly.fails" in ended["failing"].message
    assert ended["failing"].nodes["efn"]["phase"] == 3


def test_an_eager_task_alone(features: Plane) -> None:
    execution = features.launch("eagerly.inner", VERSION, inputs(a=2), kind=identifier_pb2.TASK)
    assert features.wait(execution).closure.phase == Phase.Value("SUCCEEDED")
    assert features.outputs(execution)["o0"].scalar.primitive.integer == 5


def descendants_ended(plane: Plane, top: Id) -> list[execution_pb2.Execution] | None:
    found = started_by(plane, top.name, "eager-root-exec")
    return found if all(execution.closure.phase in TERMINAL for execution in found) else None


def test_nothing_outlives_an_eager_workflow_that_is_terminated(features: Plane, tmp_path: Path) -> None:
    arguments = inputs(witness=str(tmp_path), seconds=60)
    top = features.launch("eagerly.lingering_below", VERSION, arguments)
    until((tmp_path / "began").exists, 90, "the innermost task to begin")
    features.admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=top, cause="no longer wanted"))
    assert features.wait(top).closure.phase == Phase.Value("ABORTED")
    family = until(lambda: descendants_ended(features, top), 60, "all of them to end")
    assert [Phase.Name(execution.closure.phase) for execution in family] == ["ABORTED", "ABORTED"]
    assert not (tmp_path / "ended").exists()
