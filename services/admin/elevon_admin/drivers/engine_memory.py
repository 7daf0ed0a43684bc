"""The fake of the engine: remembers what it was told."""

from __future__ import annotations

from elevon_core.errors import ElevonError, InvalidArgument
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_admin.domain.records import ExecutionKey
from elevon_admin.usecases.closures import digest_of


class MemoryEngine:
    """An Engine that runs nothing; `failures` are raised first, one per call, `refused` workflows are never taken."""

    def __init__(self) -> None:
        self.created: dict[ExecutionKey, propeller.CreateExecutionRequest] = {}
        self.aborted: dict[ExecutionKey, str] = {}
        self.signals: dict[tuple[ExecutionKey, str], core.Literal] = {}
        self.closures: dict[bytes, core.CompiledWorkflowClosure] = {}
        self.refused: set[str] = set()
        self.failures: list[ElevonError] = []
        self.ended: list[ExecutionKey] = []
        self.calls: list[tuple[str, ExecutionKey]] = []

    async def create(self, request: propeller.CreateExecutionRequest) -> propeller.CreateExecutionResponse:
        """See Engine."""
        key = self._called("create", request.execution_id)
        if key in self.created:
            return propeller.CreateExecutionResponse()
        digest = request.closure_digest
        if request.HasField("closure"):
            if digest and digest != digest_of(request.closure):
                raise InvalidArgument.invalid("closure_digest", digest.hex(), "it is not that of the closure")
            self.closures[digest] = request.closure
        elif digest not in self.closures:
            return propeller.CreateExecutionResponse(closure_required=True)
        name = self.closures[digest].primary.template.id.name
        if name in self.refused:
            raise InvalidArgument(f"workflow {name} cannot be planned")
        self.created[key] = request
        return propeller.CreateExecutionResponse(created=True)

    async def abort(self, execution_id: core.WorkflowExecutionIdentifier, cause: str) -> bool:
        """See Engine."""
        key = self._called("abort", execution_id)
        if key not in self.created:
            return False
        self.aborted.setdefault(key, cause)
        return True

    async def set_signal(
        self, execution_id: core.WorkflowExecutionIdentifier, signal_id: str, value: core.Literal
    ) -> bool:
        """See Engine."""
        key = self._called("signal", execution_id)
        if key not in self.created:
            return False
        self.signals.setdefault((key, signal_id), value)
        return True

    async def tell_end(self, execution_id: core.WorkflowExecutionIdentifier) -> None:
        """See Engine."""
        self.ended.append(self._called("end", execution_id))

    def _called(self, what: str, execution_id: core.WorkflowExecutionIdentifier) -> ExecutionKey:
        key = ExecutionKey.of(execution_id)
        self.calls.append((what, key))
        if self.failures:
            raise self.failures.pop(0)
        return key
