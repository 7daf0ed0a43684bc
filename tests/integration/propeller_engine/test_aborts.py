"""Aborts in every phase a node can be in, on real databases: nothing keeps running, nothing begins any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from elevon_core import hashing
from elevon_core.errors import Unavailable
from elevon_idl.core import v1 as core
from elevon_propeller.engine.commands import CacheEntry
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec, TaskNodeSpec

from tests.integration.propeller_engine.engines import (
    POLICY,
    Begin,
    Engine,
    echo,
    eventually,
    failing,
    identifier,
    plugin,
    report,
)
from tests.integration.propeller_engine.test_gates import WAITING, is_known, known_to_admin
from tests.integration.propeller_engine.test_offspring import (
    DYNAMIC,
    LAUNCHING,
    job,
    know_plan,
    launched,
    one,
    task_node,
    yielding,
)

Node = core.NodeExecution
PATIENT = replace(POLICY, backoff_base=3_600_000_000, backoff_limit=3_600_000_000, cache_wait=3_600_000_000)
FOREVER = [Unavailable("down")] * 10_000


async def aborted(engine: Engine, name: str = "x") -> None:
    """Abort, and see that everything has ended for good."""
    await engine.abort(name, "enough")
    assert await engine.wait(name) == "ABORTED"
    assert not engine.plugin.running
    view = await engine.watching.describe(identifier(name))
    assert all(Node.Phase.Name(node.phase) in ENDED for node in view.nodes), view.nodes
    await engine.runtime.outbox.flushed(5)
    last = [event.workflow.phase for event in engine.admin.events if event.HasField("workflow")][-1]
    assert last == core.WorkflowExecution.ABORTED
    started = list(engine.plugin.started)
    await engine.create("after", closures.chain(1), max_parallelism=1)
    await eventually(lambda: any(each.startswith("after") for each in engine.plugin.started))
    assert engine.plugin.started[: len(started)] == started
    assert len(engine.plugin.started) == len(started) + 1


ENDED = {"SUCCEEDED", "FAILED", "ABORTED", "SKIPPED", "TIMED_OUT"}


async def reason(engine: Engine, node_id: str, text: str) -> None:
    """Wait until a node says why it does not run."""
    found = ""
    while text not in found:
        view = await engine.watching.describe(identifier("x"))
        found = next((node.reason for node in view.nodes if node.node_id == node_id), "")
        await asyncio.sleep(0.01)


async def test_while_nodes_are_queued(begin: Begin) -> None:
    engine = await begin()
    await engine.create("x", closures.fan_out(3), max_parallelism=1)
    await eventually(lambda: engine.plugin.running)
    await reason(engine, "n2", "max_parallelism")
    await aborted(engine)
    assert len(engine.plugin.aborted) == 1


async def test_while_a_node_backs_off(begin: Begin) -> None:
    engine = await begin(failing(AttemptPhase.RETRYABLE_FAILURE, 9, core.ExecutionError.SYSTEM), policy=PATIENT)
    await engine.create("x", closures.chain(1))
    await reason(engine, "n0", "backoff")
    await aborted(engine)
    assert engine.plugin.started == ["x-n0-0", "after-n0-0"]


async def test_while_a_node_waits_for_a_reservation(begin: Begin) -> None:
    engine = await begin(policy=PATIENT)
    spec = TaskNodeSpec("n0", cached=True, serializable=True)
    closure = closures.closure([spec])
    await reserve_elsewhere(engine, closure)
    await engine.create("x", closure)
    await reason(engine, "n0", "waiting on serialized cache: somebody else has the reservation")
    await aborted(engine)
    assert engine.plugin.started == ["after-n0-0"]


async def reserve_elsewhere(engine: Engine, closure: core.CompiledWorkflowClosure) -> None:
    """Let somebody else hold the reservation of the only node's entry."""
    task = closure.tasks[0].template
    dataset = core.Identifier(
        resource_type=core.DATASET,
        project=task.id.project,
        domain=task.id.domain,
        name=hashing.dataset_name(task.id.name),
        version=hashing.dataset_version("1", task.interface),
    )
    tag = hashing.cache_tag(closures.integers(x=1), ())
    entry = CacheEntry(dataset, tag, "somebody else", task.interface, task.id, core.TaskExecutionIdentifier())
    assert await engine.catalog.reserve(entry, 3_600) == "somebody else"


async def test_in_a_gate(begin: Begin) -> None:
    engine = await begin()
    known_to_admin(engine, "x")
    await engine.create("x", WAITING)
    await eventually(lambda: is_known(engine, "x"))
    await aborted(engine)


async def test_in_a_gate_while_admin_is_away(begin: Begin) -> None:
    engine = await begin()
    engine.service.failures = list(FOREVER)
    await engine.create("x", WAITING)
    await eventually(lambda: engine.service.calls)
    await aborted(engine)


async def test_while_the_graph_of_a_dynamic_task_is_built(begin: Begin) -> None:
    engine = await begin(yielding(job(task_node("dn0", one()), tasks=())))
    engine.service.failures = list(FOREVER)
    await engine.create("x", DYNAMIC)
    await eventually(lambda: engine.service.calls)
    await aborted(engine)


async def test_while_the_graph_of_a_dynamic_task_runs(begin: Begin) -> None:
    spec = job(task_node("dn0", one()), task_node("dn1", one()))

    def script(attempt: Attempt) -> Report | None:
        return report(AttemptPhase.SUCCEEDED, futures=spec) if attempt.node_id == "n0" else None

    engine = await begin(plugin(script))
    await engine.create("x", DYNAMIC)
    await eventually(lambda: len(engine.plugin.running) == 2)
    await aborted(engine)
    assert len(engine.plugin.aborted) == 2


async def test_in_an_array_with_half_its_elements_running(begin: Begin) -> None:
    def half(attempt: Attempt) -> Report | None:
        return None if int(attempt.node_id.rsplit("n", 1)[1]) % 2 else echo(attempt)

    engine = await begin(plugin(half))
    await engine.create_with("x", closures.array(ArraySpec()), closures.lists(x=range(40), y=range(40)))
    await eventually(lambda: len(engine.plugin.running) == 20 and len(engine.plugin.started) == 40)
    await aborted(engine)
    assert len(engine.plugin.aborted) == 20
    (node,) = [event for event in engine.node_events("n0") if event.phase == Node.ABORTED]
    assert node.error.code == "NodeAborted"


async def test_while_a_child_is_launched_and_admin_is_away(begin: Begin) -> None:
    engine = await begin()
    know_plan(engine)
    engine.service.failures = [Unavailable("down")] * 5
    await engine.create("x", LAUNCHING)
    await eventually(lambda: engine.service.calls)
    await engine.abort("x", "enough")
    assert await engine.wait("x") == "ABORTED"
    assert launched(engine) == {name for _, _, name in engine.service.causes}


async def test_while_the_original_is_read(begin: Begin) -> None:
    engine = await begin()
    engine.service.failures = list(FOREVER)
    await engine.create("x", closures.chain(2), recovered_from=identifier("old"))
    await reason(engine, "n0", "old")
    await aborted(engine)
