"""Concurrency policies: what waits starts in its turn, what is replaced ends first, and never too many at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_admin.drivers.engine_memory import MemoryEngine
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2, signal_pb2
from flyteidl.core import identifier_pb2, types_pb2

from tests.integration.admin_executions.harness import (
    WORKFLOW,
    Admin,
    delivered,
    eventually,
    execution_id,
    fake_propeller,
    integer,
    listing,
    serving,
)
from tests.integration.admin_registry.harness import plan, plan_id, refused
from tests.servers import free_port

INVALID = grpc.StatusCode.INVALID_ARGUMENT
WAITING = "elevon/waiting"
SKIP = launch_plan_pb2.ConcurrencyLimitBehavior.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
QUICK: dict[str, Any] = {"delivery": {"sweep_seconds": 0.1, "others_seconds": 0.1, "longest_pause_seconds": 0.1}}


def limited(maximum: int, behavior: str) -> dict[str, Any]:
    """The fields of a launch plan with a policy, as flytekit writes them."""
    return {
        "concurrency_policy": launch_plan_pb2.ConcurrencyPolicy(max=maximum, behavior=SKIP),
        "annotations": common_pb2.Annotations(values={"elevon/concurrency": behavior}),
    }


def handed_over(admin: Admin) -> list[str]:
    """Names in the order in which the engine got them."""
    return [key.name for key in admin.engine.created]


async def terminate(admin: Admin, name: str, cause: str = "no longer needed") -> None:
    request = execution_pb2.ExecutionTerminateRequest(id=execution_id(name), cause=cause)
    await admin.stub.TerminateExecution(request)


async def once_in(admin: Admin, name: str, phase: int) -> execution_pb2.Execution:
    """The execution, once it is in a phase."""
    for _ in range(3_000):
        found = await admin.get(execution_id(name))
        if found.closure.phase == phase:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is in phase {found.closure.phase}, not {phase}")


async def test_what_is_too_much_waits_and_says_so(admin: Admin) -> None:
    target = await admin.register("queue", **limited(2, "wait"))
    for number in range(5):
        await admin.launch(target, f"e{number}", labels=common_pb2.Labels(values={"n": str(number)}))
    held = await admin.get(execution_id("e2"))
    assert held.closure.phase == WORKFLOW.QUEUED
    reason = "2 executions of launch plan flytesnacks:development:queue may run at once"
    assert held.spec.annotations.values[WAITING].startswith(reason)
    assert WAITING not in (await admin.get(execution_id("e1"))).spec.annotations.values
    for over, next_one in (("e1", "e2"), ("e0", "e3"), ("e2", "e4")):
        await delivered(admin, over)
        await admin.report(execution_id(over), WORKFLOW.SUCCEEDED, 5)
        sent = await delivered(admin, next_one)
        assert sent.inputs.literals["a"].scalar.primitive.integer == 1
        assert WAITING not in (await admin.get(execution_id(next_one))).spec.annotations.values
        assert WAITING not in sent.options.annotations
    assert sorted(handed_over(admin)[:2]) == ["e0", "e1"]
    assert handed_over(admin)[2:] == ["e2", "e3", "e4"]
    await admin.report(execution_id("e4"), WORKFLOW.QUEUED, 6)
    await admin.report(execution_id("e4"), WORKFLOW.RUNNING, 7)
    assert (await admin.get(execution_id("e4"))).closure.phase == WORKFLOW.RUNNING


async def created_in_order(admin: Admin) -> list[str]:
    """The names of all executions, the oldest first."""
    found = await admin.stub.ListExecutions(listing())
    made = sorted(found.executions, key=lambda each: each.closure.created_at.ToNanoseconds())
    return [each.id.name for each in made]


async def test_those_that_come_together_wait_in_order_of_creation_whatever_their_names(admin: Admin) -> None:
    target = await admin.register("queue", **limited(1, "wait"))
    names = [f"{letter}1" for letter in "zabycxdwevfugt"]
    await asyncio.gather(*(admin.launch(target, name) for name in names))
    order = await created_in_order(admin)
    for count, name in enumerate(order, 1):
        await delivered(admin, name)
        assert handed_over(admin) == order[:count]
        await admin.report(execution_id(name), WORKFLOW.SUCCEEDED, 5)


async def test_of_those_that_come_together_the_last_one_replaces_the_others(admin: Admin) -> None:
    target = await admin.register("latest", **limited(1, "replace"))
    names = [f"{letter}1" for letter in "zabycxdwevfugt"]
    await asyncio.gather(*(admin.launch(target, name) for name in names))
    *older, last = await created_in_order(admin)
    for name in older:
        assert (await admin.get(execution_id(name))).closure.phase in (WORKFLOW.ABORTING, WORKFLOW.ABORTED)
    await delivered(admin, older[0])  # which had a place, and may be handed over late
    for name in set(older) & set(handed_over(admin)):
        await admin.report(execution_id(name), WORKFLOW.ABORTED, 5)
    await delivered(admin, last)


async def test_what_waits_can_be_terminated_and_never_reaches_the_engine(admin: Admin) -> None:
    target = await admin.register("queue", **limited(1, "wait"))
    for name in ("first", "second", "third"):
        await admin.launch(target, name)
    await delivered(admin, "first")
    await terminate(admin, "second")
    ended = await once_in(admin, "second", WORKFLOW.ABORTED)
    assert ended.closure.abort_metadata.cause == "no longer needed"
    assert WAITING not in ended.spec.annotations.values
    await refused(terminate(admin, "second"), grpc.StatusCode.FAILED_PRECONDITION, "ABORTED")
    assert handed_over(admin) == ["first"]
    await admin.report(execution_id("first"), WORKFLOW.FAILED, 5)
    await delivered(admin, "third")
    assert {key.name for what, key in admin.engine.calls if what != "end"} == {"first", "third"}
    await eventually(lambda: [key.name for key in admin.engine.ended] == ["second"], "the engine hears of the end")


async def test_the_end_of_what_waited_gives_no_place_away(admin: Admin) -> None:
    target = await admin.register("queue", **limited(1, "wait"))
    for number in range(4):
        await admin.launch(target, f"e{number}")
    for number in (1, 2):
        await terminate(admin, f"e{number}")
        await once_in(admin, f"e{number}", WORKFLOW.ABORTED)
    assert (await admin.get(execution_id("e3"))).closure.phase == WORKFLOW.QUEUED
    await delivered(admin, "e0")
    assert handed_over(admin) == ["e0"]


async def test_repeating_a_creation_takes_no_place_and_replaces_nothing(admin: Admin) -> None:
    target = await admin.register("latest", **limited(1, "replace"))
    await admin.launch(target, "only")
    for _ in range(3):
        await refused(admin.launch(target, "only"), grpc.StatusCode.ALREADY_EXISTS, "only already exists")
    assert (await admin.get(execution_id("only"))).closure.phase == WORKFLOW.UNDEFINED
    await delivered(admin, "only")
    assert not admin.engine.aborted


async def test_the_oldest_give_way_and_the_new_one_starts_when_they_are_over(admin: Admin) -> None:
    target = await admin.register("latest", **limited(2, "replace"))
    for name in ("oldest", "older"):
        await admin.launch(target, name)
        await delivered(admin, name)
    await admin.launch(target, "new")
    replaced = await admin.get(execution_id("oldest"))
    assert replaced.closure.phase == WORKFLOW.ABORTING
    assert "flytesnacks:development:new" in replaced.closure.abort_metadata.cause
    await eventually(lambda: bool(admin.engine.aborted), "the abort is delivered")
    held = await admin.get(execution_id("new"))
    assert held.closure.phase == WORKFLOW.QUEUED
    assert "those it replaces" in held.spec.annotations.values[WAITING]
    assert handed_over(admin) == ["oldest", "older"]
    await admin.report(execution_id("oldest"), WORKFLOW.ABORTED, 5)
    await delivered(admin, "new")
    assert [key.name for key in admin.engine.aborted] == ["oldest"]
    assert (await admin.get(execution_id("older"))).closure.phase == WORKFLOW.UNDEFINED


async def test_of_many_that_replace_each_other_the_last_one_starts(admin: Admin) -> None:
    target = await admin.register("latest", **limited(1, "replace"))
    await admin.launch(target, "e0")
    await delivered(admin, "e0")
    for number in range(1, 6):
        await admin.launch(target, f"e{number}")
    for number in range(1, 5):
        ended = await once_in(admin, f"e{number}", WORKFLOW.ABORTED)
        assert f"e{number + 1}" in ended.closure.abort_metadata.cause
    await admin.report(execution_id("e0"), WORKFLOW.ABORTED, 5)
    await delivered(admin, "e5")
    assert handed_over(admin) == ["e0", "e5"]


async def test_a_replacement_at_once_leaves_one(admin: Admin) -> None:
    target = await admin.register("latest", **limited(1, "replace"))
    await asyncio.gather(*(admin.launch(target, f"e{number}") for number in range(20)))

    async def left() -> list[execution_pb2.Execution]:
        found = (await admin.stub.ListExecutions(listing())).executions
        return [row for row in found if row.closure.phase not in (WORKFLOW.ABORTED, WORKFLOW.ABORTING)]

    (survivor,) = await left()
    for _ in range(3_000):
        for key in [key for key in admin.engine.aborted if key.name != survivor.id.name]:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await admin.report(execution_id(key.name), WORKFLOW.ABORTED, 5)
        if survivor.id.name in handed_over(admin):
            break
        await asyncio.sleep(0.01)
    assert handed_over(admin)[-1] == survivor.id.name


async def test_versions_share_the_places_and_nobody_overtakes(admin: Admin) -> None:
    await admin.register("queue", **limited(1, "wait"))
    second = plan("queue", **limited(3, "wait"))
    second.id.version = "v2"
    await admin.stub.CreateLaunchPlan(second)
    await admin.launch(plan_id("queue"), "a")
    await admin.launch(plan_id("queue"), "b")
    await admin.launch(second.id, "c")
    await delivered(admin, "a")
    assert (await admin.get(execution_id("c"))).closure.phase == WORKFLOW.QUEUED
    await admin.report(execution_id("a"), WORKFLOW.SUCCEEDED, 5)
    await delivered(admin, "c")
    assert handed_over(admin) == ["a", "b", "c"]


async def test_executions_in_other_projects_take_places_too(admin: Admin) -> None:
    target = await admin.register("queue", **limited(1, "wait"))
    request = execution_pb2.ExecutionCreateRequest(project="flytesnacks", domain="production", name="there")
    request.spec.launch_plan.CopyFrom(target)
    request.inputs.literals["a"].CopyFrom(integer(1))
    await admin.stub.CreateExecution(request)
    await admin.launch(target, "here")
    assert (await admin.get(execution_id("here"))).closure.phase == WORKFLOW.QUEUED


async def test_a_signal_that_was_set_meanwhile_arrives_after_the_hand_over(admin: Admin) -> None:
    target = await admin.register("queue", **limited(1, "wait"))
    await admin.launch(target, "first")
    await admin.launch(target, "second")
    identifier = identifier_pb2.SignalIdentifier(signal_id="go", execution_id=execution_id("second"))
    made = signal_pb2.SignalGetOrCreateRequest(id=identifier, type=types_pb2.LiteralType(simple=types_pb2.INTEGER))
    await admin.signals.GetOrCreateSignal(made)
    await admin.signals.SetSignal(signal_pb2.SignalSetRequest(id=identifier, value=integer(5)))
    await delivered(admin, "first")
    await admin.report(execution_id("first"), WORKFLOW.SUCCEEDED, 5)
    await delivered(admin, "second")
    await eventually(lambda: bool(admin.engine.signals), "the signal is delivered")


async def test_a_relaunch_does_not_say_that_it_waits(admin: Admin) -> None:
    await admin.register("queue", **limited(1, "wait"))
    await admin.launch(plan_id("queue"), "first")
    await admin.launch(plan_id("queue"), "second")
    await terminate(admin, "first")
    await eventually(lambda: bool(admin.engine.aborted), "the abort is delivered")
    again = await admin.stub.RelaunchExecution(
        execution_pb2.ExecutionRelaunchRequest(id=execution_id("second"), name="again")
    )
    assert WAITING in (await admin.get(again.id)).spec.annotations.values
    await admin.report(execution_id("first"), WORKFLOW.ABORTED, 5)
    await delivered(admin, "second")
    await admin.report(execution_id("second"), WORKFLOW.SUCCEEDED, 5)
    sent = await delivered(admin, "again")
    assert WAITING not in sent.options.annotations
    assert WAITING not in (await admin.get(again.id)).spec.annotations.values


async def test_a_policy_that_makes_no_sense_is_not_registered(admin: Admin) -> None:
    await admin.register("w")

    def named_otherwise(**fields: Any) -> launch_plan_pb2.LaunchPlanCreateRequest:
        request = plan("w", **fields)
        request.id.name = "other"
        return request

    bad = named_otherwise(**limited(1, "hold"))
    await refused(admin.stub.CreateLaunchPlan(bad), INVALID, "elevon/concurrency", "hold")
    policy = launch_plan_pb2.ConcurrencyPolicy(max=1)
    policy.MergeFromString(b"\x10\x09")  # behavior 9, which has no name
    bad = named_otherwise(concurrency_policy=policy)
    await refused(admin.stub.CreateLaunchPlan(bad), INVALID, "concurrency_policy.behavior", "9")


async def test_what_waits_survives_a_restart(database_url: str, tmp_path: Path) -> None:
    engine, port = MemoryEngine(), free_port()
    address = f"127.0.0.1:{port}"
    async with serving(database_url, tmp_path, engine, address, **QUICK) as admin:
        target = await admin.register("queue", **limited(1, "wait"))
        for name in ("first", "second", "third"):
            await admin.launch(target, name)
        await terminate(admin, "second")
    async with fake_propeller(engine, port), serving(database_url, tmp_path, engine, address, **QUICK) as admin:
        await once_in(admin, "second", WORKFLOW.ABORTED)
        await delivered(admin, "first")
        await admin.report(execution_id("first"), WORKFLOW.SUCCEEDED, 5)
        await delivered(admin, "third")
        assert {key.name for what, key in engine.calls if what != "end"} == {"first", "third"}


async def test_a_place_that_nobody_told_of_is_found(database_url: str, tmp_path: Path) -> None:
    engine = MemoryEngine()
    async with serving(database_url, tmp_path, engine) as admin:
        target = await admin.register("queue", **limited(1, "wait"))
        await admin.launch(target, "first")
        await admin.launch(target, "second")
        await delivered(admin, "first")
        # As if the process had died after the end was written and before anybody was told.
        admin.app.executions.record_events._listeners.clear()
        await admin.report(execution_id("first"), WORKFLOW.SUCCEEDED, 5)
        assert handed_over(admin) == ["first"]
    async with serving(database_url, tmp_path, engine) as admin:
        await delivered(admin, "second")


# Witnesses: two replicas and an engine that counts.


class Witness:
    """Ends what the engine was given after a while, and remembers how many there were at once."""

    def __init__(self, admins: tuple[Admin, ...], engine: MemoryEngine) -> None:
        self.admins = admins
        self.engine = engine
        self.over: set[str] = set()
        self.most = 0

    @property
    def running(self) -> list[str]:
        return [key.name for key in self.engine.created if key.name not in self.over]

    async def play(self, done: asyncio.Event) -> None:
        turn = 0
        while not done.is_set():
            self.most = max(self.most, len(self.running))
            for name in self.running[:1]:
                turn += 1
                # Counted as over before the report: from then on admin may start the next.
                self.over.add(name)
                await self.admins[turn % len(self.admins)].report(execution_id(name), WORKFLOW.SUCCEEDED, 5)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def two_replicas(url: str, folder: Path, engine: MemoryEngine) -> AsyncIterator[tuple[Admin, Admin]]:
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(fake_propeller(engine))
        first = await stack.enter_async_context(serving(url, folder, engine, address, **QUICK))
        second = await stack.enter_async_context(serving(url, folder, engine, address, **QUICK))
        yield first, second


async def test_many_creators_at_two_replicas_never_make_too_many(postgres_url: str, tmp_path: Path) -> None:
    engine, names = MemoryEngine(), [f"e{number}" for number in range(60)]
    async with two_replicas(postgres_url, tmp_path, engine) as replicas:
        target = await replicas[0].register("queue", **limited(3, "wait"))
        witness, done = Witness(replicas, engine), asyncio.Event()
        playing = asyncio.create_task(witness.play(done))
        await asyncio.gather(*(replicas[number % 2].launch(target, name) for number, name in enumerate(names)))
        await eventually(lambda: len(witness.over) == len(names), "all have run")
        done.set()
        await playing
        assert sorted(key.name for key in engine.created) == sorted(names)
        assert witness.most <= 3


async def test_many_replacements_at_two_replicas_never_make_too_many(postgres_url: str, tmp_path: Path) -> None:
    engine, most = MemoryEngine(), 0
    async with two_replicas(postgres_url, tmp_path, engine) as replicas:
        target = await replicas[0].register("latest", **limited(2, "replace"))
        over: set[str] = set()

        async def end_what_is_aborted() -> None:
            nonlocal most
            while True:
                most = max(most, len([key for key in engine.created if key.name not in over]))
                for key in list(engine.aborted):
                    if key.name not in over:
                        over.add(key.name)
                        await replicas[len(over) % 2].report(execution_id(key.name), WORKFLOW.ABORTED, 5)
                await asyncio.sleep(0.005)

        ending = asyncio.create_task(end_what_is_aborted())
        await asyncio.gather(*(replicas[number % 2].launch(target, f"e{number}") for number in range(40)))

        async def started() -> list[str]:
            found = (await replicas[0].stub.ListExecutions(listing())).executions
            return [row.id.name for row in found if row.closure.phase not in (WORKFLOW.ABORTED, WORKFLOW.ABORTING)]

        left = await started()
        assert len(left) == 2
        await eventually(lambda: all(name in handed_over(replicas[0]) for name in left), "the newest are handed over")
        ending.cancel()
        assert most <= 2


@pytest.mark.parametrize("behavior", ["wait", "skip"])
async def test_ticks_and_children_are_launched_alike(admin: Admin, behavior: str) -> None:
    target = await admin.register("queue", **limited(1, behavior))
    metadata = execution_pb2.ExecutionMetadata(mode=execution_pb2.ExecutionMetadata.SCHEDULED)
    await admin.launch(target, "tick-one", metadata=metadata)
    if behavior == "skip":
        await refused(admin.launch(target, "tick-two", metadata=metadata), grpc.StatusCode.ALREADY_EXISTS, "limit (1)")
        return
    held = await admin.get(await admin.launch(target, "tick-two", metadata=metadata))
    assert held.spec.metadata.mode == execution_pb2.ExecutionMetadata.SCHEDULED
    assert held.closure.phase == WORKFLOW.QUEUED
