"""The hand-over to the engine: nothing is lost, whoever is down; aborts and signals keep their place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import httpx
from elevon_admin.drivers.engine_memory import MemoryEngine
from elevon_core.errors import Internal, InvalidArgument, Unavailable
from elevon_idl.core import v1 as core
from elevon_kit.settings import TelemetrySettings
from elevon_kit.telemetry import configure_telemetry
from flyteidl.admin import event_pb2, execution_pb2, signal_pb2
from flyteidl.core import identifier_pb2, types_pb2

from tests.integration.admin_executions.harness import (
    WORKFLOW,
    Admin,
    delivered,
    eventually,
    execution_id,
    fake_propeller,
    integer,
    serving,
)
from tests.integration.admin_registry.harness import details_of, refused
from tests.servers import free_port

QUICK: dict[str, Any] = {"delivery": {"longest_pause_seconds": 0.1}}
MISSING, INVALID, PRECONDITION, EXISTS = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
)


async def undelivered(admin: Admin) -> int:
    """How many dispatches the database holds."""
    dispatcher = admin.app.executions.launching.dispatcher
    assert dispatcher is not None
    return len(await dispatcher._repository.undelivered(100, 2**62))


async def phase_of(admin: Admin, name: str, phase: int) -> execution_pb2.Execution:
    """The execution once it has a phase."""
    for _ in range(3_000):
        found = await admin.get(execution_id(name))
        if found.closure.phase == phase:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is in phase {found.closure.phase}, not {phase}")


async def test_the_closure_is_sent_once_and_rows_are_forgotten(admin: Admin) -> None:
    target = await admin.register()
    for number in range(5):
        await admin.launch(target, f"e{number}")
        await delivered(admin, f"e{number}")
    creates = [call for call in admin.engine.calls if call[0] == "create"]
    assert len(creates) == 6
    assert len(admin.engine.closures) == 1
    dispatcher = admin.app.executions.launching.dispatcher
    assert dispatcher is not None
    await eventually(lambda: dispatcher.waiting == 0, "everything is acknowledged")
    assert await undelivered(admin) == 0


async def test_failures_of_the_engine_are_waited_out(database_url: str, tmp_path: Path) -> None:
    engine = MemoryEngine()
    engine.failures += [Unavailable("down")] * 5 + [Internal("defect")] * 3
    async with serving(database_url, tmp_path, engine, **QUICK) as admin:
        target = await admin.register()
        for number in range(4):
            await admin.launch(target, f"e{number}")
        for number in range(4):
            await delivered(admin, f"e{number}")


async def test_what_is_undelivered_survives_a_restart(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with serving(database_url, tmp_path, propeller_address=f"127.0.0.1:{port}", **QUICK) as admin:
        target = await admin.register()
        for number in range(3):
            await admin.launch(target, f"e{number}")
        request = execution_pb2.ExecutionTerminateRequest(id=execution_id("e1"), cause="no longer needed")
        await admin.stub.TerminateExecution(request)
        assert await undelivered(admin) == 4
        assert (await admin.get(execution_id("e1"))).closure.phase == WORKFLOW.ABORTING
    engine = MemoryEngine()
    async with fake_propeller(engine) as address, serving(database_url, tmp_path, engine, address) as admin:
        for number in range(3):
            sent = await delivered(admin, f"e{number}")
            assert sent.inputs.literals["a"].scalar.primitive.integer == 1
        await eventually(lambda: len(engine.aborted) == 1, "the abort is delivered")
        assert list(engine.aborted.values()) == ["no longer needed"]
        of_e1 = [what for what, key in engine.calls if key.name == "e1"]
        assert of_e1[-1] == "abort"
        dispatcher = admin.app.executions.launching.dispatcher
        assert dispatcher is not None
        await eventually(lambda: dispatcher.waiting == 0, "everything is acknowledged")
        assert await undelivered(admin) == 0


async def test_an_engine_that_comes_late_gets_everything(database_url: str, tmp_path: Path) -> None:
    port, engine = free_port(), MemoryEngine()
    address = f"127.0.0.1:{port}"
    flags: dict[str, Any] = {"delivery": {"longest_pause_seconds": 0.1, "in_memory": 5, "in_flight": 4}}
    async with serving(database_url, tmp_path, engine, address, **flags) as admin:
        target = await admin.register()
        for number in range(30):
            await admin.launch(target, f"e{number}")
        async with fake_propeller(engine, port):
            for number in range(30):
                await delivered(admin, f"e{number}")


async def test_what_the_engine_refuses_has_failed(admin: Admin) -> None:
    target = await admin.register("unplannable")
    admin.engine.refused.add("unplannable")
    await admin.launch(target, "x")
    found = await phase_of(admin, "x", WORKFLOW.FAILED)
    assert found.closure.error.code == "InvalidArgument"
    assert "unplannable" in found.closure.error.message
    dispatcher = admin.app.executions.launching.dispatcher
    assert dispatcher is not None
    # The failure is recorded before the dispatch is forgotten: a crash in between delivers it again, to the same end.
    await eventually(lambda: dispatcher.waiting == 0, "everything is acknowledged")
    assert await undelivered(admin) == 0


async def test_terminating(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "x")
    await delivered(admin, "x")

    async def terminate(name: str, cause: str) -> None:
        request = execution_pb2.ExecutionTerminateRequest(id=execution_id(name), cause=cause)
        await admin.stub.TerminateExecution(request)

    await refused(terminate("absent", "x"), MISSING, "execution")
    unnamed = execution_pb2.ExecutionTerminateRequest(cause="x")
    await refused(admin.stub.TerminateExecution(unnamed), INVALID, "id")
    await terminate("x", "first")
    await terminate("x", "second")
    found = await admin.get(execution_id("x"))
    assert found.closure.phase == WORKFLOW.ABORTING
    assert found.closure.abort_metadata.cause == "second"
    assert found.closure.abort_metadata.principal == found.spec.metadata.principal == ""
    await eventually(lambda: bool(admin.engine.aborted), "the abort is delivered")
    await admin.report(execution_id("x"), WORKFLOW.ABORTED, 1)
    error = await refused(terminate("x", "third"), PRECONDITION, "ABORTED")
    reason = event_pb2.EventFailureReason.FromString(details_of(error)[0].value)
    assert reason.already_in_terminal_state.current_phase == "ABORTED"
    assert (await admin.get(execution_id("x"))).closure.abort_metadata.cause == "second"


async def test_what_the_engine_has_refused_it_is_not_asked_again(admin: Admin) -> None:
    admin.engine.failures += [InvalidArgument("it cannot be planned"), Unavailable("down"), Unavailable("down")]
    await admin.launch(await admin.register(), "x")
    await eventually(lambda: len(admin.engine.ended) == 1, "the engine hears of the end")
    dispatcher = admin.app.executions.launching.dispatcher
    assert dispatcher is not None
    await eventually(lambda: dispatcher.waiting == 0, "everything is acknowledged")
    assert [what for what, _ in admin.engine.calls] == ["create", "end", "end", "end"]
    assert (await admin.get(execution_id("x"))).closure.error.message == "it cannot be planned"


async def test_an_abort_of_what_the_engine_does_not_know_ends_it(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "x")
    await delivered(admin, "x")
    admin.engine.created.clear()
    request = execution_pb2.ExecutionTerminateRequest(id=execution_id("x"), cause="lost")
    await admin.stub.TerminateExecution(request)
    found = await phase_of(admin, "x", WORKFLOW.ABORTED)
    assert found.closure.abort_metadata.cause == "lost"


async def test_what_happened_is_counted(sqlite_url: str, tmp_path: Path) -> None:
    configured = configure_telemetry(TelemetrySettings(metrics="prometheus"), "admin")
    try:
        async with serving(sqlite_url, tmp_path) as admin:
            await admin.launch(await admin.register(), "x")
            await delivered(admin, "x")
            await admin.report(execution_id("x"), WORKFLOW.RUNNING, 1)
            async with httpx.AsyncClient(timeout=60) as client:
                page = (await client.get(f"http://{admin.app.http_address}/metrics")).text
    finally:
        configured.stop()
    assert "elevon_admin_launches_total" in page
    assert 'outcome="recorded"' in page
    assert "elevon_admin_dispatches_waiting" in page


# Signals


def signal_id(name: str, signal: str = "go") -> identifier_pb2.SignalIdentifier:
    return identifier_pb2.SignalIdentifier(signal_id=signal, execution_id=execution_id(name))


async def test_a_signal_is_made_set_pushed_and_listed(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "x")
    integer_type = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    made = signal_pb2.SignalGetOrCreateRequest(id=signal_id("x"), type=integer_type)
    assert not (await admin.signals.GetOrCreateSignal(made)).HasField("value")
    value = signal_pb2.SignalSetRequest(id=signal_id("x"), value=integer(5))
    await admin.signals.SetSignal(value)
    assert (await admin.signals.GetOrCreateSignal(made)).value == integer(5)
    await eventually(lambda: bool(admin.engine.signals), "the signal is delivered")
    (sent,) = admin.engine.signals.values()
    assert sent == core.Literal.FromString(integer(5).SerializeToString())
    listed = await admin.signals.ListSignals(
        signal_pb2.SignalListRequest(workflow_execution_id=execution_id("x"), limit=100)
    )
    assert [(row.id.signal_id, row.value) for row in listed.signals] == [("go", integer(5))]


async def test_bad_signals_are_refused(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "x")
    boolean = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
    integer_type = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    create, put = admin.signals.GetOrCreateSignal, admin.signals.SetSignal
    await refused(create(signal_pb2.SignalGetOrCreateRequest(id=signal_id("x"))), INVALID, "missing type")
    absent = signal_pb2.SignalGetOrCreateRequest(id=signal_id("absent"), type=boolean)
    await refused(create(absent), MISSING, "execution")
    await create(signal_pb2.SignalGetOrCreateRequest(id=signal_id("x"), type=boolean))
    await refused(create(signal_pb2.SignalGetOrCreateRequest(id=signal_id("x"), type=integer_type)), EXISTS)
    await refused(put(signal_pb2.SignalSetRequest(id=signal_id("x"))), INVALID, "missing value")
    await refused(put(signal_pb2.SignalSetRequest(id=signal_id("x"), value=integer(1))), INVALID, "value")
    unknown = signal_pb2.SignalSetRequest(id=signal_id("x", "other"), value=integer(1))
    await refused(put(unknown), INVALID, "failed to validate that signal [other] exists")
    limitless = signal_pb2.SignalListRequest(workflow_execution_id=execution_id("x"))
    await refused(admin.signals.ListSignals(limitless), INVALID, "limit")
