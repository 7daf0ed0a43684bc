"""The requests of flyteconsole, byte for byte as it sends them: paths as they are, protobuf both ways, a cookie."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    node_execution_pb2,
    project_attributes_pb2,
    project_pb2,
    signal_pb2,
    task_execution_pb2,
    task_pb2,
    workflow_pb2,
)
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2
from flyteidl.service import dataproxy_pb2
from google.protobuf.message import Message

from tests.integration.admin_executions.harness import literals
from tests.integration.admin_gateway.harness import BINARY, World
from tests.integration.admin_registry.harness import plan_id, task, workflow, workflow_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

P = "flytesnacks/development"
ALL = "limit=10000"
NEWEST = "sort_by.key=created_at&sort_by.direction=DESCENDING"


class Console:
    """Sends as the console does."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def send(self, verb: str, path: str, body: Message | None = None) -> httpx.Response:
        headers = {"Accept": BINARY, "Cookie": "flyte_user_info=abc", "Origin": "http://localhost:3000"}
        content = b""
        if body is not None:
            headers["Content-Type"] = BINARY
            content = body.SerializeToString()
        response = await self._http.request(verb, f"/api/v1{path}", headers=headers, content=content)
        assert response.headers["content-type"] == BINARY
        assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
        return response

    async def get(self, path: str, kind: Any) -> Any:
        response = await self.send("GET", path)
        assert response.status_code == 200, response.content
        return kind.FromString(response.content)

    async def write(self, verb: str, path: str, body: Message, kind: Any) -> Any:
        response = await self.send(verb, path, body)
        assert response.status_code == 200, response.content
        return kind.FromString(response.content)


@pytest.fixture
def console(running: World) -> Console:
    return Console(running.http)


async def test_the_project_list(console: Console) -> None:
    projects = (await console.get("/projects", project_pb2.Projects)).projects
    snacks = next(project for project in projects if project.id == "flytesnacks")
    assert [domain.id for domain in snacks.domains] == ["development", "staging", "production"]


@pytest.mark.parametrize(("kind", "name"), [(1, "t"), (2, "w"), (3, "w")])
async def test_names_by_the_number_of_their_type(console: Console, kind: int, name: str) -> None:
    query = f"{ALL}&filters=eq(state%2C0)&sort_by.key=name&sort_by.direction=ASCENDING"
    listed = await console.get(f"/named_entities/{kind}/{P}?{query}", common_pb2.NamedEntityList)
    assert name in [entity.id.name for entity in listed.entities]
    assert (await console.get(f"/named_entities/{kind}/{P}/{name}", common_pb2.NamedEntity)).resource_type == kind


async def test_archiving_a_name(console: Console, running: World) -> None:
    await running.admin.stub.CreateWorkflow(workflow("old"))
    update = common_pb2.NamedEntityUpdateRequest(
        resource_type=identifier_pb2.WORKFLOW,
        id=common_pb2.NamedEntityIdentifier(project="flytesnacks", domain="development", name="old"),
        metadata=common_pb2.NamedEntityMetadata(state=common_pb2.NAMED_ENTITY_ARCHIVED),
    )
    await console.write("PUT", f"/named_entities/2/{P}/old", update, common_pb2.NamedEntityUpdateResponse)
    archived = await console.get(
        f"/named_entities/2/{P}?{ALL}&filters=eq(state,1)&sort_by.key=name", common_pb2.NamedEntityList
    )
    assert [entity.id.name for entity in archived.entities] == ["old"]


async def test_registered_things(console: Console) -> None:
    ids = await console.get(f"/workflow_ids/{P}?{ALL}", common_pb2.NamedEntityIdentifierList)
    assert "w" in [identifier.name for identifier in ids.entities]
    versions = await console.get(f"/workflows/{P}/w?limit=25&{NEWEST}", workflow_pb2.WorkflowList)
    assert [each.id.version for each in versions.workflows] == ["v1"]
    found = await console.get(f"/workflows/{P}/w/v1", workflow_pb2.Workflow)
    primary = found.closure.compiled_workflow.primary
    assert {"start-node", "end-node"} <= {node.id for node in primary.template.nodes}
    assert primary.connections.downstream["start-node"].ids
    assert (await console.get(f"/tasks/{P}/t/v1", task_pb2.Task)).id.resource_type == identifier_pb2.TASK
    plans = await console.get(
        f"/launch_plans/{P}?limit=50&filters=eq(workflow.name%2Cw)%2Beq(workflow.version%2Cv1)&{NEWEST}",
        launch_plan_pb2.LaunchPlanList,
    )
    assert [each.id.name for each in plans.launch_plans] == ["w"]


