"""Which nodes of an execution `elevon cache evict` takes for cached."""

from __future__ import annotations

import pytest
from elevon.commands import cache
from elevon.commands.execution_tree import MOST_ROWS

from tests.unit.standalone.nodes_of_an_execution import KEY, NoExecution, OneExecution, node


async def test_all_cached_nodes_of_a_wide_execution_are_found() -> None:
    wide = [node(f"n0-dn{number}", cached=True) for number in range(MOST_ROWS + 100)]
    nodes = {"": [node("n0", parent=True), node("n1", cached=True), node("n2")], "n0": wide}
    found = await cache.cached(OneExecution(nodes).client(), KEY)
    assert found == [*(each.id.node_id for each in wide), "n1"]


async def test_of_an_execution_that_is_nowhere_nothing_is_cached() -> None:
    with pytest.raises(LookupError, match="no execution e"):
        await cache.cached(NoExecution({}).client(), KEY)
