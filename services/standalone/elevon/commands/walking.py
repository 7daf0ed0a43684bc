"""All nodes of an execution, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

AT_ONCE = 16
"""Nodes asked for at a time."""


async def every_node(
    client: Client, key: core.WorkflowExecutionIdentifier, parent: str = ""
) -> AsyncIterator[admin.NodeExecution]:
    """The nodes of an execution, or those below one, each before what is below it."""
    async for node in client.node_executions(key, parent=parent):
        yield node
        leaf = node.metadata.is_array or node.closure.WhichOneof("target_metadata") is not None
        if node.metadata.is_parent_node or not leaf:  # branches do not say that they have nodes below them
            async for below in every_node(client, key, node.id.node_id):
                yield below


async def all_whole(client: Client, nodes: Sequence[admin.NodeExecution]) -> list[admin.NodeExecution]:
    """The nodes with all of their errors, in the same order."""
    from elevon.commands.execution_tree import whole

    places = asyncio.Semaphore(AT_ONCE)

    async def one(node: admin.NodeExecution) -> admin.NodeExecution:
        async with places:
            return await whole(client, node)

    return list(await asyncio.gather(*map(one, nodes)))