async def test_activating_a_launch_plan(console: Console) -> None:
    update = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan_id("w"), state=launch_plan_pb2.ACTIVE)
    await console.write("PUT", f"/launch_plans/{P}/w/v1", update, launch_plan_pb2.LaunchPlanUpdateResponse)
    found = await console.get(f"/launch_plans/{P}/w/v1", launch_plan_pb2.LaunchPlan)
    assert found.closure.state == launch_plan_pb2.ACTIVE


async def launched(console: Console) -> str:
    """The name of an execution started from the launch form."""
    metadata = execution_pb2.ExecutionMetadata(principal="flyteconsole", mode=execution_pb2.ExecutionMetadata.MANUAL)
    spec = execution_pb2.ExecutionSpec(launch_plan=plan_id("w"), metadata=metadata, inputs=literals(a=7))
    request = execution_pb2.ExecutionCreateRequest(project="flytesnacks", domain="development", spec=spec)
    created = await console.write("POST", "/executions", request, execution_pb2.ExecutionCreateResponse)
    name: str = created.id.name
    return name


async def test_a_launch_from_the_form_with_inputs_in_the_old_place(console: Console) -> None:
    name = await launched(console)
    found = await console.get(f"/executions/{P}/{name}", execution_pb2.Execution)
    assert found.closure.workflow_id == workflow_id("w")
    data = await console.get(f"/data/executions/{P}/{name}", execution_pb2.WorkflowExecutionGetDataResponse)
    assert data.full_inputs.literals["a"].scalar.primitive.integer == 7
    listed = await console.get(
        f"/executions/{P}?limit=100&filters=eq(workflow.name%2Cw)%2Beq(workflow.domain%2Cdevelopment)&{NEWEST}",
        execution_pb2.ExecutionList,
    )
    assert name in [each.id.name for each in listed.executions]


async def test_archiving_and_aborting_an_execution(console: Console) -> None:
    name = await launched(console)
    identifier = identifier_pb2.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name=name)
    archive = execution_pb2.ExecutionUpdateRequest(id=identifier, state=execution_pb2.EXECUTION_ARCHIVED)
    await console.write("PUT", f"/executions/{P}/{name}", archive, execution_pb2.ExecutionUpdateResponse)
    abort = execution_pb2.ExecutionTerminateRequest(cause="enough of it")
    await console.write("DELETE", f"/executions/{P}/{name}", abort, execution_pb2.ExecutionTerminateResponse)
    found = await console.get(f"/executions/{P}/{name}", execution_pb2.Execution)
    assert found.closure.state_change_details.state == execution_pb2.EXECUTION_ARCHIVED
    assert found.closure.abort_metadata.cause == "enough of it"


async def test_launching_again(console: Console) -> None:
    identifier = identifier_pb2.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name="e1")
    request = execution_pb2.ExecutionRelaunchRequest(id=identifier)
    again = await console.write("POST", "/executions/relaunch", request, execution_pb2.ExecutionCreateResponse)
    assert again.id.name not in ("", "e1")


async def test_the_nodes_of_an_execution(console: Console) -> None:
    query = f"{ALL}&sort_by.key=created_at&sort_by.direction=ASCENDING"
    nodes = await console.get(f"/node_executions/{P}/e1?{query}", node_execution_pb2.NodeExecutionList)
    assert [node.id.node_id for node in nodes.node_executions] == ["n0"]
    below = await console.get(
        f"/node_executions/{P}/e1?{query}&uniqueParentId=n0", node_execution_pb2.NodeExecutionList
    )
    assert list(below.node_executions) == []
    assert (await console.get(f"/node_executions/{P}/e1/n0", node_execution_pb2.NodeExecution)).id.node_id == "n0"
    await console.get(f"/data/node_executions/{P}/e1/n0", node_execution_pb2.NodeExecutionGetDataResponse)
    await console.get(f"/metrics/executions/{P}/e1?depth=10", execution_pb2.WorkflowExecutionGetMetricsResponse)


