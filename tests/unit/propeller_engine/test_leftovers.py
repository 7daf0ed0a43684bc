"""What a crash left behind is cleaned up, and only what is over."""

from __future__ import annotations

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.plan import build_plan
from elevon_propeller.engine.records import NodeRow, node_row
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.plugins.contract import Leftover
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.ports import Commit, ExecutionRow
from elevon_propeller.runtime.leftovers import Leftovers
from elevon_propeller.simulation import closures
from elevon_propeller.store.memory import MemoryStore


class Keeper(FakePlugin):
    """Keeps things for every attempt that was not finalized."""

    def __init__(self, kept: list[Leftover]) -> None:
        super().__init__()
        self.kept = {each.name: each for each in kept}

    async def leftovers(self) -> list[Leftover]:
        return list(self.kept.values())

    async def finalize(self, name: str) -> None:
        await super().finalize(name)
        del self.kept[name]


def leftover(execution: str, node_id: str, number: int) -> Leftover:
    return Leftover(f"{execution}-{node_id}-{number}", "p", "d", execution, node_id, number)


def execution_row(key: int, name: str, ended_at: int = 0) -> ExecutionRow:
    return ExecutionRow(key, 1, "p", "d", name, b"", b"", b"", 1, ended_at=ended_at)


def node(node_id: str, phase: NodePhase, attempt: int) -> NodeRow:
    plan = build_plan(closures.chain(1), SUPPORTED)
    identifier = core.WorkflowExecutionIdentifier(project="p", domain="d", name="live")
    state = ExecutionState(plan, identifier, core.LiteralMap(), propeller.ExecutionOptions(), 0, "m", "r")
    made = node_row(state.nodes["n0"])
    made["node_id"], made["phase"], made["attempt"] = node_id, int(phase), attempt
    return made


async def test_only_what_is_over_is_let_go_of() -> None:
    store = MemoryStore()
    nodes = [
        node("running", NodePhase.RUNNING, 1),
        node("stopping", NodePhase.STOPPING, 0),
        node("succeeded", NodePhase.SUCCEEDED, 0),
        node("waiting", NodePhase.BACKING_OFF, 1),
    ]
    rows = [execution_row(1, "live"), execution_row(2, "ended", ended_at=5)]
    await store.commit(Commit({}, created=rows, nodes=[(1, each) for each in nodes]))
    over = [
        leftover("live", "running", 0),
        leftover("live", "succeeded", 0),
        leftover("live", "waiting", 0),
        leftover("ended", "n0", 0),
        leftover("forgotten", "n0", 0),
    ]
    needed = [leftover("live", "running", 1), leftover("live", "stopping", 0), leftover("live", "array-0-n7", 0)]
    keeper = Keeper(over + needed)
    leftovers = Leftovers(store, [FakePlugin("keeps nothing"), keeper])
    assert await leftovers.clear() == len(over)
    assert sorted(keeper.finalized) == sorted(each.name for each in over)
    assert list(keeper.kept.values()) == needed
    assert await leftovers.clear() == 0


async def test_one_that_cannot_be_let_go_of_keeps_no_other() -> None:
    class Stuck(Keeper):
        async def finalize(self, name: str) -> None:
            if name == "gone-n0-0":
                raise RuntimeError("its processes cannot be killed")
            await super().finalize(name)

    keeper = Stuck([leftover("gone", "n0", 0), leftover("gone", "n1", 0)])
    assert await Leftovers(MemoryStore(), [keeper]).clear() == 1
    assert list(keeper.kept) == ["gone-n0-0"]
