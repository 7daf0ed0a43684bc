"""SignalService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import signal_service_pb2

from elevon_admin.usecases.signals import Signals

SIGNAL_SERVICE = signal_service_pb2.DESCRIPTOR.services_by_name["SignalService"].full_name


class SignalServicer:
    """Decodes, calls, encodes."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    async def GetOrCreateSignal(self, request: admin.SignalGetOrCreateRequest, context: object) -> admin.Signal:
        """Answer a signal, made if need be."""
        return await self._signals.get_or_create(request)

    async def ListSignals(self, request: admin.SignalListRequest, context: object) -> admin.SignalList:
        """Answer a page of an execution's signals."""
        return await self._signals.list(request)

    async def SetSignal(self, request: admin.SignalSetRequest, context: object) -> admin.SignalSetResponse:
        """Set a signal's value."""
        await self._signals.set(request)
        return admin.SignalSetResponse()
