"""How nodes are asked for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from elevon.commands import walking
from elevon_idl.admin import v1 as admin

from tests.unit.standalone.nodes_of_an_execution import node


async def test_errors_are_asked_for_some_at_a_time() -> None:
    asking, most = 0, 0

    async def get(request: admin.NodeExecutionGetRequest) -> admin.NodeExecution:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0)
        asking -= 1
        found = node(request.id.node_id)
        found.closure.error.message = "all of it"
        return found

    nodes = [node(f"n{number}") for number in range(3 * walking.AT_ONCE)]
    for failed in nodes[1:]:
        failed.closure.error.message = "all"
    client = cast("Any", SimpleNamespace(admin=SimpleNamespace(GetNodeExecution=get)))
    found = await walking.all_whole(client, nodes)
    assert [each.id.node_id for each in found] == [each.id.node_id for each in nodes]
    assert [each.closure.error.message for each in found] == ["", *["all of it"] * (len(nodes) - 1)]
    assert most == walking.AT_ONCE
