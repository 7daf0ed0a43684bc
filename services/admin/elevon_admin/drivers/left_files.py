"""Files of executions: the engine deletes its own, admin the literals it has put aside."""

from __future__ import annotations

from typing import cast

import grpc
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit.blobs import BlobStore
from elevon_kit.grpc_client import translate_errors

from elevon_admin.domain.retention import Remains
from elevon_admin.usecases.literals import LiteralStore


class EngineAndOwnFiles:
    """LeftFiles through PropellerService and the object store; `timeout` in seconds is that of one call."""

    def __init__(
        self, channel: grpc.aio.Channel | None, blobs: BlobStore, literals: LiteralStore, timeout: float = 120.0
    ) -> None:
        self._stub = None
        if channel is not None:
            # Over an asynchronous channel the generated stub is what the generator types as the ...AsyncStub.
            stub = propeller_service_pb2_grpc.PropellerServiceStub(channel)
            self._stub = cast("propeller_service_pb2_grpc.PropellerServiceAsyncStub", stub)
        self._blobs = blobs
        self._literals = literals
        self._timeout = timeout

    async def delete(self, remains: Remains) -> None:
        """See LeftFiles."""
        if self._stub is not None:
            request = propeller.ForgetExecutionRequest(
                execution_id=remains.key.identifier(),
                raw_output_prefix=remains.raw_output_prefix,
                attempts=[
                    propeller.ForgottenAttempts(node_id=node_id, attempts=attempts)
                    for node_id, attempts in sorted(remains.attempts.items())
                ],
            )
            with translate_errors("propeller"):
                await self._stub.ForgetExecution(request, timeout=self._timeout)
        await self._blobs.delete_prefix(self._literals.place(remains.key))
