"""Long and deep executions run like small ones, leave memory when they have ended, and share their slots fairly."""

from __future__ import annotations

import asyncio
import gc
import time
from itertools import pairwise

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.engine.observations import TimerFired
from elevon_propeller.engine.phases import TimerKind
from elevon_propeller.engine.state import NodeState
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.runtime.driver import FIRST_OBSERVATIONS, OBSERVATIONS_PER_TICK
from elevon_propeller.runtime.executor import WORKERS
from elevon_propeller.runtime.measurements import RuntimeMeasurements
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


class Steps(RuntimeMeasurements):
    """Remembers how many observations each tick took."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def stepped(self, observations: int, seconds: float) -> None:
        self.seen.append(observations)


async def test_what_comes_first_after_a_silence_does_not_wait_for_all_that_came_with_it(begin: Begin) -> None:
    engine = await begin()
    await engine.create("much", closures.chain(1))
    await eventually(lambda: engine.plugin.running)
    await engine.runtime.outbox.flushed(5)
    await asyncio.sleep(0.3)  # the silence, after the last acknowledgement has been written
    driver = engine.runtime.driver
    driver.measurements = steps = Steps()
    actor = driver.actors["p", "d", "much"]
    for _ in range(OBSERVATIONS_PER_TICK):
        driver.post(actor, TimerFired(0, "n0", TimerKind.SLEEP, 7))
    await eventually(lambda: sum(steps.seen) >= OBSERVATIONS_PER_TICK)
    first, *others = steps.seen
    assert first <= 2 * FIRST_OBSERVATIONS, "twice, if something small came just before"
    assert all(later <= 2 * earlier for earlier, later in pairwise(steps.seen))
    assert len(others) >= 2


@pytest.mark.parametrize("paused", [False, True])
async def test_starting_much_leaves_the_event_loop_to_others(begin: Begin, paused: bool) -> None:
    """Also when all workers wait until the replica is sure of its leases again, and are told so at one moment."""
    begun = 0

    def slow(attempt: Attempt) -> Report:
        nonlocal begun
        begun += 1
        time.sleep(0.001)
        return echo(attempt)

    engine = await begin(slow)
    await engine.create("much", closures.fan_out(WORKERS * 3))
    tenure = engine.runtime.driver.tenure
    if paused:
        asyncio.get_running_loop().call_later(0.5, tenure.confirm, tenure.until)
        tenure.until = 0.0
    most = 0
    while begun < WORKERS * 3:
        before = begun
        await asyncio.sleep(0)
        most = max(most, begun - before)
    assert most <= WORKERS // 4, "a start each of all workers is far too much at a time"
