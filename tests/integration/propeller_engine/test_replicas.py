"""Several replicas on one PostgreSQL database, with leases so long that nothing here happens by waiting for them."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.ports import SHARDS
from elevon_propeller.runtime.actors import shard_of
from elevon_propeller.simulation import closures

from tests.integration.propeller_engine.engines import Begin, Engine, echo, eventually, identifier, report
from tests.integration.propeller_engine.test_offspring import INTERFACE, one, plan_node, workflow

LONG: dict[str, Any] = {"lease_seconds": 60.0, "child_first_look": 60_000_000}


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """Only PostgreSQL is shared by several processes."""
    return postgres_url


async def begin_two(begin: Begin, script: Any = None) -> tuple[Engine, Engine]:
    """Two replicas, each with half of the shards."""
    first = await begin(script, **LONG)
    second = await begin(script, **LONG)
    await eventually(lambda: first.runtime.ownership.hears and second.runtime.ownership.hears)
    await first.runtime.ownership.renew()
    await eventually(lambda: len(second.runtime.driver.epochs) == SHARDS // 2)
    return first, second


def name_at(engine: Engine, prefix: str) -> str:
    """A name whose shard belongs to a replica."""
    names = (f"{prefix}-{number}" for number in range(1_000))
    return next(name for name in names if shard_of(("p", "d", name)) in engine.runtime.driver.epochs)


async def test_whichever_replica_is_asked_the_owner_acts_at_once(begin: Begin) -> None:
    first, second = await begin_two(begin)
    name = name_at(second, "asked")
    await first.create(name, closures.chain(1))
    await eventually(lambda: second.plugin.running)
    assert first.plugin.started == []
    view = await first.watching.describe(identifier(name))
    assert view.phase == core.WorkflowExecution.RUNNING
    await first.abort(name, "enough")
    assert await second.wait(name) == "ABORTED"
    assert await first.wait(name) == "ABORTED"


async def test_a_request_for_an_execution_that_is_parked_waits_for_it(begin: Begin) -> None:
    first, second = await begin_two(begin)
    name = name_at(second, "parked")
    await second.create(name, closures.chain(1))
    await eventually(lambda: second.plugin.running)
    second.runtime.driver.park(second.runtime.driver.actors["p", "d", name], RuntimeError("a defect"))
    await first.abort(name, "enough")
    await second.runtime.ownership.look_around()
    assert (await second.watching.describe(identifier(name))).phase == core.WorkflowExecution.RUNNING
    (parked,) = second.runtime.driver.parked.values()
    parked.retry_at = 0
    await second.runtime.ownership.look_around()
    assert await second.wait(name) == "ABORTED"


async def test_the_end_of_a_child_at_another_replica_is_heard_of(begin: Begin) -> None:
    first, second = await begin_two(begin, echo)
    plan = closures.identifier(core.ResourceType.LAUNCH_PLAN, "plan")
    first.service.launch_plans[plan.project, plan.domain, plan.name, plan.version] = INTERFACE
    parent = name_at(first, "parent")
    numbers = iter(range(1_000))
    while True:
        await first.create(parent, workflow(plan_node("n0", one())))
        await eventually(lambda: len(first.service.launched) == len(first.service.executions) + 1)
        (launched,) = set(first.service.launched) - first.service.executions
        first.service.executions.add(launched)
        if shard_of((launched[0], launched[1], launched[2])) in second.runtime.driver.epochs:
            break
        parent = name_at(first, f"parent-{next(numbers)}")
    child = core.WorkflowExecutionIdentifier(project=launched[0], domain=launched[1], name=launched[2])
    await second.executions.create(
        propeller.CreateExecutionRequest(execution_id=child, closure=closures.chain(1), inputs=closures.integers(x=1))
    )
    assert await first.wait(parent) == "SUCCEEDED"


@pytest.mark.parametrize("at_the_owner", [True, False])
async def test_the_end_of_a_child_that_the_engine_never_had_is_told_at_once(begin: Begin, at_the_owner: bool) -> None:
    first, second = await begin_two(begin, echo)
    plan = closures.identifier(core.ResourceType.LAUNCH_PLAN, "plan")
    first.service.launch_plans[plan.project, plan.domain, plan.name, plan.version] = INTERFACE
    parent = name_at(first, "parent")
    await first.create(parent, workflow(plan_node("n0", one())))
    await eventually(lambda: bool(first.service.launched))
    (launched,) = first.service.launched
    child = core.WorkflowExecutionIdentifier(project=launched[0], domain=launched[1], name=launched[2])
    await eventually(lambda: first.runtime.driver.actors["p", "d", parent].state.nodes["n0"].phase == NodePhase.RUNNING)
    await first.service.terminate(child, "no longer needed")
    told = first if at_the_owner else second
    await told.executions.tell_end(propeller.TellEndRequest(execution_id=child))
    assert await first.wait(parent) == "FAILED"


async def test_a_draining_replica_gives_its_shards_away_at_once(begin: Begin) -> None:
    first, second = await begin_two(begin)
    name = name_at(first, "drained")
    await first.create(name, closures.chain(1))
    await eventually(lambda: first.plugin.running)
    await first.runtime.stop()
    assert first.plugin.detached == [f"{name}-n0-0"]
    await eventually(lambda: second.plugin.running)
    assert len(second.runtime.driver.epochs) == SHARDS
    second.plugin.finish(f"{name}-n0-0", report(AttemptPhase.SUCCEEDED, outputs=closures.integers(x=1)))
    assert await second.wait(name) == "SUCCEEDED"


async def test_a_replica_that_is_not_sure_of_its_shards_begins_nothing(begin: Begin) -> None:
    engine = await begin(echo, **LONG)
    async with engine.runtime.ownership.renewing:
        engine.runtime.driver.tenure.until = 0.0
        await engine.create("unsure", closures.chain(1))
        await eventually(lambda: engine.runtime.driver.actors["p", "d", "unsure"].state.nodes["n0"].attempt_at)
        assert engine.plugin.started == []
    await engine.runtime.ownership.renew()
    assert await engine.wait("unsure") == "SUCCEEDED"


async def test_a_replica_that_lost_its_shards_writes_nothing_and_lets_go(begin: Begin) -> None:
    first = await begin(**LONG)
    await first.create("lost", closures.chain(1))
    await eventually(lambda: first.plugin.running)
    second = await begin(**LONG)
    async with first.runtime.ownership.renewing:  # it does not come to look at its leases
        later = second.runtime.clock() + 3_600_000_000
        await second.runtime.store.take_leases(second.runtime.owner, later, later)
        await second.runtime.ownership.renew()
        await eventually(lambda: second.plugin.running)
        if first.plugin.running:  # unless what it had still to commit has told it already
            first.plugin.finish("lost-n0-0", report(AttemptPhase.SUCCEEDED, outputs=closures.integers(x=2)))
        await eventually(lambda: first.plugin.detached == ["lost-n0-0"])
    row = next(node for node in (await second.watching.describe(identifier("lost"))).nodes if node.node_id == "n0")
    assert row.phase == core.NodeExecution.RUNNING
    await first.runtime.ownership.follow()
    assert shard_of(("p", "d", "lost")) not in first.runtime.driver.epochs
    second.plugin.finish("lost-n0-0", report(AttemptPhase.SUCCEEDED, outputs=closures.integers(x=1)))
    assert await second.wait("lost") == "SUCCEEDED"
    assert first.runtime.driver.actors == {}
    await second.runtime.outbox.flushed(30)
    outputs = [event.node.output_data for event in second.admin.events if event.node.id.node_id == "n0"][-1]
    assert outputs == closures.integers(x=1)