async def test_the_attempts_of_a_node(console: Console) -> None:
    attempts = await console.get(
        f"/task_executions/{P}/e1/n0?{ALL}&sort_by.key=created_at&sort_by.direction=ASCENDING",
        task_execution_pb2.TaskExecutionList,
    )
    assert [each.id.retry_attempt for each in attempts.task_executions] == [0, 1]
    place = f"{P}/e1/n0/{P}/t/v1/1"
    assert (await console.get(f"/task_executions/{place}", task_execution_pb2.TaskExecution)).id.retry_attempt == 1
    await console.get(f"/data/task_executions/{place}", task_execution_pb2.TaskExecutionGetDataResponse)
    await console.get(f"/children/task_executions/{place}?{ALL}", node_execution_pb2.NodeExecutionList)


async def test_answering_a_gate(console: Console, running: World) -> None:
    execution = identifier_pb2.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name="e1")
    identifier = identifier_pb2.SignalIdentifier(signal_id="approve", execution_id=execution)
    kind = {"simple": "BOOLEAN"}
    await running.admin.signals.GetOrCreateSignal(signal_pb2.SignalGetOrCreateRequest(id=identifier, type=kind))
    request = signal_pb2.SignalSetRequest(id=identifier)
    request.value.scalar.primitive.boolean = True
    await console.write("POST", "/signals", request, signal_pb2.SignalSetResponse)
    signals = await console.get(f"/signals/{P}/e1?limit=5", signal_pb2.SignalList)
    assert [signal.value.scalar.primitive.boolean for signal in signals.signals] == [True]


async def test_a_deck_is_shown_from_the_old_field(console: Console, running: World) -> None:
    execution = identifier_pb2.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name="e1")
    upload = dataproxy_pb2.CreateUploadLocationRequest(
        project="flytesnacks", domain="development", filename="deck.html", filename_root="decks"
    )
    place = await console.write("POST", "/dataproxy/artifact_urn", upload, dataproxy_pb2.CreateUploadLocationResponse)
    assert (await running.http.put(place.signed_url, content=b"<b>deck</b>")).status_code == 200
    await running.admin.report_node(
        execution, "n1", core_execution.NodeExecution.SUCCEEDED, 9, deck_uri=place.native_url, output_uri="file:///none"
    )
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=execution, node_id="n1")
    request = dataproxy_pb2.CreateDownloadLinkRequest(
        artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK, node_execution_id=node
    )
    link = await console.write("POST", "/dataproxy/artifact_link", request, dataproxy_pb2.CreateDownloadLinkResponse)
    assert (await running.http.get(link.signed_url[0])).content == b"<b>deck</b>"


@pytest.mark.parametrize(
    "path",
    [
        f"/description_entities/2/{P}/w/none",
        "/project_attributes/flytetester?resource_type=3",
        "/project_domain_attributes/flytetester/staging?resource_type=6",
        f"/executions/{P}/none",
        f"/workflows/{P}/w/none",
        "/no/such/thing",
    ],
)
async def test_what_is_not_there_is_404(console: Console, path: str) -> None:
    assert (await console.send("GET", path)).status_code == 404


async def test_the_execution_settings_of_a_project(console: Console) -> None:
    found = await console.get(
        "/project_attributes/flytesnacks?resource_type=6", project_attributes_pb2.ProjectAttributesGetResponse
    )
    assert found.attributes.matching_attributes.workflow_execution_config.max_parallelism == 25


async def test_there_is_no_profile_without_authentication(running: World) -> None:
    response = await running.http.get("/me", headers={"Accept": "application/json, text/plain, */*"})
    assert response.status_code == 501
    assert response.json()["code"] == 12


async def test_names_with_blanks_and_letters_beyond_ascii(console: Console, running: World) -> None:
    await running.admin.stub.CreateTask(task("mäh täsk+1", "v 1"))
    for path in ("/tasks/{}/m%C3%A4h%20t%C3%A4sk%2B1/v%201", "/tasks/{}/mäh täsk+1/v 1"):
        found = await console.get(path.format(P), task_pb2.Task)
        assert (found.id.name, found.id.version) == ("mäh täsk+1", "v 1")
    assert (await console.send("GET", f"/tasks/{P}/a%2Fb/v1")).status_code == 404
