"""Long and deep executions run like small ones, leave memory when they have ended, and share their slots fairly."""

from __future__ import annotations

import gc

from elevon_idl.core import v1 as core
from elevon_propeller.engine.state import NodeState
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

from tests.integration.propeller_engine.engines import Begin, echo, eventually, report

DEPTH = 40


def nested(depth: int) -> core.CompiledWorkflowClosure:
    """Workflows in each other, and an echo task in the innermost; `x` goes in and comes out."""
    closure = closures.closure([TaskNodeSpec("n0")], outputs={"x": "n0"})
    below = closure.primary.template
    for level in range(1, depth):
        template = core.WorkflowTemplate()
        template.CopyFrom(below)
        template.id.name = f"level{level}"
        node = next(each for each in template.nodes if each.id == "n0")
        node.workflow_node.sub_workflow_ref.CopyFrom(below.id)
        closure.sub_workflows.add(template=below, connections=closure.primary.connections)
        closure.primary.template.CopyFrom(template)
        below = template
    return closure


async def test_a_long_chain_and_deep_nesting_run_to_their_ends(begin: Begin) -> None:
    engine = await begin(echo, lease_seconds=10.0)
    await engine.create("long", closures.chain(300))
    await engine.create("deep", nested(DEPTH))
    assert await engine.wait("long") == "SUCCEEDED"
    assert await engine.wait("deep") == "SUCCEEDED"
    assert len(engine.plugin.started) == 301


async def test_ended_executions_leave_memory(begin: Begin) -> None:
    engine = await begin(echo)
    closure = closures.closure([TaskNodeSpec("of-this-test", timeout_seconds=3600)])
    for number in range(5):
        await engine.create(f"ended-{number}", closure)
        assert await engine.wait(f"ended-{number}") == "SUCCEEDED"
    await engine.runtime.outbox.flushed(30)

    def left() -> int:
        gc.collect()
        return sum(isinstance(each, NodeState) and each.id == "of-this-test" for each in gc.get_objects())

    await eventually(lambda: left() == 0)


async def test_a_slow_node_holds_its_own_slot_and_no_other(begin: Begin) -> None:
    engine = await begin(lambda attempt: None if attempt.node_id == "n0" else echo(attempt))
    closure = closures.closure([TaskNodeSpec(f"n{number}") for number in range(20)])
    await engine.create("fair", closure, max_parallelism=2)
    await eventually(lambda: len(engine.plugin.started) == 20)
    await eventually(lambda: engine.plugin.running == {"fair-n0-0"})
    engine.plugin.finish("fair-n0-0", report(AttemptPhase.SUCCEEDED, outputs=closures.integers(x=1)))
    assert await engine.wait("fair") == "SUCCEEDED"
