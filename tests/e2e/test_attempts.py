"""Names, checkpoints and decks of attempts, with the real flytekit."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from flyteidl.admin import execution_pb2, project_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.service import dataproxy_pb2, dataproxy_pb2_grpc

from tests.e2e.harness import DOMAIN, PROJECT, Id, Phase, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "attempts"
OTHER = "other-project"
DOWNLOAD = """
import os, sys
from flyteidl.core.identifier_pb2 import NodeExecutionIdentifier, WorkflowExecutionIdentifier
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote
remote = FlyteRemote(Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True))
answer = remote.client.get_download_artifact_signed_url(
    node_id="n0", project="flytesnacks", domain="development", name=sys.argv[1])
print(answer.pre_signed_urls.signed_url[0])
"""


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("attempts", VERSION)


def launch(plane: Plane, project: str, name: str, given: literals_pb2.LiteralMap) -> Id:
    plan = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=PROJECT,
        domain=DOMAIN,
        name="attempts.meets_wf",
        version=VERSION,
    )
    spec = execution_pb2.ExecutionSpec(launch_plan=plan, metadata=execution_pb2.ExecutionMetadata())
    request = execution_pb2.ExecutionCreateRequest(project=project, domain=DOMAIN, name=name, spec=spec, inputs=given)
    return plane.admin.CreateExecution(request).id


def test_equal_names_in_two_projects_do_not_meet(plane: Plane, tmp_path: Path) -> None:
    project = project_pb2.Project(id=OTHER, name=OTHER)
    plane.admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project))
    given = inputs(witness=str(tmp_path))
    executions = [launch(plane, project, "same-name", given) for project in (PROJECT, OTHER)]
    until(lambda: (tmp_path / PROJECT).exists() and (tmp_path / OTHER).exists(), 60, "both to run")
    (tmp_path / "go").touch()
    for execution in executions:
        assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
        (attempt,) = plane.attempts(plane.nodes(execution)["n0"])
        assert attempt.closure.metadata.generated_name == "same-name-n0-0"
        uri = plane.outputs(execution)["o0"].scalar.blob.uri
        assert Path(uri.removeprefix("file://")).read_text() == execution.project


def test_a_checkpoint_outlives_attempts_and_propeller(plane: Plane, tmp_path: Path) -> None:
    execution = plane.launch("attempts.goes_on_wf", VERSION, inputs(witness=str(tmp_path)))
    until(lambda: (tmp_path / "attempt-1").exists(), 60, "the second attempt")
    plane.kill("propeller")
    (tmp_path / "go").touch()
    assert Phase.Name(plane.wait(execution).closure.phase) == "SUCCEEDED"
    assert plane.outputs(execution)["o0"].scalar.primitive.integer == 7
    assert {path.name: path.read_text() for path in tmp_path.glob("read-*")} == {
        "read-0": "0",
        "read-1": "7",
        "read-2": "7",
    }
    attempts = plane.attempts(plane.nodes(execution)["n0"])
    assert [attempt.closure.error.code for attempt in attempts] == ["Interrupted", "USER:Recoverable", ""]


@pytest.mark.parametrize("fails", [False, True])
def test_a_deck_is_there_while_the_task_runs_and_after(plane: Plane, tmp_path: Path, fails: bool) -> None:
    given = inputs(witness=str(tmp_path))
    given.literals["fails"].scalar.primitive.boolean = fails
    execution = plane.launch("attempts.shows_wf", VERSION, given)

    def live() -> str | None:
        found = plane.nodes(execution).get("n0")
        uri = str(found.closure.deck_uri) if found else ""
        return uri if uri and Path(uri.removeprefix("file://")).exists() else None

    uri = until(live, 60, "the deck of a running task")
    assert uri.endswith("/n0/data/0/deck.html")
    (tmp_path / "go").touch()
    ended = plane.wait(execution)
    node = plane.nodes(execution)["n0"]
    assert node.closure.deck_uri == uri
    assert Phase.Name(ended.closure.phase) == ("FAILED" if fails else "SUCCEEDED")
    assert node.closure.error.code == ("USER:RuntimeError" if fails else "")
    request = dataproxy_pb2.CreateDownloadLinkRequest(
        artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK, node_execution_id=node.id
    )
    link = dataproxy_pb2_grpc.DataProxyServiceStub(plane.channel).CreateDownloadLink(request)
    by_remote = plane.flytekit("python", "-c", DOWNLOAD, execution.name).stdout.strip()
    for url in (link.pre_signed_urls.signed_url[0], by_remote):
        with urllib.request.urlopen(url) as answer:  # the plane's own
            assert b"forty-two" in answer.read()


def test_a_task_without_a_deck_has_none(plane: Plane) -> None:
    execution = plane.launch("attempts.shows_nothing_wf", VERSION)
    plane.wait(execution)
    assert plane.nodes(execution)["n0"].closure.deck_uri == ""
