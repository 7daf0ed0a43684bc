"""A running admin with something of everything in it, reached over gRPC and over HTTP, and requests for every call."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import httpx
from elevon_admin.gateway.rules import Rule
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message

from tests.integration.admin_executions.harness import Admin, serving
from tests.integration.admin_registry.harness import plan_id

PROJECT, DOMAIN = "flytesnacks", "development"
BINARY, JSON = "application/octet-stream", "application/json"
SERVICES = {
    service.name: service
    for module in (admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
}

PLACE = {"project": PROJECT, "domain": DOMAIN}
EXECUTION = {**PLACE, "name": "e1"}
NODE = {"execution_id": EXECUTION, "node_id": "n0"}
TASK_EXECUTION = {"node_execution_id": NODE, "task_id": {**PLACE, "name": "t", "version": "v1"}, "retry_attempt": 1}
SORT = {"key": "created_at", "direction": "ASCENDING"}
PAGE = {"limit": 2, "sort_by": SORT}
MATCHING = {"matching_attributes": {"execution_queue_attributes": {"tags": ["a", "b"]}}}
QUEUE = {"resource_type": "EXECUTION_QUEUE"}
TIME = "2030-01-31T12:00:00Z"


def versioned(name: str) -> dict[str, Any]:
    """The identifier of a version, as paths can say it."""
    return {"id": {**PLACE, "name": name, "version": "v1"}}


def of_name(name: str) -> dict[str, Any]:
    """A page of what has a name; `+` between filters and blanks in them."""
    return {"id": {**PLACE, "name": name}, "filters": "eq(version, v1)+ne(version,v2)", **PAGE}


WITHIN = {"id": PLACE, **PAGE}
NAMES = {**PLACE, "limit": 1, "sort_by": {"key": "name", "direction": "ASCENDING"}}

REQUESTS: dict[str, list[dict[str, Any]]] = {
    "CreateTask": [{"id": {**PLACE, "name": "t"}}],
    "GetTask": [versioned("t"), versioned("none")],
    "ListTaskIds": [NAMES],
    "ListTasks": [of_name("t"), WITHIN],
    "CreateWorkflow": [{"id": {**PLACE, "name": "w", "version": "v1", "resource_type": "WORKFLOW"}}],
    "GetWorkflow": [versioned("w")],
    "ListWorkflowIds": [NAMES],
    "ListWorkflows": [of_name("w"), WITHIN],
    "CreateLaunchPlan": [{"id": {**PLACE, "name": "w", "version": "v1", "resource_type": "LAUNCH_PLAN"}}],
    "GetLaunchPlan": [versioned("w")],
    "GetActiveLaunchPlan": [{"id": {**PLACE, "name": "w"}}],
    "ListActiveLaunchPlans": [{**PLACE, **PAGE}],
    "ListLaunchPlanIds": [NAMES],
    "ListLaunchPlans": [of_name("w"), WITHIN],
    "UpdateLaunchPlan": [{**versioned("w"), "state": "ACTIVE"}],
    "CreateExecution": [{**PLACE, "name": "E1"}],
    "RelaunchExecution": [{"id": {**EXECUTION, "name": "none"}, "name": "again"}],
    "RecoverExecution": [{"id": {**EXECUTION, "name": "none"}, "name": "again"}],
    "GetExecution": [{"id": EXECUTION}],
    "UpdateExecution": [{"id": EXECUTION, "state": "EXECUTION_ARCHIVED"}],
    "GetExecutionData": [{"id": EXECUTION}],
    "GetExecutionMetrics": [{"id": EXECUTION, "depth": 3}],
    "ListExecutions": [{"id": PLACE, "filters": "value_in(phase,RUNNING;SUCCEEDED;QUEUED)", **PAGE}],
    "TerminateExecution": [{"id": {**EXECUTION, "name": "none"}, "cause": "enough"}],
    "GetNodeExecution": [{"id": NODE}],
    "GetDynamicNodeWorkflow": [{"id": NODE}],
    "ListNodeExecutions": [{"workflow_execution_id": EXECUTION, "unique_parent_id": "n0", **PAGE}],
    "ListNodeExecutionsForTask": [{"task_execution_id": TASK_EXECUTION, **PAGE}],
    "GetNodeExecutionData": [{"id": NODE}],
    "RegisterProject": [{"project": {"id": PROJECT, "name": "again"}}],
    "UpdateProject": [{"id": PROJECT, "name": "Snacks", "description": "small"}],
    "GetProject": [{"id": PROJECT}],
    "ListProjects": [{"limit": 1, "sort_by": {"key": "identifier", "direction": "ASCENDING"}}],
    "GetDomains": [{}],
    "CreateWorkflowEvent": [
        {"event": {"execution_id": {**EXECUTION, "name": "none"}, "phase": 3, "occurred_at": TIME}}
    ],
    "CreateNodeEvent": [{"event": {"id": {**NODE, "node_id": ""}, "phase": 3, "occurred_at": TIME}}],
    "CreateTaskEvent": [{"event": {"parent_node_execution_id": NODE, "phase": 3, "occurred_at": TIME}}],
    "GetTaskExecution": [{"id": TASK_EXECUTION}],
    "ListTaskExecutions": [{"node_execution_id": NODE, **PAGE}],
    "GetTaskExecutionData": [{"id": TASK_EXECUTION}],
    "UpdateProjectDomainAttributes": [{"attributes": {**PLACE, **MATCHING}}],
    "GetProjectDomainAttributes": [{**PLACE, **QUEUE}],
    "DeleteProjectDomainAttributes": [{**PLACE, "resource_type": "CLUSTER_ASSIGNMENT"}],
    "UpdateProjectAttributes": [{"attributes": {"project": PROJECT, **MATCHING}}],
    "GetProjectAttributes": [{"project": PROJECT, **QUEUE}],
    "DeleteProjectAttributes": [{"project": PROJECT, "resource_type": "CLUSTER_ASSIGNMENT"}],
    "UpdateWorkflowAttributes": [{"attributes": {**PLACE, "workflow": "w", **MATCHING}}],
    "GetWorkflowAttributes": [{**PLACE, "workflow": "w", **QUEUE}],
    "DeleteWorkflowAttributes": [{**PLACE, "workflow": "w", "resource_type": "CLUSTER_ASSIGNMENT"}],
    "ListMatchableAttributes": [QUEUE],
    "ListNamedEntities": [{"resource_type": "WORKFLOW", **NAMES, "filters": "eq(state,0)"}],
    "GetNamedEntity": [{"resource_type": "WORKFLOW", "id": {**PLACE, "name": "w"}}],
    "UpdateNamedEntity": [{"resource_type": 2, "id": {**PLACE, "name": "w"}, "metadata": {"description": "first"}}],
    "GetDescriptionEntity": [{"id": {**versioned("w")["id"], "resource_type": "WORKFLOW"}}],
    "ListDescriptionEntities": [
        {"resource_type": "WORKFLOW", "id": {**PLACE, "name": "w"}, "limit": 5},
        {"resource_type": "WORKFLOW", "id": PLACE, "limit": 5},
    ],
    "GetVersion": [{}],
    "ListSignals": [{"workflow_execution_id": EXECUTION, "limit": 5}],
    "SetSignal": [{"id": {"execution_id": EXECUTION, "signal_id": "none"}}],
    "CreateUploadLocation": [{**PLACE, "filename": "../out", "filename_root": "x"}],
    "CreateDownloadLocation": [{"native_url": "s3://elsewhere/a b", "expires_in": "60s"}],
    "CreateDownloadLink": [{"artifact_type": "ARTIFACT_TYPE_DECK", "node_execution_id": NODE}],
    "GetData": [{"flyte_url": f"flyte://v1/{PROJECT}/{DOMAIN}/e1/n0/i"}],
    "UserInfo": [{}],
    "GetOAuth2Metadata": [{}],
    "GetPublicClientConfig": [{}],
}
"""For each call, requests that answer the same however often they are sent; with several, the one that fits a path."""


@dataclass
class World:
    """The service and the two ways to it."""

    admin: Admin
    http: httpx.AsyncClient
    channel: grpc.aio.Channel

    async def grpc(self, rule: Rule, request: Message) -> Message | grpc.aio.AioRpcError:
        """What the call answers over gRPC, under its original name."""
        method = method_of(rule)
        path = f"/{method.containing_service.full_name}/{method.name}"
        response_type = message_factory.GetMessageClass(method.output_type)
        call = self.channel.unary_unary(path, type(request).SerializeToString, response_type.FromString)
        try:
            answer: Message = await call(request)
        except grpc.aio.AioRpcError as error:
            return error
        return answer

    async def send(self, rule: Rule, request: Message, content_type: str, **options: Any) -> httpx.Response:
        """Send a request as the rule says, its body in one encoding."""
        path, query = address(rule, request)
        body = encoded(request, content_type) if rule.body else b""
        headers = {"Accept": content_type} | ({"Content-Type": content_type} if rule.body else {})
        return await self.http.request(rule.verb, path, params=query, content=body, headers=headers, **options)


def method_of(rule: Rule) -> Any:
    """The original's descriptor of a rule's call."""
    return SERVICES[rule.service.rpartition(".")[2]].methods_by_name[rule.method]


def message(rule: Rule, document: dict[str, Any]) -> Message:
    """A request of the call, as the official message."""
    empty: Message = message_factory.GetMessageClass(method_of(rule).input_type)()
    return json_format.ParseDict(document, empty)


def encoded(request: Message, content_type: str) -> bytes:
    """A body."""
    if content_type == BINARY:
        return request.SerializeToString()
    return json_format.MessageToJson(request, preserving_proto_field_name=content_type == JSON).encode()


def address(rule: Rule, request: Message) -> tuple[str, dict[str, str]]:
    """Path and query that say what a request says."""
    document = flat(json_format.MessageToDict(request, preserving_proto_field_name=True))
    path = []
    for segment in rule.path.split("/"):
        named = segment.startswith("{")
        path.append(quote(str(document.pop(segment[1:-1], "0")), safe="") if named else segment)
    return "/".join(path), {} if rule.body else document


def flat(document: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values by dotted name."""
    found: dict[str, str] = {}
    for name, value in document.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: str(value)}
    return found


