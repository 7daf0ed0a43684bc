"""Signals: values that gate nodes wait for."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument
from elevon_core.identifiers import validate_execution_identifier, validate_signal_identifier
from elevon_core.inputs import validate_literal
from elevon_core.literals import literal_type
from elevon_core.types import castable, describe
from elevon_idl.admin import v1 as admin
from elevon_idl.propeller import v1 as propeller

from elevon_admin.domain.filters import parse_filters
from elevon_admin.domain.paging import cut, parse_page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.sorting import parse_sort
from elevon_admin.execution_ports import Outbox, SignalRepository
from elevon_admin.ports import Clock


class Signals:
    """Makes, sets and lists signals; a value is pushed to the engine."""

    def __init__(self, signals: SignalRepository, outbox: Outbox, clock: Clock) -> None:
        self._signals = signals
        self._outbox = outbox
        self._clock = clock

    async def get_or_create(self, request: admin.SignalGetOrCreateRequest) -> admin.Signal:
        """The signal with its value, or a new one without.

        Raises NotFound without its execution, AlreadyExists when it exists with another type.
        """
        validate_signal_identifier(request.id)
        if not request.HasField("type"):
            raise InvalidArgument.missing("type")
        key = ExecutionKey.of(request.id.execution_id)
        stored = await self._signals.get_or_create(key, request.id.signal_id, request.type, self._clock())
        return stored.message()

    async def set(self, request: admin.SignalSetRequest) -> None:
        """Set the value, over an earlier one; raises InvalidArgument for an unknown signal and for the wrong type."""
        validate_signal_identifier(request.id)
        if not request.HasField("value"):
            raise InvalidArgument.missing("value")
        validate_literal(request.value, "value")
        key, signal_id = ExecutionKey.of(request.id.execution_id), request.id.signal_id
        stored = await self._signals.get(key, signal_id)
        if stored is None:
            raise InvalidArgument(
                f"failed to validate that signal [{signal_id}] exists in {key}: no gate waits for it yet"
            )
        given = literal_type(request.value)
        if not castable(given, stored.type):
            raise InvalidArgument.invalid("value", describe(given), f"the signal's type is {describe(stored.type)}")
        pushed = propeller.SetSignalRequest(
            execution_id=key.identifier(), signal_id=signal_id, value=request.value
        ).SerializeToString()
        self._outbox.put(await self._signals.set_value(key, signal_id, request.value, pushed, self._clock()))

    async def list(self, request: admin.SignalListRequest) -> admin.SignalList:
        """A page of the signals of an execution."""
        validate_execution_identifier(request.workflow_execution_id, "execution_id")
        page = parse_page(request.limit, request.token, "ListSignals")
        sort = parse_sort(request.sort_by if request.HasField("sort_by") else None)
        key = ExecutionKey.of(request.workflow_execution_id)
        rows, token = cut(page, await self._signals.list(key, parse_filters(request.filters), sort, page))
        return admin.SignalList(signals=[row.message() for row in rows], token=token)
