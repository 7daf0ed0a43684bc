"""The pyflyte commands that speak with a control plane, each with its options."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2
from flyteidl.core import identifier_pb2

from tests.e2e.features import VERSION
from tests.e2e.harness import DOMAIN, PROJECT, Id, Phase, Plane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SESSION = Path(__file__).parent / "command_session.py"
NAME = "named-by-the-user"
OUTPUTS = f"flyte://v1/{PROJECT}/{DOMAIN}/{NAME}/n0"


def run_with_every_option(raw: Path) -> list[str]:
    return [
        *("run", "--remote", "--wait", "--poll-interval", "1", "--name", NAME, "--label", "team=blue"),
        *("--annotation", "note=x", "--env", "WHO=anna", "--tag", "one", "--tag", "two", "--interruptible", "true"),
        *("--max-parallelism", "3", "--overwrite-cache", "--raw-output-data-prefix", str(raw)),
        *("--service-account", "robot", "--disable-notifications", "--cluster-pool", "pool", "--copy", "all"),
        *("--destination-dir", "/tmp", "--resource-requests", "cpu=1,mem=200Mi", "--resource-limits", "mem=300Mi"),
        *("composed.py", "surrounded", "--name", "WHO"),
    ]


def commands(raw: Path) -> dict[str, list[str]]:
    plan, workflow = f"composed.fixed_plan:{VERSION}", f"composed.inner:{VERSION}"
    waiting = ["run", "--wait", "--poll-interval", "1"]
    return {
        "run": run_with_every_option(raw),
        "run again": ["run", "--remote", "--name", NAME, "composed.py", "surrounded"],
        "run, two clusters": ["run", "--remote", "--execution-cluster-label", "b", "composed.py", "surrounded"],
        "run plan": [*waiting, "remote-launchplan", plan, "--a", "4"],
        "run latest plan": ["run", "remote-launchplan", "composed.fixed_plan", "--a", "4"],
        "run plan, fixed": ["run", "remote-launchplan", plan, "--b", "4"],
        "run workflow": [*waiting, "remote-workflow", workflow, "--a", "4", "--b", "3"],
        "run task": [*waiting, "remote-task", f"composed.double:{VERSION}", "--a", "4"],
        "run eager": [*waiting, "remote-task", f"eagerly.inner:{VERSION}", "--a", "4"],
        "plans": ["get", "launchplan"],
        "plan": ["get", "launchplan", "composed.daily_plan", VERSION],
        "activate": ["launchplan", "composed.daily_plan", VERSION, "--activate"],
        "active plans": ["get", "launchplan", "--active-only"],
        "deactivate": ["launchplan", "composed.daily_plan", "--deactivate"],
        "backfill": ["backfill", "composed.daily_plan", "--from-date", "2024-01-01", "--to-date", "2024-01-04"],
        "relaunch": ["execution", "--execution-id", NAME, "relaunch"],
        "recover": ["execution", "--execution-id", NAME, "recover"],
        "fetch outputs": ["fetch", f"{OUTPUTS}/o"],
        "fetch inputs": ["fetch", f"{OUTPUTS}/i"],
        "fetch one": ["fetch", f"{OUTPUTS}/0/o/o0"],
        "dump": ["metrics", "dump", NAME],
        "explain": ["metrics", "explain", NAME],
        "info": ["info"],
    }


@pytest.fixture(scope="module")
def told(features: Plane, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    given = commands(tmp_path_factory.mktemp("raw"))
    done = features.flytekit("python", SESSION, given=json.dumps(list(given.values())))
    return dict(zip(given, json.loads(done.stdout.splitlines()[-1]), strict=True))


def output(told: Mapping[str, Any], command: str) -> str:
    """What a command printed, which must have ended well."""
    assert told[command]["code"] == 0, told[command]["output"]
    return str(told[command]["output"])


def execution_of(plane: Plane, text: str) -> Id:
    """The execution whose address, or identifier, was printed."""
    found = re.search(rf"(?:executions/|ex:{PROJECT}:{DOMAIN}:)([a-z0-9-]+)", text.replace("\n", ""))
    assert found is not None, text
    return plane.execution_named(found.group(1))


def integers(plane: Plane, execution: Id) -> dict[str, int]:
    assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
    return {name: literal.scalar.primitive.integer for name, literal in plane.outputs(execution).items()}


def test_every_option_of_run_arrives(features: Plane, told: Mapping[str, Any]) -> None:
    assert "has succeeded" in output(told, "run")
    execution = features.execution_named(NAME)
    spec = features.execution(execution).spec
    assert dict(spec.labels.values) == {"team": "blue"}
    assert dict(spec.annotations.values) == {"note": "x"}
    assert [(pair.key, pair.value) for pair in spec.envs.values] == [("WHO", "anna")]
    assert list(spec.tags) == ["one", "two"]
    assert spec.interruptible.value
    assert spec.max_parallelism == 3
    assert spec.overwrite_cache
    assert spec.raw_output_data_config.output_location_prefix
    assert spec.security_context.run_as.k8s_service_account == "robot"
    assert spec.disable_all
    assert spec.cluster_assignment.cluster_pool_name == "pool"
    assert features.outputs(execution)["o0"].scalar.primitive.string_value == "anna"


def test_a_name_is_run_once(told: Mapping[str, Any]) -> None:
    assert f"/executions/{NAME}" in output(told, "run again").replace("\n", "")


def test_what_this_installation_has_not_is_said(told: Mapping[str, Any]) -> None:
    assert told["run, two clusters"]["code"] != 0
    assert "execution_cluster_label" in told["run, two clusters"]["output"]


def test_what_is_registered_runs_by_its_name(features: Plane, told: Mapping[str, Any]) -> None:
    expected = {
        "run plan": {"quotient": 1, "remainder": 2},
        "run latest plan": {"quotient": 1, "remainder": 2},
        "run workflow": {"quotient": 2, "remainder": 2},
        "run task": {"o0": 8},
        "run eager": {"o0": 9},
    }
    found = {command: integers(features, execution_of(features, output(told, command))) for command in expected}
    assert found == expected
    assert told["run plan, fixed"]["code"] != 0


def test_launch_plans_are_listed_shown_and_switched(features: Plane, told: Mapping[str, Any]) -> None:
    assert "composed.fixed_plan" in output(told, "plans")
    assert '"cronSchedule"' in output(told, "plan")
    assert "ACTIVE" in output(told, "activate")
    assert "composed.daily_plan" in output(told, "active plans")
    assert "INACTIVE" in output(told, "deactivate")
    identifier = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=PROJECT,
        domain=DOMAIN,
        name="composed.daily_plan",
        version=VERSION,
    )
    found = features.admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=identifier))
    assert found.closure.state == launch_plan_pb2.INACTIVE


def test_a_backfill_launches_the_plan_for_every_day(features: Plane, told: Mapping[str, Any]) -> None:
    execution = execution_of(features, output(told, "backfill"))
    assert Phase.Name(features.wait(execution).closure.phase) == "SUCCEEDED"
    children = [
        node.closure.workflow_node_metadata.executionId
        for node in features.nodes(execution).values()
        if node.closure.workflow_node_metadata.executionId.name
    ]
    days = sorted(features.outputs(child)["o0"].scalar.primitive.string_value for child in children)
    assert days == ["2024-01-02 2", "2024-01-03 2"]


def test_executions_are_launched_again(features: Plane, told: Mapping[str, Any]) -> None:
    modes = {"relaunch": execution_pb2.ExecutionMetadata.RELAUNCH, "recover": execution_pb2.ExecutionMetadata.RECOVERED}
    for command, mode in modes.items():
        ended = features.wait(execution_of(features, output(told, command)))
        assert Phase.Name(ended.closure.phase) == "SUCCEEDED"
        assert ended.spec.metadata.mode == mode
        assert ended.spec.metadata.reference_execution.name == NAME


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("fetch outputs", "{'o0': 'anna'}"),
        ("fetch inputs", "{'name': 'WHO'}"),
        ("fetch one", "'anna'"),
        ("dump", "TASK_RUNTIME"),
        ("explain", "NODE_SETUP"),
        ("info", "Flyte Backend Version: v"),
    ],
)
def test_what_is_known_of_an_execution_is_shown(told: Mapping[str, Any], command: str, expected: str) -> None:
    assert expected in output(told, command)