def request_for(rule: Rule) -> dict[str, Any]:
    """The first request that says what the path asks for."""
    fields = [segment[1:-1] for segment in rule.path.split("/") if segment.startswith("{")]
    fitting = [request for request in REQUESTS[rule.method] if rule.body or set(fields) <= says(rule, request)]
    return min(fitting, key=lambda request: len(says(rule, request) - set(fields)))


def says(rule: Rule, request: dict[str, Any]) -> set[str]:
    document = flat(json_format.MessageToDict(message(rule, request), preserving_proto_field_name=True))
    return set(document) | {"id.retry_attempt", "task_execution_id.retry_attempt"}


@contextlib.asynccontextmanager
async def world(folder: Path, **flags: Any) -> AsyncIterator[World]:
    """Run it, on SQLite, with an execution that is half done."""
    url = f"sqlite+aiosqlite:///{folder}/admin.db"
    async with contextlib.AsyncExitStack() as stack:
        admin = await stack.enter_async_context(serving(url, folder / "blobs", **flags))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{admin.app.http_address}", timeout=60)
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(admin.app.grpc_address))
        await admin.register("w")
        identifier = await admin.launch(plan_id("w"), "e1")
        await admin.report(identifier, core_execution.WorkflowExecution.RUNNING, 1)
        await admin.report_node(identifier, "n0", core_execution.NodeExecution.RUNNING, 2)
        for attempt in (0, 1):
            await admin.report_task(identifier, "n0", core_execution.TaskExecution.RUNNING, 3, retry_attempt=attempt)
        yield World(admin, http, channel)
