"""Every node that is not running says why, to whoever asks the engine."""

from __future__ import annotations

import asyncio
import re

from elevon_core.compiler import compile_workflow
from elevon_core.errors import Unavailable
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.runtime import views
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec, TaskNodeSpec
from google.protobuf.duration_pb2 import Duration

from tests.integration.propeller_engine.engines import (
    Begin,
    Engine,
    echo,
    eventually,
    failing,
    identifier,
    plugin,
    report,
)
from tests.integration.propeller_engine.test_aborts import FOREVER, PATIENT, reserve_elsewhere
from tests.integration.propeller_engine.test_gates import WAITING, known_to_admin
from tests.integration.propeller_engine.test_offspring import (
    DYNAMIC,
    LAUNCHING,
    job,
    know_plan,
    one,
    task_node,
    yielding,
)

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


async def says(engine: Engine, node_id: str, pattern: str) -> None:
    """Wait until a node of the execution x says this."""
    heard = ""
    while not re.fullmatch(pattern, heard):
        view = await engine.watching.describe(identifier("x"))
        heard = next((node.reason for node in view.nodes if node.node_id == node_id), "")
        await asyncio.sleep(0.01)


async def test_which_nodes_it_waits_for(begin: Begin) -> None:
    engine = await begin()
    specs = [*(TaskNodeSpec(f"a{number}") for number in range(7)), TaskNodeSpec("z", after=[f"a{n}" for n in range(7)])]
    await engine.create("x", closures.closure(specs))
    await says(engine, "z", "waits for a0, a1, a2, a3, a4 and 2 more")
    await says(engine, "end-node", "waits for z")
    await eventually(lambda: len(engine.plugin.running) == 7)
    engine.plugin.finish("x-a0-0", report(AttemptPhase.SUCCEEDED, outputs=closures.integers(x=1)))
    await says(engine, "z", "waits for a1, a2, a3, a4, a5 and 1 more")


async def test_the_limit_of_parallelism(begin: Begin) -> None:
    engine = await begin()
    await engine.create("x", closures.fan_out(3), max_parallelism=2)
    await says(engine, "n2", r"waits for a slot: 2 of 2 \(max_parallelism\) are taken")


async def test_when_the_next_attempt_starts(begin: Begin) -> None:
    engine = await begin(failing(AttemptPhase.RETRYABLE_FAILURE, 9, core.ExecutionError.SYSTEM), policy=PATIENT)
    await engine.create("x", closures.chain(2))
    await says(engine, "n0", f"attempt 1 starts at {TIME} after a backoff: Broken")
    await says(engine, "n1", "waits for n0")


async def test_who_has_the_reservation(begin: Begin) -> None:
    engine = await begin(policy=PATIENT)
    closure = closures.closure([TaskNodeSpec("n0", cached=True, serializable=True)])
    await reserve_elsewhere(engine, closure)
    await engine.create("x", closure)
    await says(engine, "n0", "waiting on serialized cache: somebody else has the reservation")


async def test_which_signal_and_how_long_a_sleep(begin: Begin) -> None:
    engine = await begin()
    known_to_admin(engine, "x", "y")
    await engine.create("x", WAITING)
    await says(engine, "gate", "waits for the signal go")
    await engine.abort("x", "enough")
    sleep = core.GateNode(sleep=core.SleepCondition(duration=Duration(seconds=3_600)))
    template = core.WorkflowTemplate(
        id=closures.identifier(core.ResourceType.WORKFLOW, "sleeps"),
        nodes=[core.Node(id="gate", metadata=core.NodeMetadata(name="gate"), gate_node=sleep)],
    )
    await engine.create("y", compile_workflow(template, [], {}, {}))
    await eventually(lambda: engine.node_events("gate"))
    heard = (await engine.node("y", "gate")).reason
    assert re.fullmatch(f"sleeps until {TIME}", heard)


async def test_what_a_plugin_says(begin: Begin) -> None:
    engine = await begin()
    await engine.create("x", closures.chain(1))
    await eventually(lambda: engine.plugin.running)
    engine.plugin.say("x-n0-0", report(AttemptPhase.RUNNING, reason="step 4 of 9"))
    await says(engine, "n0", "step 4 of 9")


