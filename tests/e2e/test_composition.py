"""Workflows of workflows, launch plans, references, overrides and attributes, with real flytekit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from flyteidl.admin import common_pb2
from flyteidl.core import literals_pb2
from flyteidl.core.execution_pb2 import WorkflowExecution as Phase

from tests.e2e.features import FAILED, SUCCEEDED, VERSION, Case, Ended, run_cases
from tests.e2e.harness import Plane, inputs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ATTRIBUTES = ["4 four 0.5 True 8 anna 1", 24]


def cases(folder: Path) -> dict[str, Case]:
    return {
        "outer": ("composed.outer", {"a": 9}),
        "planned": ("composed.planned", {"a": 9}),
        "fixed": ("composed.fixed_plan", {}),
        "ordered": ("composed.ordered", {"witness": str(folder / "ordered")}),
        "overridden": ("composed.overridden", {"witness": str(folder / "overridden")}),
        "cut short": ("composed.cut_short", {}),
        "imperative": ("composed.imperative", {"a": 4, "b": 3}),
        "of imperative": ("composed.of_imperative", {"a": 4}),
        "referring": ("referring.referring", {"a": 4}),
        "persevering": ("composed.persevering", {"a": 4, "witness": str(folder / "persevering")}),
        "persevering below": ("composed.persevering_below", {"a": 4, "witness": str(folder / "below")}),
        "gathered": ("composed.gathered", {"a": 4}),
        "attributes": ("composed.attributes", {}),
        "attributes of lists": ("composed.attributes_of_lists", {}),
        "identified": ("composed.identified", {}),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("composition")


@pytest.fixture(scope="module")
def ended(features: Plane, folder: Path) -> Mapping[str, Ended]:
    return run_cases(features, cases(folder))


def test_sub_workflows_within_sub_workflows(ended: Mapping[str, Ended]) -> None:
    assert ended["outer"].values() == [4, 0, 4]
    assert {node["spec"] for node in ended["outer"].below("n0", "n0-0-n0").values()} == {
        "start-node",
        "n0",
        "n1",
        "end-node",
    }


def test_launch_plans_take_replace_and_fix_inputs(ended: Mapping[str, Ended]) -> None:
    assert ended["planned"].values() == [6, 2, 18, 3]
    assert [len(node["executions"]) for node in ended["planned"].nodes.values()].count(1) == 4
    assert ended["fixed"].outputs == {"quotient": 6, "remainder": 4}


def test_a_fixed_input_cannot_be_given(features: Plane) -> None:
    refused = features.flytekit(
        "pyflyte", "run", "remote-launchplan", f"composed.fixed_plan:{VERSION}", "--b", "1", check=False
    )
    assert refused.returncode != 0


def test_nodes_without_data_between_them_keep_their_order(ended: Mapping[str, Ended], folder: Path) -> None:
    assert ended["ordered"].phase == "SUCCEEDED"
    assert (folder / "ordered").read_text().split() == ["first", "between", "last"]


def test_a_node_may_have_more_retries_than_its_task(ended: Mapping[str, Ended], folder: Path) -> None:
    assert ended["overridden"].value == 2
    assert len(ended["overridden"].nodes["persistent"]["tasks"]) == 3
    assert (folder / "overridden").read_text().split() == ["0", "1", "2"]


def test_a_node_may_have_less_time_than_its_task(ended: Mapping[str, Ended]) -> None:
    assert "timeout [1s] expired" in ended["cut short"].message


def test_a_node_may_have_a_cache_version_of_its_own(features: Plane) -> None:
    """Each in turn: a task of cache version 1, the same with 2, and both again."""
    stamps = [
        features.outputs(features.wait(features.launch(f"composed.{name}", VERSION, inputs(n=7))).id)["o0"]
        for name in ("stamps", "stamps_of_node", "stamps", "stamps_of_node")
    ]
    assert stamps[0] == stamps[2]
    assert stamps[1] == stamps[3]
    assert stamps[0] != stamps[1]


def test_imperative_workflows(ended: Mapping[str, Ended]) -> None:
    assert ended["imperative"].outputs == {"rest": 2, "all": [8, 11]}
    assert ended["of imperative"].value == 0


def test_references_to_what_is_registered_already(ended: Mapping[str, Ended]) -> None:
    assert ended["referring"].values() == [8, 5]


@pytest.mark.parametrize("case", ["persevering", "persevering below"])
def test_what_can_run_does_after_a_failure_where_that_is_the_policy(
    ended: Mapping[str, Ended], folder: Path, case: str
) -> None:
    assert "4 is no good" in ended[case].message
    assert (folder / case.split()[-1]).read_text() == "after 5\n"
    nodes = ended[case].nodes if case == "persevering" else ended[case].below("n0")
    phases = {node["spec"]: node["phase"] for node in nodes.values()}
    assert phases["n0"] == FAILED
    assert phases["n2"] == SUCCEEDED


def test_lists_and_maps_of_promises(ended: Mapping[str, Ended]) -> None:
    assert ended["gathered"].value == 141


def test_attributes_of_dataclasses_and_lists(ended: Mapping[str, Ended]) -> None:
    assert ended["attributes"].values() == ATTRIBUTES
    assert ended["attributes of lists"].value == 6


def test_attributes_of_dataclasses_in_the_older_format(features: Plane) -> None:
    """The variable has flytekit write dataclasses as protobuf structs, whose numbers are all floats."""
    environment = execution_envs(FLYTE_USE_OLD_DC_FORMAT="true")
    execution = features.launch("composed.attributes_of_texts", VERSION, envs=environment)
    closure = features.wait(execution).closure
    assert closure.phase == Phase.SUCCEEDED, closure.error.message
    assert features.outputs(execution)["o0"].scalar.primitive.string_value == "four anna 24"


def execution_envs(**values: str) -> common_pb2.Envs:
    pairs = [literals_pb2.KeyValuePair(key=key, value=value) for key, value in values.items()]
    return common_pb2.Envs(values=pairs)


def test_a_task_knows_its_execution(ended: Mapping[str, Ended]) -> None:
    assert ended["identified"].value == f"flytesnacks/development/{ended['identified'].name}"
