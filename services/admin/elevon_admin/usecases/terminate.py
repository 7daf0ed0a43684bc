"""Ending executions early, and putting them away."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument
from elevon_core.identifiers import validate_execution_identifier
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.dispatches import abort_payload
from elevon_admin.domain.execution_closure import begin_abort
from elevon_admin.domain.records import ExecutionKey, ExecutionRecord
from elevon_admin.domain.stored_text import check_text
from elevon_admin.execution_ports import ExecutionRepository, Outbox
from elevon_admin.ports import Clock


class Terminate:
    """Aborts and archives executions."""

    def __init__(self, executions: ExecutionRepository, outbox: Outbox, clock: Clock) -> None:
        self._executions = executions
        self._outbox = outbox
        self._clock = clock

    async def terminate(self, request: admin.ExecutionTerminateRequest, principal: str = "") -> None:
        """Begin to abort; may be repeated, the last cause counts.

        Raises NotFound, and FailedPrecondition with already_in_terminal_state for what has ended.
        """
        validate_execution_identifier(request.id)
        check_text("cause", request.cause)
        key = ExecutionKey.of(request.id)

        def change(record: ExecutionRecord) -> None:
            begin_abort(record, request.cause, principal)

        payload = abort_payload(key, request.cause)
        self._outbox.put(await self._executions.abort(key, change, payload, request.cause, self._clock()))

    async def set_state(self, request: admin.ExecutionUpdateRequest, principal: str = "") -> None:
        """Archive or restore, whatever the phase; raises InvalidArgument for an unknown state, NotFound."""
        validate_execution_identifier(request.id)
        if request.state not in admin.ExecutionState.values():
            raise InvalidArgument.invalid("state", request.state, "must be an ExecutionState")
        now = self._clock()

        def change(record: ExecutionRecord) -> None:
            details = record.closure.state_change_details
            details.state = request.state
            details.principal = principal
            details.occurred_at.FromNanoseconds(now)

        await self._executions.set_state(ExecutionKey.of(request.id), request.state, change, now)