async def test_that_a_child_runs_or_waits_for_admin(begin: Begin) -> None:
    engine = await begin()
    know_plan(engine)
    engine.service.failures = [Unavailable("down")] * 3
    await engine.create("x", LAUNCHING)
    await says(engine, "n0", "waits for admin to create its execution|runs as execution x-n0-0")
    await says(engine, "n0", "runs as execution x-n0-0")


async def test_that_the_graph_of_a_dynamic_task_is_compiled(begin: Begin) -> None:
    engine = await begin(yielding(job(task_node("dn0", one()), tasks=())))
    engine.service.failures = list(FOREVER)
    await engine.create("x", DYNAMIC)
    await says(engine, "n0", "compiles what its task has yielded")


async def test_how_far_an_array_is(begin: Begin) -> None:
    def first_two(attempt: Attempt) -> Report | None:
        return echo(attempt) if attempt.node_id in ("n0-0-n0", "n0-0-n1") else None

    engine = await begin(plugin(first_two))
    await engine.create_with("x", closures.array(ArraySpec(parallelism=3)), closures.lists(x=range(9), y=range(9)))
    await says(engine, "n0", "of 9 elements 2 have succeeded, 0 have failed, 3 are under way, 4 wait")


async def test_that_the_original_is_read(begin: Begin) -> None:
    engine = await begin()
    engine.service.failures = list(FOREVER)
    await engine.create("x", closures.chain(2), recovered_from=identifier("old"))
    await says(engine, "n0", "waits for what is known of old")


async def test_a_replica_that_does_not_run_it_says_the_same(begin: Begin) -> None:
    engines = [await begin(lease_seconds=4.0), await begin(lease_seconds=4.0)]
    await eventually(lambda: all(len(engine.runtime.driver.epochs) == 8 for engine in engines))
    await engines[0].create("x", closures.fan_out(3), max_parallelism=1)
    await eventually(lambda: any(engine.plugin.running for engine in engines))
    engines.sort(key=lambda engine: not engine.plugin.running)
    for engine in engines:
        await says(engine, "n2", r"waits for a slot: 1 of 1 \(max_parallelism\) are taken")
        await says(engine, "end-node", "waits for n0, n1, n2")
    assert not engines[1].runtime.driver.actors


async def test_that_it_was_skipped_long_after_the_execution_has_ended(begin: Begin) -> None:
    engine = await begin(failing(AttemptPhase.PERMANENT_FAILURE, 9))
    specs = [TaskNodeSpec("n0"), TaskNodeSpec("n1", source="n0"), TaskNodeSpec("n2", source="n1")]
    closure = closures.closure(specs)
    closure.primary.template.metadata.on_failure = core.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    await engine.create("x", closure)
    await eventually(lambda: "x" not in {name[2] for name in engine.runtime.driver.actors})
    later = await begin()
    for each in (engine, later):
        await says(each, "n1", "was skipped: n0 did not succeed")
        await says(each, "n2", "was skipped: n1 did not succeed")


async def test_that_it_was_skipped_when_the_graph_was_let_go(begin: Begin) -> None:
    fails = failing(AttemptPhase.PERMANENT_FAILURE, 9)
    engine = await begin(plugin(lambda attempt: fails(attempt) if attempt.node_id == "n0" else None))
    closure = closures.closure([TaskNodeSpec("n0"), TaskNodeSpec("n1", source="n0"), TaskNodeSpec("other")])
    closure.primary.template.metadata.on_failure = core.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
    await engine.create("x", closure)
    await says(engine, "n1", "was skipped: n0 did not succeed")
    (state,) = [actor.state for actor in engine.runtime.driver.actors.values()]
    state.scope.nodes.clear()
    heard = {node.node_id: node.reason for node in views.of_state(state, "").nodes}
    assert heard["n1"] == "was skipped: n0 did not succeed"
    assert heard["end-node"] == ""
