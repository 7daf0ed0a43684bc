"""Conditionals of real flytekit, on a whole control plane."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from flyteidl.admin import node_execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import literals_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from tests.e2e.features import FAILED, SUCCEEDED, VERSION, Case, Ended, run_cases
from tests.e2e.harness import Plane, integer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CONJOINED = {
    (2, 1.5, "anna", False): ["both", "either", "mixed"],
    (2, 2.5, "bert", True): ["not both", "either", "plain"],
    (0, 2.5, "bert", False): ["not both", "neither", "plain"],
    (0, 2.5, "anna", False): ["not both", "either", "mixed"],
}
NESTED = {(1, 1): "both positive", (1, 0): "b is zero", (0, -1): "a is not positive"}
LADDER = {-1: "negative", 0: "zero", 5: "small"}


def cases() -> dict[str, Case]:
    told: dict[str, Case] = {f"compared {a}": ("branching.compared", {"a": a, "b": 2}) for a in (1, 2, 3)}
    for a, x, name, flag in CONJOINED:
        inputs = {"a": a, "x": x, "name": name, "flag": flag}
        told[f"conjoined {a} {x} {name} {flag}"] = ("branching.conjoined", inputs)
    told |= {f"ladder {a}": ("branching.laddered", {"a": a}) for a in (*LADDER, 50)}
    told |= {f"nested {a} {b}": ("branching.nested", {"a": a, "b": b}) for a, b in (*NESTED, (1, -1))}
    told |= {f"of outputs {a}": ("branching.of_outputs", {"a": a}) for a in (2, 3)}
    told |= {f"arm {a}": ("branching.arm_fails", {"a": a}) for a in (3, -3)}
    return told


@pytest.fixture(scope="module")
def ended(features: Plane) -> Mapping[str, Ended]:
    return run_cases(features, cases())


def test_every_comparison(ended: Mapping[str, Ended]) -> None:
    assert ended["compared 1"].values() == ["no", "!=", "<", "<=", "no", "no"]
    assert ended["compared 2"].values() == ["==", "no", "no", "<=", "no", ">="]
    assert ended["compared 3"].values() == ["no", "!=", "no", "no", ">", ">="]


def test_conjunctions_of_numbers_strings_and_truths(ended: Mapping[str, Ended]) -> None:
    for (a, x, name, flag), expected in CONJOINED.items():
        assert ended[f"conjoined {a} {x} {name} {flag}"].values() == expected


def test_the_first_case_that_holds_is_taken(ended: Mapping[str, Ended]) -> None:
    assert {a: ended[f"ladder {a}"].value for a in LADDER} == LADDER


def test_a_failing_else_fails_with_its_words(ended: Mapping[str, Ended]) -> None:
    failed = ended["ladder 50"]
    assert failed.error["code"] == "UserProvidedError"
    assert "too large for the ladder (.a is 50)" in failed.message
    assert failed.nodes["n0"]["phase"] == FAILED


def test_conditionals_within_conditionals(ended: Mapping[str, Ended]) -> None:
    assert {(a, b): ended[f"nested {a} {b}"].value for a, b in NESTED} == NESTED
    assert "b is negative" in ended["nested 1 -1"].message


def test_conditions_on_outputs_with_a_workflow_as_an_arm(ended: Mapping[str, Ended]) -> None:
    assert ended["of outputs 2"].value == 16
    assert ended["of outputs 3"].value == 12
    branch = ended["of outputs 2"].below("n1")
    (arm,) = branch.values()
    assert arm["phase"] == SUCCEEDED
    assert {node["spec"] for node in arm["nodes"].values()} == {"start-node", "n0", "n1", "end-node"}


def test_an_arm_that_fails_fails_the_workflow(ended: Mapping[str, Ended]) -> None:
    assert "3 broke the arm" in ended["arm 3"].message
    assert ended["arm -3"].value == "fine"


def test_only_the_chosen_arm_is_told_of(features: Plane, ended: Mapping[str, Ended]) -> None:
    execution = features.execution_named(ended["ladder 0"].name)
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=execution, limit=10, unique_parent_id="n0"
    )
    (arm,) = features.admin.ListNodeExecutions(request).node_executions
    assert arm.metadata.spec_node_id == "n0-n1"
    assert arm.id.node_id == "n0-0-n0-n1"
    assert arm.closure.phase == core_execution_pb2.NodeExecution.SUCCEEDED


def moment(value: datetime) -> literals_pb2.Literal:
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(datetime=stamp)))


@pytest.mark.parametrize(("more", "expected"), [(timedelta(0), "in time"), (-timedelta(milliseconds=1), "late")])
def test_dates_are_compared_to_the_last_digit(features: Plane, more: timedelta, expected: str) -> None:
    start = datetime(2024, 2, 28, 12, tzinfo=UTC)
    values = {"start": moment(start), "end": moment(start + timedelta(days=2) + more), "days": integer(2)}
    execution = features.launch("branching.of_dates", VERSION, literals_pb2.LiteralMap(literals=values))
    assert features.wait(execution).closure.phase == core_execution_pb2.WorkflowExecution.SUCCEEDED
    assert features.outputs(execution)["o0"].scalar.primitive.string_value == expected


def test_what_cannot_be_compared_is_refused_when_it_is_registered(plane: Plane) -> None:
    refused = plane.flytekit("pyflyte", "register", "--version", VERSION, "uncomparable.py", check=False)
    assert refused.returncode != 0
    assert "a value of type [int] is compared with one of type [float]" in refused.stdout + refused.stderr
