"""Reading executions, node executions and task executions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from elevon_core.errors import InvalidArgument, NotFound
from elevon_core.identifiers import (
    validate_execution_identifier,
    validate_node_execution_identifier,
    validate_task_execution_identifier,
)
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.event_batches import missing_execution
from elevon_admin.domain.executions import StoredExecution, StoredNode, StoredTaskExecution
from elevon_admin.domain.filters import Filter, parse_filters
from elevon_admin.domain.paging import Page, cut, parse_page
from elevon_admin.domain.records import ExecutionKey, NodeKey, TaskKey
from elevon_admin.domain.sorting import Sort, parse_sort
from elevon_admin.execution_ports import ExecutionRepository, NodeExecutionRepository, TaskExecutionRepository
from elevon_admin.usecases.listing import resource_listing
from elevon_admin.usecases.resource_types import with_type

LISTED_MESSAGE_BYTES = 100
"""Bytes of an error message that lists of executions and nodes show."""

ListRequest = (
    admin.NodeExecutionListRequest
    | admin.NodeExecutionForTaskListRequest
    | admin.TaskExecutionListRequest
    | admin.SignalListRequest
)


class ExecutionQueries:
    """What is stored, in the form clients read."""

    def __init__(
        self, executions: ExecutionRepository, nodes: NodeExecutionRepository, tasks: TaskExecutionRepository
    ) -> None:
        self._executions = executions
        self._nodes = nodes
        self._tasks = tasks

    async def execution(self, identifier: core.WorkflowExecutionIdentifier) -> admin.Execution:
        """One execution; raises NotFound."""
        validate_execution_identifier(identifier)
        key = ExecutionKey.of(identifier)
        stored = await self._executions.get(key)
        if stored is None:
            raise missing_execution(key)
        return execution_message(stored)

    async def executions(self, request: admin.ResourceListRequest, reader: str = "") -> admin.ExecutionList:
        """A page of executions with their error messages cut short; a known reader goes on where it was."""
        listing = resource_listing(request, "ListExecutions")
        page = replace(listing.page, reader=reader)
        answer = admin.ExecutionList()
        scope, make = listing.scope, answer.executions.add
        rows, token = cut(page, await self._executions.list(*scope, listing.filters, listing.sort, page, make))
        for row in rows:
            _shorten(execution_message(row).closure)
        del answer.executions[len(rows) :]
        answer.token = token
        return answer

    async def node(self, identifier: core.NodeExecutionIdentifier) -> StoredNode:
        """One node execution with its data; raises NotFound."""
        validate_node_execution_identifier(identifier)
        key = NodeKey.of(identifier)
        stored = await self._nodes.get(key)
        if stored is None:
            raise NotFound(f"missing entity of type node execution with identifier {key}")
        return stored

    async def nodes(self, request: admin.NodeExecutionListRequest, reader: str = "") -> admin.NodeExecutionList:
        """A page of the top level of an execution, or of what is below one of its nodes (NotFound without that).

        A known reader goes on where it was.
        """
        if not request.HasField("workflow_execution_id"):
            raise InvalidArgument.missing("execution_id")
        validate_execution_identifier(request.workflow_execution_id, "execution_id")
        key = ExecutionKey.of(request.workflow_execution_id)
        filters, sort, page = _listing(request, "ListNodeExecutions")
        page = replace(page, reader=reader)
        parent = request.unique_parent_id or None
        if parent is not None:
            await self.node(core.NodeExecutionIdentifier(node_id=parent, execution_id=key.identifier()))
        answer = admin.NodeExecutionList()
        make = answer.node_executions.add
        found = await self._nodes.list(key, filters, sort, page, parent_node=parent, make=make)
        return _finished(answer, page, found)

    async def nodes_of_task(self, request: admin.NodeExecutionForTaskListRequest) -> admin.NodeExecutionList:
        """A page of the nodes below a task attempt; raises NotFound without that."""
        task = await self.task(request.task_execution_id)
        filters, sort, page = _listing(request, "ListNodeExecutionsForTask")
        execution = task.key.node.execution
        within = task.key.within_execution()
        answer = admin.NodeExecutionList()
        make = answer.node_executions.add
        found = await self._nodes.list(execution, filters, sort, page, parent_task=within, make=make)
        return _finished(answer, page, found)

    async def task(self, identifier: core.TaskExecutionIdentifier) -> StoredTaskExecution:
        """One task execution with its data; raises NotFound."""
        with_type(identifier.task_id, core.TASK)
        validate_task_execution_identifier(identifier)
        key = TaskKey.of(identifier.task_id, identifier.node_execution_id, identifier.retry_attempt)
        stored = await self._tasks.get(key)
        if stored is None:
            raise NotFound(f"missing entity of type task execution with identifier {key}")
        return stored

    async def tasks(self, request: admin.TaskExecutionListRequest) -> admin.TaskExecutionList:
        """A page of all attempts of all tasks of a node."""
        validate_node_execution_identifier(request.node_execution_id, "node_execution_id")
        filters, sort, page = _listing(request, "ListTaskExecutions")
        rows, token = cut(page, await self._tasks.list(NodeKey.of(request.node_execution_id), filters, sort, page))
        return admin.TaskExecutionList(task_executions=[row.message() for row in rows], token=token)

    async def attempt(self, node: NodeKey, attempt: int) -> StoredTaskExecution | None:
        """The first task execution with this number of a node, with its data; None when there is none."""
        only = parse_filters(f"eq(retry_attempt,{attempt})")
        found = await self._tasks.list(node, only, Sort("created_at", ascending=True), Page(1))
        return await self._tasks.get(found[0].key) if found else None


def _listing(request: ListRequest, operation: str) -> tuple[tuple[Filter, ...], Sort | None, Page]:
    sort = parse_sort(request.sort_by if request.HasField("sort_by") else None)
    return parse_filters(request.filters), sort, parse_page(request.limit, request.token, operation)


def execution_message(stored: StoredExecution) -> admin.Execution:
    """The execution as clients read it: its own message, with what only columns know filled in."""
    message, closure = stored.message, stored.closure
    if stored.cluster:
        message.spec.metadata.system_metadata.execution_cluster = stored.cluster
    if closure.phase == core.WorkflowExecution.ABORTED and not closure.HasField("abort_metadata"):
        closure.abort_metadata.cause = stored.abort_cause
    if not closure.HasField("state_change_details"):
        closure.state_change_details.occurred_at.CopyFrom(closure.created_at)
        closure.state_change_details.principal = stored.user
    return message


def _finished(answer: admin.NodeExecutionList, page: Page, found: Sequence[StoredNode]) -> admin.NodeExecutionList:
    """The answer whose nodes were found, as a list shows them."""
    rows, answer.token = cut(page, found)
    for row in rows:
        _shorten(row.closure)
    del answer.node_executions[len(rows) :]
    return answer


def _shorten(closure: admin.ExecutionClosure | admin.NodeExecutionClosure) -> None:
    """Cut the error message at a whole character."""
    if closure.HasField("error") and len(closure.error.message) > LISTED_MESSAGE_BYTES // 4:
        encoded = closure.error.message.encode()[:LISTED_MESSAGE_BYTES]
        closure.error.message = encoded.decode(errors="ignore")
