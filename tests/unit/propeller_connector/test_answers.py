"""What resources mean."""

from __future__ import annotations

import pytest
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_propeller.plugins.connector.answers import Interpreter
from elevon_propeller.plugins.connector.service import NonsenseAnswer
from elevon_propeller.plugins.contract import AttemptPhase, Report
from elevon_propeller.plugins.results import Examiner
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.propeller_connector.conftest import Make, literals
from tests.unit.propeller_connector.test_requests import made

Phase = core.TaskExecution
Error = core.ExecutionError
NOTHING = core.Literal(scalar=core.Scalar(none_type=core.Void()))
WHERE = "connector service 'default' at here:1"


@pytest.fixture
def interpreter() -> Interpreter:
    return Interpreter(Examiner(MemoryBlobStore(), 1000))


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.QUEUED, AttemptPhase.QUEUED),
        (Phase.WAITING_FOR_RESOURCES, AttemptPhase.WAITING_FOR_RESOURCES),
        (Phase.INITIALIZING, AttemptPhase.INITIALIZING),
        (Phase.RUNNING, AttemptPhase.RUNNING),
        (Phase.SUCCEEDED, AttemptPhase.SUCCEEDED),
        (Phase.FAILED, AttemptPhase.PERMANENT_FAILURE),
        (Phase.ABORTED, AttemptPhase.PERMANENT_FAILURE),
        (Phase.RETRYABLE_FAILED, AttemptPhase.RETRYABLE_FAILURE),
    ],
)
async def test_phases(
    interpreter: Interpreter, attempt: Make, phase: Phase.Phase.ValueType, expected: AttemptPhase
) -> None:
    resource = connector.Resource(phase=phase, message="so it is")
    report = await interpreter.interpret(attempt(outputs=()), resource, WHERE)
    assert report.phase is expected
    assert "so it is" in (report.error.message if report.error is not None else report.reason)
    if report.error is not None:
        assert (report.error.code, report.error.kind) == ("TaskFailedWithError", Error.USER)
        assert WHERE in report.error.message


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (connector.RETRYABLE_FAILURE, AttemptPhase.RETRYABLE_FAILURE),
        (connector.PERMANENT_FAILURE, AttemptPhase.PERMANENT_FAILURE),
        (connector.PENDING, AttemptPhase.INITIALIZING),
        (connector.RUNNING, AttemptPhase.RUNNING),
        (connector.SUCCEEDED, AttemptPhase.SUCCEEDED),
    ],
)
async def test_states_of_older_connectors(
    interpreter: Interpreter, attempt: Make, state: connector.State.ValueType, expected: AttemptPhase
) -> None:
    report = await interpreter.interpret(attempt(outputs=()), connector.Resource(state=state), WHERE)
    assert report.phase is expected


@pytest.mark.parametrize(
    ("kind", "origin", "phase", "expected"),
    [
        (connector.AgentError.NON_RECOVERABLE, Error.UNKNOWN, AttemptPhase.PERMANENT_FAILURE, Error.USER),
        (connector.AgentError.RECOVERABLE, Error.USER, AttemptPhase.RETRYABLE_FAILURE, Error.USER),
        (connector.AgentError.RECOVERABLE, Error.SYSTEM, AttemptPhase.RETRYABLE_FAILURE, Error.SYSTEM),
    ],
)
async def test_a_connectors_own_error_counts(
    interpreter: Interpreter,
    attempt: Make,
    kind: connector.AgentError.Kind.ValueType,
    origin: Error.ErrorKind.ValueType,
    phase: AttemptPhase,
    expected: Error.ErrorKind.ValueType,
) -> None:
    error = connector.AgentError(code="Quota", kind=kind, origin=origin)
    resource = connector.Resource(phase=Phase.FAILED, agent_error=error)
    report = await interpreter.interpret(attempt(), resource, WHERE)
    assert report.phase is phase
    assert report.error is not None
    assert (report.error.code, report.error.kind) == ("Quota", expected)
    assert "gave no message" in report.error.message


async def said(interpreter: Interpreter, attempt: Make, resource: connector.Resource) -> Report:
    resource.phase = Phase.SUCCEEDED
    return await interpreter.interpret(attempt(), resource, WHERE)


@pytest.mark.parametrize(
    ("resource", "code", "words"),
    [
        (connector.Resource(), "OutputsNotFound", "its answer has no outputs and there is no s3://"),
        (connector.Resource(outputs=core.LiteralMap()), "OutputsTypeMismatch", "o is missing"),
        (
            connector.Resource(
                outputs=core.LiteralMap(literals={"o": core.Literal(scalar=core.Scalar(none_type=core.Void()))})
            ),
            "OutputsTypeMismatch",
            "is expected",
        ),
        (connector.Resource(outputs=literals(o=1, **{"x" * 2000: 1})), "OutputSizeExceeded", "1000 are allowed"),
    ],
    ids=["none", "empty", "wrong type", "too large"],
)
async def test_a_success_without_proper_outputs_is_a_failure(
    interpreter: Interpreter, attempt: Make, resource: connector.Resource, code: str, words: str
) -> None:
    report = await said(interpreter, attempt, resource)
    assert report.phase in (AttemptPhase.PERMANENT_FAILURE, AttemptPhase.RETRYABLE_FAILURE)
    assert report.outputs is None
    assert report.error is not None
    assert report.error.code == code
    assert words in report.error.message
    assert f"{WHERE} says that the job succeeded" in report.error.message


async def test_outputs_that_were_not_declared_are_not_looked_at(interpreter: Interpreter, attempt: Make) -> None:
    resource = connector.Resource(phase=Phase.SUCCEEDED, outputs=literals(o=1))
    report = await interpreter.interpret(attempt(outputs=()), resource, WHERE)
    assert report.outputs == core.LiteralMap()


@given(st.binary(max_size=60))
async def test_no_answer_breaks_it(data: bytes) -> None:
    interpreter = Interpreter(Examiner(MemoryBlobStore(), 1000))
    try:
        resource = connector.Resource.FromString(data)
        report = await interpreter.interpret(made(), resource, WHERE)
    except (DecodeError, NonsenseAnswer):
        return
    is_failure = report.phase in (AttemptPhase.PERMANENT_FAILURE, AttemptPhase.RETRYABLE_FAILURE)
    assert (report.error is not None) is is_failure
