"""What files and exit codes of an attempt mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from elevon_core.literals import collection, integer, none_literal, string
from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_propeller.plugins.contract import Attempt, AttemptPhase
from elevon_propeller.plugins.results import MESSAGE_LIMIT, Ending, Examiner, mismatch, shortened
from hypothesis import given
from hypothesis import strategies as st

SUCCEEDED, RETRYABLE, PERMANENT = (
    AttemptPhase.SUCCEEDED,
    AttemptPhase.RETRYABLE_FAILURE,
    AttemptPhase.PERMANENT_FAILURE,
)
ERROR = core.ExecutionError
OUTPUTS = core.LiteralMap(literals={"o0": integer(1)})


@pytest.fixture
def blobs() -> MemoryBlobStore:
    return MemoryBlobStore()


@pytest.fixture
def attempt(attempt_of: Callable[..., Attempt]) -> Attempt:
    return attempt_of("python-task", {}, {"o0": core.INTEGER})


def document(
    kind: core.ContainerError.Kind.ValueType, origin: ERROR.ErrorKind.ValueType, message: str = "because"
) -> bytes:
    error = core.ContainerError(code="USER:Whatever", message=message, kind=kind, origin=origin, worker="w0")
    return core.ErrorDocument(error=error).SerializeToString()


@pytest.mark.parametrize("code", [0, 1])
async def test_outputs_are_a_success_whatever_the_exit_code(
    blobs: MemoryBlobStore, attempt: Attempt, code: int
) -> None:
    await blobs.write(attempt.paths.outputs, OUTPUTS.SerializeToString())
    report = await Examiner(blobs).conclude(attempt, Ending(code))
    assert (report.phase, report.outputs, report.has_outputs_file) == (SUCCEEDED, OUTPUTS, True)


async def test_futures_come_first_then_the_error_then_outputs(blobs: MemoryBlobStore, attempt: Attempt) -> None:
    examiner = Examiner(blobs)
    await blobs.write(attempt.paths.outputs, OUTPUTS.SerializeToString())
    await blobs.write(attempt.paths.error, document(core.ContainerError.NON_RECOVERABLE, ERROR.USER))
    assert (await examiner.conclude(attempt, Ending(0))).phase is PERMANENT
    spec = core.DynamicJobSpec(min_successes=2)
    await blobs.write(attempt.paths.futures, spec.SerializeToString())
    report = await examiner.conclude(attempt, Ending(0))
    assert (report.phase, report.futures) == (SUCCEEDED, spec)


@pytest.mark.parametrize(
    ("kind", "origin", "phase"),
    [
        (core.ContainerError.RECOVERABLE, ERROR.USER, RETRYABLE),
        (core.ContainerError.RECOVERABLE, ERROR.SYSTEM, RETRYABLE),
        (core.ContainerError.NON_RECOVERABLE, ERROR.USER, PERMANENT),
        (core.ContainerError.NON_RECOVERABLE, ERROR.SYSTEM, PERMANENT),
        (core.ContainerError.NON_RECOVERABLE, ERROR.UNKNOWN, PERMANENT),
    ],
)
async def test_an_error_document_decides(
    blobs: MemoryBlobStore,
    attempt: Attempt,
    kind: core.ContainerError.Kind.ValueType,
    origin: ERROR.ErrorKind.ValueType,
    phase: AttemptPhase,
) -> None:
    await blobs.write(attempt.paths.error, document(kind, origin))
    report = await Examiner(blobs).conclude(attempt, Ending(0))
    assert report.phase is phase
    assert report.error is not None
    assert (report.error.code, report.error.message, report.error.kind) == ("USER:Whatever", "because", origin)
    assert report.error.worker == "w0"


@pytest.mark.parametrize(
    ("name", "data", "phase", "code", "kind"),
    [
        ("error", b"\xff", RETRYABLE, "ErrorFileBadFormat", ERROR.SYSTEM),
        ("error", b"", RETRYABLE, "ErrorFileBadFormat", ERROR.SYSTEM),
        ("outputs", b"\xff", RETRYABLE, "OutputsFileBadFormat", ERROR.SYSTEM),
        ("outputs", b"\0" * 2000, PERMANENT, "OutputSizeExceeded", ERROR.UNKNOWN),
        ("futures", b"\xff", RETRYABLE, "FuturesFileBadFormat", ERROR.SYSTEM),
        ("futures", b"\0" * 2000, PERMANENT, "OutputSizeExceeded", ERROR.UNKNOWN),
        ("outputs", b"", PERMANENT, "OutputsTypeMismatch", ERROR.USER),
    ],
)
async def test_broken_files(
    blobs: MemoryBlobStore,
    attempt: Attempt,
    name: str,
    data: bytes,
    phase: AttemptPhase,
    code: str,
    kind: ERROR.ErrorKind.ValueType,
) -> None:
    await blobs.write(getattr(attempt.paths, name), data)
    report = await Examiner(blobs, limit=1000).conclude(attempt, Ending(0))
    assert report.error is not None
    assert (report.phase, report.error.code, report.error.kind) == (phase, code, kind)


@pytest.mark.parametrize(
    ("ending", "code", "kind"),
    [
        (Ending(-9), "Interrupted", ERROR.SYSTEM),
        (Ending(-9, out_of_memory=True), "OOMKilled", ERROR.USER),
        (Ending(137), "Interrupted", ERROR.SYSTEM),
        (Ending(247), "Interrupted", ERROR.SYSTEM),
        (Ending(143), "Interrupted", ERROR.SYSTEM),
        (Ending(-11), "Error", ERROR.USER),
    ],
)
async def test_outputs_of_a_process_that_a_signal_ended_do_not_count(
    blobs: MemoryBlobStore, attempt: Attempt, ending: Ending, code: str, kind: ERROR.ErrorKind.ValueType
) -> None:
    await blobs.write(attempt.paths.outputs, OUTPUTS.SerializeToString())
    report = await Examiner(blobs).conclude(attempt, ending)
    assert report.error is not None
    assert (report.phase, report.error.code, report.error.kind) == (RETRYABLE, code, kind)


async def test_an_exit_code_without_files_costs_a_users_retry(blobs: MemoryBlobStore, attempt: Attempt) -> None:
    report = await Examiner(blobs).conclude(attempt, Ending(5, log_tail="the last line"))
    assert report.error is not None
    assert (report.phase, report.error.code, report.error.kind) == (RETRYABLE, "Error", ERROR.USER)
    assert "exit code 5" in report.error.message
    assert "the last line" in report.error.message


async def test_missing_outputs_matter_only_when_declared(
    blobs: MemoryBlobStore, attempt: Attempt, attempt_of: Callable[..., Attempt]
) -> None:
    report = await Examiner(blobs).conclude(attempt, Ending(0))
    assert report.error is not None
    assert (report.phase, report.error.code) == (RETRYABLE, "OutputsNotFound")
    assert (await Examiner(blobs).judge(attempt_of("t", {}, {}))).outputs == core.LiteralMap()


async def test_a_deck_is_linked_when_it_is_there_and_wanted(blobs: MemoryBlobStore, attempt: Attempt) -> None:
    await blobs.write(attempt.paths.outputs, OUTPUTS.SerializeToString())
    examiner = Examiner(blobs)
    assert (await examiner.conclude(attempt, Ending(0))).deck_uri == ""
    await blobs.write(attempt.paths.deck, b"<html>")
    assert (await examiner.conclude(attempt, Ending(0))).deck_uri == attempt.paths.deck
    attempt.task.metadata.generates_deck.value = False
    assert (await examiner.conclude(attempt, Ending(0))).deck_uri == ""


def variable(literal_type: core.LiteralType) -> dict[str, core.Variable]:
    return {"o0": core.Variable(type=literal_type)}


INTEGER = core.LiteralType(simple=core.INTEGER)
INTEGERS = core.LiteralType(collection_type=INTEGER)
OPTIONAL = core.LiteralType(union_type=core.UnionType(variants=[INTEGER, core.LiteralType(simple=core.NONE)]))


@pytest.mark.parametrize(
    ("value", "expected", "item", "fits"),
    [
        (integer(1), INTEGER, False, True),
        (string("a"), INTEGER, False, False),
        (integer(1), INTEGERS, False, False),
        (integer(1), INTEGERS, True, True),
        (string("a"), INTEGERS, True, False),
        (collection([]), INTEGERS, False, True),
        (none_literal(), OPTIONAL, False, True),
        (None, OPTIONAL, False, True),
        (None, INTEGER, False, False),
        (core.Literal(), INTEGER, False, False),
    ],
)
def test_values_fit_their_variables(
    value: core.Literal | None, expected: core.LiteralType, item: bool, fits: bool
) -> None:
    outputs = core.LiteralMap(literals={} if value is None else {"o0": value})
    assert (mismatch(outputs, variable(expected), item=item) == "") is fits


@given(st.text(), st.integers(min_value=0, max_value=3))
def test_a_message_is_cut_in_the_middle_only_when_it_is_too_long(text: str, times: int) -> None:
    message = text + "x" * (times * MESSAGE_LIMIT)
    cut = shortened(message)
    assert len(cut) < MESSAGE_LIMIT + 100
    assert (cut == message) is (len(message) <= MESSAGE_LIMIT)
    assert cut[:100] == message[:100]
    assert cut[-100:] == message[-100:]
