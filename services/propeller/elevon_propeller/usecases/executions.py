"""Taking executions over, stopping them, handing them signals. Every operation may be repeated."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TypeAlias

from elevon_core import identifiers
from elevon_core.errors import ElevonError, Internal, InvalidArgument
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.logging import get_logger

from elevon_propeller.engine.observations import AbortRequested, Observation, SignalSet
from elevon_propeller.engine.plan import Plan
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.ports import ExecutionRow
from elevon_propeller.runtime.actors import Actor, Name
from elevon_propeller.runtime.ownership import ABORT, SIGNAL
from elevon_propeller.runtime.runtime import Runtime

DIGEST_BYTES = 32
MOST_AT_ONCE = 250

Created: TypeAlias = propeller.CreateExecutionResponse | ElevonError

log = get_logger("executions")


class Executions:
    """The operations that change executions."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def create(self, request: propeller.CreateExecutionRequest) -> propeller.CreateExecutionResponse:
        """Take an execution over; durable when it returns. Raises InvalidArgument for what cannot be run."""
        identifiers.validate_execution_identifier(request.execution_id, "execution_id")
        digest = _digest(request)
        plan = await self._plan(request, digest)
        if plan is None:
            return propeller.CreateExecutionResponse(closure_required=True)
        actor = self._actor(request, digest, plan)
        if actor.shard in self._runtime.driver.epochs:
            return propeller.CreateExecutionResponse(created=await self._runtime.driver.create(actor))
        return propeller.CreateExecutionResponse(created=await self._runtime.store.create_execution(actor.row()))

    async def create_all(self, requests: Sequence[propeller.CreateExecutionRequest]) -> list[Created]:
        """Take executions over, each with an answer or an error of its own, in order.

        Raises InvalidArgument for more than MOST_AT_ONCE.
        """
        if len(requests) > MOST_AT_ONCE:
            raise InvalidArgument.invalid("executions", len(requests), f"at most {MOST_AT_ONCE} in one call")
        return list(await asyncio.gather(*map(self._created, requests)))

    async def _created(self, request: propeller.CreateExecutionRequest) -> Created:
        try:
            return await self.create(request)
        except ElevonError as error:
            return error
        except Exception as error:
            log.error("execution not created", execution=request.execution_id.name, exc_info=error)
            return Internal(str(error))

    async def abort(self, request: propeller.AbortExecutionRequest) -> bool:
        """Stop an execution; False when it was never known."""
        identifiers.validate_execution_identifier(request.execution_id, "execution_id")
        seen = AbortRequested(self._runtime.clock(), request.cause)
        return await self._tell(_name(request.execution_id), seen, ABORT, request.SerializeToString())

    async def set_signal(self, request: propeller.SetSignalRequest) -> bool:
        """Hand a signal's value over; False when the execution was never known."""
        identifiers.validate_execution_identifier(request.execution_id, "execution_id")
        if not request.signal_id:
            raise InvalidArgument.missing("signal_id")
        value = core.Literal()
        value.CopyFrom(request.value)
        seen = SignalSet(self._runtime.clock(), request.signal_id, value)
        return await self._tell(_name(request.execution_id), seen, SIGNAL, request.SerializeToString())

    async def tell_end(self, request: propeller.TellEndRequest) -> None:
        """Have a node that waits for an execution look how it has ended, here or at another replica."""
        identifiers.validate_execution_identifier(request.execution_id, "execution_id")
        await self._runtime.tell_end(_name(request.execution_id))

    async def _plan(self, request: propeller.CreateExecutionRequest, digest: bytes) -> Plan | None:
        if request.HasField("closure"):
            return await self._runtime.plans.add(digest, request.closure)
        return await self._runtime.plans.get(digest)

    def _actor(self, request: propeller.CreateExecutionRequest, digest: bytes, plan: Plan) -> Actor:
        accepted_at = self._runtime.clock()
        if request.HasField("accepted_at"):
            accepted_at = request.accepted_at.seconds * 1_000_000 + request.accepted_at.nanos // 1_000
        policy = self._runtime.policy
        state = ExecutionState(
            plan,
            request.execution_id,
            request.inputs,
            request.options,
            accepted_at,
            policy.metadata_root,
            policy.raw_output_prefix,
        )
        return Actor(self._runtime.keys.next(), digest, plan, state)

    async def _tell(self, name: Name, seen: Observation, kind: str, payload: bytes) -> bool:
        """Post to the execution here, or leave a request for its owner; nothing for one that has ended."""
        actor = self._runtime.driver.actors.get(name)
        if actor is not None:
            await self._runtime.driver.tell(actor, seen)
            return True
        row = await self._runtime.store.find_execution(*name)
        if row is None:
            return False
        if row.ended_at == 0:
            await self._leave(row, kind, payload)
        return True

    async def _leave(self, row: ExecutionRow, kind: str, payload: bytes) -> None:
        await self._runtime.store.add_request(row.key, row.shard, kind, payload)


def _name(identifier: core.WorkflowExecutionIdentifier) -> Name:
    return (identifier.project, identifier.domain, identifier.name)


def _digest(request: propeller.CreateExecutionRequest) -> bytes:
    """The digest sent, or that of the closure sent."""
    digest = request.closure_digest
    if digest:
        if len(digest) != DIGEST_BYTES:
            raise InvalidArgument.invalid("closure_digest", digest.hex(), f"must have {DIGEST_BYTES} bytes")
        return digest
    if not request.HasField("closure"):
        raise InvalidArgument.missing("closure")
    return hashlib.sha256(request.closure.SerializeToString(deterministic=True)).digest()
