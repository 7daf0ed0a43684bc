"""An admin service with many rows of everything, and a way to call any of its services."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from elevon_idl.admin.v1 import (
    admin_service_pb2,
    delivery_service_pb2,
    retention_service_pb2,
    schedule_service_pb2,
    signal_service_pb2,
)
from elevon_kit.database import Database
from elevon_kit.grpc_local import LocalCalls
from google.protobuf import json_format, message_factory

from tests.benchmarks.million import copy_executions, copy_nodes, copy_registry
from tests.integration.admin_executions.harness import (
    DOMAIN,
    NODE,
    PROJECT,
    TASK,
    WORKFLOW,
    Admin,
    execution_id,
    serving,
)
from tests.integration.admin_registry.harness import task, task_id

EXECUTIONS = 20_000
VERSIONS = 20_000
LARGE_EXECUTIONS, NODES = 4, 5_000
PLACE = {"project": PROJECT, "domain": DOMAIN}
SERVICES = [
    service
    for file in (
        admin_service_pb2,
        delivery_service_pb2,
        retention_service_pb2,
        schedule_service_pb2,
        signal_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]
LISTS = {method.name: method for service in SERVICES for method in service.methods if method.name.startswith("List")}
"""Every list call of admin."""


@contextlib.asynccontextmanager
async def filled(
    url: str, folder: Path, *, executions: int = EXECUTIONS, versions: int = VERSIONS, nodes: int = NODES
) -> AsyncIterator[Admin]:
    """Serve a database with two workflows and a task, each executed, and thousands of copies of all of it."""
    async with serving(url, folder) as admin:
        await admin.stub.CreateTask(task("t", description="adds"))
        for name in ("w1", "w2"):
            await admin.launch(await admin.register(name), f"{name}x")
        await admin.launch(task_id("t"), "tx")
        for name in ("w1x", "w2x", "tx"):
            await admin.report(execution_id(name), WORKFLOW.RUNNING, 1)
            await admin.report_node(execution_id(name), "n0", NODE.RUNNING, 1)
            await admin.report_task(execution_id(name), "n0", TASK.RUNNING, 1)
        await copy_executions(url, executions)
        await copy_nodes(url, LARGE_EXECUTIONS, nodes)
        await copy_registry(url, versions)
        yield admin


def database_of(admin: Admin) -> Database:
    """The database of a running service."""
    return admin.app._database


async def ask(admin: Admin, name: str, request: Mapping[str, Any]) -> Any:
    """Make a list call from within the process, which tells its statements from others; answers its response."""
    method = LISTS[name]
    message = json_format.ParseDict(dict(request), message_factory.GetMessageClass(method.input_type)())
    path = f"/{method.containing_service.full_name}/{method.name}"
    answer = await LocalCalls(admin.app._grpc).call(path, message.SerializeToString())
    return message_factory.GetMessageClass(method.output_type).FromString(answer)
