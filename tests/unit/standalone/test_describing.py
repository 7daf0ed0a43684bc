"""What `elevon describe` tells programs."""

from __future__ import annotations

from types import SimpleNamespace

from elevon.commands import executions
from elevon.commands.execution_tree import MOST_ROWS
from elevon_core import literals
from elevon_idl.admin import v1 as idl
from elevon_idl.core import v1 as core

from tests.unit.standalone.nodes_of_an_execution import KEY, OneExecution, node


class Described(OneExecution):
    """An execution with values."""

    @property
    def admin(self) -> SimpleNamespace:
        """The one call that is needed."""
        return SimpleNamespace(GetExecutionData=self._data)

    async def _data(self, request: idl.WorkflowExecutionGetDataRequest) -> idl.WorkflowExecutionGetDataResponse:
        assert request.id == KEY
        outputs = core.LiteralMap(literals={"o0": literals.integer(7)})
        return idl.WorkflowExecutionGetDataResponse(full_outputs=outputs)


async def test_programs_are_told_of_every_node() -> None:
    wide = [node(f"n0-dn{number}") for number in range(MOST_ROWS + 1)]
    hidden = node("n0-start-node")
    hidden.metadata.spec_node_id = "start-node"
    client = Described({"": [node("n0", parent=True), node("n1")], "n0": [hidden, *wide]}).client()

    told = await executions.everything(client, KEY)

    assert [each["id"]["node_id"] for each in told["nodes"]] == ["n0", *(each.id.node_id for each in wide), "n1"]
    assert told["execution"]["id"] == {"project": "p", "domain": "d", "name": "e"}
    assert told["outputs"]["literals"]["o0"]["scalar"]["primitive"] == {"integer": "7"}
