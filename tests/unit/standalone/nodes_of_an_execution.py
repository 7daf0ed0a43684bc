"""A client of a control plane with one execution, for what commands make of its nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

from elevon_client import Client
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

KEY = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e")


def node(name: str, *, cached: bool = False, parent: bool = False) -> admin.NodeExecution:
    """A node that runs a task, or one with others below it."""
    made = admin.NodeExecution(id=core.NodeExecutionIdentifier(node_id=name, execution_id=KEY))
    made.metadata.is_parent_node = parent
    made.closure.task_node_metadata.cache_status = core.CACHE_POPULATED if cached else core.CACHE_DISABLED
    if cached:
        made.closure.task_node_metadata.catalog_key.dataset_id.name = "dataset"
    return made


class OneExecution:
    """Answers with the nodes below each parent, and with the attempts of each node."""

    def __init__(
        self,
        nodes: Mapping[str, Sequence[admin.NodeExecution]],
        attempts: Mapping[str, Sequence[admin.TaskExecution]] | None = None,
        phase: core.WorkflowExecution.Phase.ValueType = core.WorkflowExecution.SUCCEEDED,
    ) -> None:
        self.nodes = nodes
        self.attempts = attempts or {}
        self.phase = phase

    def client(self) -> Client:
        """What commands take for a client."""
        return cast("Client", self)

    async def execution(self, key: core.WorkflowExecutionIdentifier) -> admin.Execution:
        """The execution as it is."""
        return admin.Execution(id=key, closure=admin.ExecutionClosure(phase=self.phase))

    async def node_executions(
        self, key: core.WorkflowExecutionIdentifier, parent: str = ""
    ) -> AsyncIterator[admin.NodeExecution]:
        """The nodes below a parent."""
        for found in self.nodes.get(parent, ()):
            yield found

    async def task_executions(self, key: core.NodeExecutionIdentifier) -> AsyncIterator[admin.TaskExecution]:
        """The attempts of a node."""
        for found in self.attempts.get(key.node_id, ()):
            yield found


class NoExecution(OneExecution):
    """Answers about an execution that is not there: lists of what it has are empty."""

    async def execution(self, key: core.WorkflowExecutionIdentifier) -> admin.Execution:
        """There is none."""
        raise LookupError(f"no execution {key.name}")
