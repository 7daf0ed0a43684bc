"""The inputs and outputs of executions, nodes and task attempts."""

from __future__ import annotations

from elevon_core.errors import Internal, NotFound, ResourceExhausted
from elevon_core.identifiers import validate_execution_identifier
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobNotFound
from google.protobuf.message import DecodeError

from elevon_admin.domain.event_batches import missing_execution
from elevon_admin.domain.executions import StoredNode
from elevon_admin.domain.flyte_urls import node_urls, task_urls
from elevon_admin.domain.records import ExecutionKey, StoredLiterals
from elevon_admin.execution_ports import ExecutionRepository
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.links import Links
from elevon_admin.usecases.literals import LiteralStore


class ExecutionData:
    """Answers literals whether they are in rows or in files; what cannot be read is answered empty.

    What is too large to be answered is told as an address to download it from, which clients do.
    """

    def __init__(
        self, executions: ExecutionRepository, queries: ExecutionQueries, literals: LiteralStore, links: Links
    ) -> None:
        self._executions = executions
        self._queries = queries
        self._literals = literals
        self._links = links

    async def of_execution(
        self, identifier: core.WorkflowExecutionIdentifier
    ) -> admin.WorkflowExecutionGetDataResponse:
        """Inputs and outputs of an execution; raises NotFound."""
        validate_execution_identifier(identifier)
        key = ExecutionKey.of(identifier)
        stored = await self._executions.literals(key)
        if stored is None:
            raise missing_execution(key)
        inputs, full_inputs = await self._shown(stored.inputs)
        outputs, full_outputs = await self._shown(stored.outputs)
        return admin.WorkflowExecutionGetDataResponse(
            inputs=inputs, outputs=outputs, full_inputs=full_inputs, full_outputs=full_outputs
        )

    async def of_node(self, identifier: core.NodeExecutionIdentifier) -> admin.NodeExecutionGetDataResponse:
        """Inputs and outputs of a node, and its workflow if it is dynamic; raises NotFound."""
        stored = await self._queries.node(identifier)
        inputs, full_inputs = await self._shown(stored.inputs)
        outputs, full_outputs = await self._shown(stored.outputs)
        response = admin.NodeExecutionGetDataResponse(
            inputs=inputs,
            outputs=outputs,
            full_inputs=full_inputs,
            full_outputs=full_outputs,
            flyte_urls=node_urls(stored.key, deck=bool(stored.closure.deck_uri)),
        )
        if stored.dynamic_workflow is not None:
            dynamic = response.dynamic_workflow
            if stored.dynamic_workflow_id is not None:
                dynamic.id.CopyFrom(stored.dynamic_workflow_id)
            dynamic.dynamic_job_spec_uri = stored.closure.dynamic_job_spec_uri
            dynamic.compiled_workflow.CopyFrom(await self._dynamic_closure(stored))
        return response

    async def of_task(self, identifier: core.TaskExecutionIdentifier) -> admin.TaskExecutionGetDataResponse:
        """Inputs and outputs of a task attempt; raises NotFound."""
        stored = await self._queries.task(identifier)
        inputs, full_inputs = await self._shown(stored.inputs)
        outputs, full_outputs = await self._shown(stored.outputs)
        return admin.TaskExecutionGetDataResponse(
            inputs=inputs,
            outputs=outputs,
            full_inputs=full_inputs,
            full_outputs=full_outputs,
            flyte_urls=task_urls(stored.key),
        )

    async def dynamic_workflow(self, identifier: core.NodeExecutionIdentifier) -> admin.DynamicNodeWorkflowResponse:
        """The workflow that a dynamic node made; raises NotFound for any other node, Internal when it is unreadable."""
        stored = await self._queries.node(identifier)
        return admin.DynamicNodeWorkflowResponse(compiled_workflow=await self._dynamic_closure(stored))

    async def values(self, stored: StoredLiterals | None, what: str) -> core.LiteralMap:
        """Inputs or outputs that were found already; raises ResourceExhausted for what is too large to be answered."""
        shown = await self._literals.shown(stored)
        if stored is not None and shown.oversize:
            here = self._links.plain(stored.uri) is not None
            where = "download it from where GetNodeExecutionData or GetTaskExecutionData say"
            raise ResourceExhausted(
                f"{what} has {shown.oversize} bytes, which is too much for an answer: "
                + (where if here else f"it is the file {stored.uri}")
            )
        return shown.literals

    async def _shown(self, stored: StoredLiterals | None) -> tuple[admin.UrlBlob, core.LiteralMap]:
        """Literals, or where to download them from, which is empty where they are answered or cannot be had."""
        shown = await self._literals.shown(stored)
        place = admin.UrlBlob()
        if stored is not None and shown.oversize:
            place.url = self._links.plain(stored.uri) or ""
            place.bytes = shown.oversize if place.url else 0
        return place, shown.literals

    async def _dynamic_closure(self, stored: StoredNode) -> core.CompiledWorkflowClosure:
        if stored.dynamic_workflow is None:
            raise NotFound(f"node does not contain dynamic workflow: {stored.key}")
        try:
            return await self._literals.read_closure(stored.dynamic_workflow)
        except (BlobNotFound, DecodeError) as error:
            raise Internal(f"the dynamic workflow of {stored.key} cannot be read: {error}") from error
