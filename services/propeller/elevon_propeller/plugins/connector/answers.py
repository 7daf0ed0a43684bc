"""What connectors say of jobs, and what that means for the attempt."""

from __future__ import annotations

from dataclasses import replace

from elevon_core.errors import ElevonError, ErrorKind
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.connector.endpoint import is_passing
from elevon_propeller.plugins.connector.service import NonsenseAnswer
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.plugins.results import Examiner, shortened

TASK_FAILED = "TaskFailedWithError"
NONSENSE = "BadConnectorAnswer"
POLLING_FAILED = "AutoRefreshCacheFailed"
AWAY = "ConnectorUnavailable"

Phase = core.TaskExecution

_PROGRESS = {
    Phase.QUEUED: AttemptPhase.QUEUED,
    Phase.WAITING_FOR_RESOURCES: AttemptPhase.WAITING_FOR_RESOURCES,
    Phase.INITIALIZING: AttemptPhase.INITIALIZING,
    Phase.RUNNING: AttemptPhase.RUNNING,
}
_LEGACY_STATES = {
    connector.PENDING: Phase.INITIALIZING,
    connector.RUNNING: Phase.RUNNING,
    connector.SUCCEEDED: Phase.SUCCEEDED,
    connector.PERMANENT_FAILURE: Phase.FAILED,
    connector.RETRYABLE_FAILURE: Phase.RETRYABLE_FAILED,
}
_FAILURES = frozenset({Phase.FAILED, Phase.RETRYABLE_FAILED, Phase.ABORTED})
_BAD_REQUESTS = frozenset({ErrorKind.INVALID_ARGUMENT, ErrorKind.UNIMPLEMENTED, ErrorKind.RESOURCE_EXHAUSTED})


class Interpreter:
    """Turns resources into reports.

    Beyond the original: a connector's own error code, kind and origin count; the message is shown in every phase;
    outputs are checked against the interface; what makes no sense fails for good and says what was wrong.
    """

    def __init__(self, examiner: Examiner, clock: Clock = system_clock) -> None:
        self._examiner = examiner
        self._clock = clock

    async def interpret(self, attempt: Attempt, resource: connector.Resource, where: str) -> Report:
        """What a resource means for the attempt; `where` names the connector service.

        Raises NonsenseAnswer for phases that there are not.
        """
        phase = _phase_of(resource, where)
        if phase in _PROGRESS:
            report = Report(_PROGRESS[phase], self._clock(), reason=resource.message)
        elif phase == Phase.SUCCEEDED:
            report = await self._succeeded(attempt, resource, where)
        else:
            report = self._failed(resource, phase, where)
        return replace(
            report,
            logs=tuple(resource.log_links),
            custom_info=resource.custom_info if resource.HasField("custom_info") else None,
        )

    async def _succeeded(self, attempt: Attempt, resource: connector.Resource, where: str) -> Report:
        declared = sorted(attempt.task.interface.outputs.variables)
        if not declared:
            return reports.succeeded(self._clock(), core.LiteralMap(), reason=resource.message)
        if resource.HasField("outputs"):
            report = self._examiner.accept(attempt, resource.outputs)
        else:
            report = await self._examiner.judge(attempt)
        if report.error is None:
            return replace(report, reason=resource.message)
        return _explained(report, attempt, where)

    def _failed(self, resource: connector.Resource, phase: Phase.Phase.ValueType, where: str) -> Report:
        error = resource.agent_error
        is_retryable = phase == Phase.RETRYABLE_FAILED or (
            resource.HasField("agent_error") and error.kind == connector.AgentError.RECOVERABLE
        )
        make = reports.retryable if is_retryable else reports.permanent
        verb = "was aborted" if phase == Phase.ABORTED else "failed"
        message = f"the job {verb}: {resource.message or 'the connector gave no message'} ({where})"
        return make(self._clock(), error.code or TASK_FAILED, shortened(message), error.origin or reports.USER)


def _phase_of(resource: connector.Resource, where: str) -> Phase.Phase.ValueType:
    """The phase of a resource; older connectors tell a state instead, whose zero is a retryable failure."""
    phase = resource.phase
    if phase == Phase.UNDEFINED:
        legacy = _LEGACY_STATES.get(resource.state)
        if legacy is None:
            raise NonsenseAnswer(f"{where} tells no phase, and the state {resource.state}, which there is not")
        return legacy
    if phase not in _PROGRESS and phase != Phase.SUCCEEDED and phase not in _FAILURES:
        raise NonsenseAnswer(
            f"{where} tells the phase {phase}, which there is not; there are {sorted(Phase.Phase.values())}"
        )
    return phase


def _explained(report: Report, attempt: Attempt, where: str) -> Report:
    """Say that it was the connector which claimed success, and what it should have given."""
    error = core.ExecutionError()
    assert report.error is not None
    error.CopyFrom(report.error)
    if error.code == "OutputsNotFound":
        declared = sorted(attempt.task.interface.outputs.variables)
        error.message = (
            f"{where} says that the job succeeded, but its answer has no outputs and there is no "
            f"{attempt.paths.outputs}; the task declares {declared}"
        )
    else:
        error.message = f"{where} says that the job succeeded: {error.message}"
    return replace(report, error=error)


def refused(error: ElevonError, where: str, clock: Clock) -> Report:
    """What a failed CreateTask or ExecuteTaskSync means that has not failed by an outage.

    A request that the service will never take fails for good; what the connector raised may be tried again.
    """
    message = shortened(error.message if where in error.message else f"{where}: {error.message}")
    if isinstance(error, NonsenseAnswer):
        return reports.permanent(clock(), NONSENSE, message, reports.SYSTEM)
    make = reports.permanent if error.kind in _BAD_REQUESTS else reports.retryable
    return make(clock(), TASK_FAILED, message, reports.USER)


def unpollable(error: ElevonError, failures: int, clock: Clock) -> Report:
    """What it means that a job cannot be looked at, which has failed so many times in a row."""
    if isinstance(error, NonsenseAnswer):
        return reports.permanent(clock(), NONSENSE, shortened(error.message), reports.SYSTEM)
    message = shortened(f"the job could not be looked at {failures} times in a row; the last error: {error.message}")
    if is_passing(error):
        return reports.retryable(clock(), AWAY, message, reports.SYSTEM)
    return reports.permanent(clock(), POLLING_FAILED, message, reports.USER)


def away(reason: str, patience: str, clock: Clock) -> Report:
    """An endpoint was away for too long."""
    message = f"gave up after {patience}: {reason}"
    return reports.retryable(clock(), AWAY, message, reports.SYSTEM)
