"""Creating executions over gRPC with the official stubs."""

from __future__ import annotations

import asyncio

import grpc
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2

from tests.integration.admin_executions.harness import Admin, execution_id, execution_request, integer, literals
from tests.integration.admin_registry.harness import refused, task, task_id

EXISTS, INVALID, MISSING = (
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
)


async def test_a_launch_is_stored_and_handed_to_the_engine(admin: Admin) -> None:
    target = await admin.register()
    identifier = await admin.launch(target, "first")
    assert identifier == execution_id("first")
    found = await admin.get(identifier)
    assert found.spec.launch_plan == target
    assert found.spec.metadata.principal == ""
    assert found.spec.metadata.system_metadata.namespace == "flytesnacks-development"
    assert found.closure.phase == core_execution.WorkflowExecution.UNDEFINED
    assert found.closure.created_at == found.closure.updated_at
    assert not found.closure.HasField("started_at")
    assert found.closure.workflow_id.name == "w"
    request = await delivered(admin, "first")
    assert request.inputs.literals["a"].scalar.primitive.integer == 1
    assert request.options.max_parallelism == 25
    assert request.options.launch_plan_id.name == "w"
    assert len(request.closure_digest) == 32


async def delivered(admin: Admin, name: str) -> object:
    for _ in range(500):
        for key, request in admin.engine.created.items():
            if key.name == name:
                return request
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} was not delivered")
