"""What admin expects of the engine: of its fake, and of PropellerService over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
from elevon_admin.drivers.engine_client import PropellerEngine
from elevon_admin.drivers.engine_memory import MemoryEngine
from elevon_admin.execution_ports import Engine
from elevon_admin.usecases.closures import digest_of
from elevon_core.errors import InvalidArgument, Unavailable, Unimplemented
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from tests.integration.admin_executions.harness import FakePropeller, fake_propeller
from tests.servers import free_port

CLOSURE = core.CompiledWorkflowClosure()
CLOSURE.primary.template.id.name = "w"
DIGEST = digest_of(CLOSURE)


@dataclass
class Served:
    """An engine as admin calls it, and the memory behind it."""

    engine: Engine
    memory: MemoryEngine


@pytest.fixture(params=["memory", "grpc"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    memory = MemoryEngine()
    if request.param == "memory":
        yield Served(memory, memory)
        return
    async with fake_propeller(memory) as address, grpc.aio.insecure_channel(address) as channel:
        yield Served(PropellerEngine(channel), memory)


def identifier(name: str = "x") -> core.WorkflowExecutionIdentifier:
    return core.WorkflowExecutionIdentifier(project="p", domain="d", name=name)


def create(name: str = "x", closure: core.CompiledWorkflowClosure | None = None) -> propeller.CreateExecutionRequest:
    return propeller.CreateExecutionRequest(execution_id=identifier(name), closure_digest=DIGEST, closure=closure)


async def test_a_closure_is_asked_for_once(served: Served) -> None:
    assert (await served.engine.create(create())).closure_required is True
    assert (await served.engine.create(create(closure=CLOSURE))).created is True
    assert (await served.engine.create(create("y"))).created is True
    repeated = await served.engine.create(create())
    assert (repeated.created, repeated.closure_required) == (False, False)


async def test_executions_handed_over_together_have_an_answer_each(served: Served) -> None:
    other = core.CompiledWorkflowClosure()
    other.primary.template.id.name = "other"
    await served.engine.create(create(closure=CLOSURE))
    await served.engine.create(
        propeller.CreateExecutionRequest(execution_id=identifier("o"), closure_digest=digest_of(other), closure=other)
    )
    served.memory.refused.add("other")
    refused = propeller.CreateExecutionRequest(execution_id=identifier("r"), closure_digest=digest_of(other))
    unknown = propeller.CreateExecutionRequest(execution_id=identifier("u"), closure_digest=b"?" * 32)
    wishes = [*(create(f"n{number}") for number in range(120)), refused, unknown, create()]
    answers = await asyncio.gather(*map(served.engine.create, wishes), return_exceptions=True)
    assert all(isinstance(answer, propeller.CreateExecutionResponse) and answer.created for answer in answers[:120])
    *_, error, asks, repeated = answers
    assert isinstance(error, InvalidArgument)
    assert "other" in error.message
    assert isinstance(asks, propeller.CreateExecutionResponse)
    assert asks.closure_required
    assert isinstance(repeated, propeller.CreateExecutionResponse)
    assert (repeated.created, repeated.closure_required) == (False, False)


class EarlierPropeller(FakePropeller):
    """One that takes executions one by one only."""

    async def CreateExecutions(
        self, request: propeller.CreateExecutionsRequest, context: object
    ) -> propeller.CreateExecutionsResponse:
        """Not known."""
        raise Unimplemented("unknown method")

    async def TellEnd(self, request: propeller.TellEndRequest, context: object) -> propeller.TellEndResponse:
        """Not known."""
        raise Unimplemented("unknown method")


async def test_an_engine_of_an_earlier_version_gets_executions_one_by_one() -> None:
    memory = MemoryEngine()
    memory.closures[DIGEST] = CLOSURE
    servicer = EarlierPropeller(memory)
    async with fake_propeller(memory, servicer=servicer) as address, grpc.aio.insecure_channel(address) as channel:
        engine = PropellerEngine(channel)
        memory.failures.append(Unavailable("down"))
        answers = await asyncio.gather(*(engine.create(create(f"n{n}")) for n in range(9)), return_exceptions=True)
        await engine.tell_end(identifier("never"))
    assert [type(answer) for answer in answers].count(Unavailable) == 1
    assert len(memory.created) == 8
    assert memory.ended == []


async def test_what_cannot_be_planned_is_an_invalid_argument(served: Served) -> None:
    served.memory.refused.add("w")
    with pytest.raises(InvalidArgument, match="w"):
        await served.engine.create(create(closure=CLOSURE))


async def test_aborts_and_signals_say_whether_the_execution_is_known(served: Served) -> None:
    assert await served.engine.abort(identifier(), "because") is False
    assert await served.engine.set_signal(identifier(), "go", core.Literal()) is False
    await served.engine.create(create(closure=CLOSURE))
    assert await served.engine.abort(identifier(), "because") is True
    assert await served.engine.set_signal(identifier(), "go", core.Literal()) is True
    assert list(served.memory.aborted.values()) == ["because"]


async def test_failures_ask_for_another_attempt(served: Served) -> None:
    served.memory.failures.append(Unavailable("down"))
    with pytest.raises(Unavailable, match="down"):
        await served.engine.create(create())


async def test_an_engine_that_is_not_there_is_unavailable() -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{free_port()}") as channel:
        with pytest.raises(Unavailable, match="propeller"):
            await PropellerEngine(channel).abort(identifier(), "x")


async def test_ends_are_told(served: Served) -> None:
    for _ in range(2):
        await served.engine.tell_end(identifier("never"))
    assert {key.name for key in served.memory.ended} == {"never"}
    served.memory.failures.append(Unavailable("down"))
    with pytest.raises(Unavailable):
        await served.engine.tell_end(identifier("never"))
