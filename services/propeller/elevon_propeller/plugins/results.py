"""What an attempt left behind, judged: dynamic spec, error document, outputs."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from elevon_core import literals, types
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobNotFound, BlobStore, BlobTooLarge
from elevon_kit.retry import ATOMIC
from google.protobuf.message import DecodeError, Message

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report

INTERRUPTED_CODES = frozenset({137, 143, 241, 247})
"""Exit codes that stand for SIGKILL and SIGTERM, as shells and as pyflyte-fast-execute spell them."""

ERROR_DOCUMENT_LIMIT = 64 * 1024 * 1024
MESSAGE_LIMIT = 100 * 1024
_KILLING_SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM})
_CUT = "\n... <Message Truncated> ...\n"

_SDK_ARRAY_INDEX = "BATCH_JOB_ARRAY_INDEX_VAR_NAME"
_Parsed = TypeVar("_Parsed", bound=Message)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: `code` is negative for a signal; `log_tail` are the last lines it printed."""

    code: int
    out_of_memory: bool = False
    log_tail: str = ""

    @property
    def was_interrupted(self) -> bool:
        """Whether others killed it; a signal such as SIGSEGV is its own doing."""
        return -self.code in _KILLING_SIGNALS or self.code in INTERRUPTED_CODES


class Examiner:
    """Reads the files of attempts; `limit` is the size of outputs.pb and futures.pb in bytes above which they fail.

    Content is checked here, so that a broken file fails the attempt that wrote it and not the nodes that read it.
    """

    def __init__(self, blobs: BlobStore, limit: int = 10 * 1024 * 1024, clock: Clock = system_clock) -> None:
        self._blobs = blobs
        self._limit = limit
        self._clock = clock

    async def conclude(self, attempt: Attempt, ending: Ending, logs: tuple[core.TaskLog, ...] = ()) -> Report:
        """The final report of an attempt that ran as a process.

        What a process wrote that a signal ended does not count, since it may be incomplete. Otherwise files count first
        and the exit code only where there are none: SDKs exit with 0 on errors they have described in a file.
        """
        if ending.out_of_memory:
            message = f"the task was killed because memory ran out{_tail(ending)}"
            return reports.retryable(self._clock(), "OOMKilled", message, reports.USER, logs=logs)
        if ending.was_interrupted:
            message = f"the task was killed: {_spelled(ending.code)}{_tail(ending)}"
            return reports.retryable(self._clock(), "Interrupted", message, reports.SYSTEM, logs=logs)
        report = None
        if ending.code >= 0:
            report = await self.examine(attempt, logs, files_required=ending.code != 0)
        if report is not None:
            return report
        message = f"the task ended with {_spelled(ending.code)} and left neither outputs nor an error{_tail(ending)}"
        return reports.retryable(self._clock(), "Error", message, reports.USER, logs=logs)

    async def judge(self, attempt: Attempt, logs: tuple[core.TaskLog, ...] = ()) -> Report:
        """The final report of an attempt that its plugin calls successful."""
        report = await self.examine(attempt, logs, files_required=False)
        return report or reports.succeeded(self._clock(), core.LiteralMap(), logs=logs)

    async def examine(self, attempt: Attempt, logs: tuple[core.TaskLog, ...], *, files_required: bool) -> Report | None:
        """What the files say: futures, then error, then outputs; None when there are none but some are required."""
        report = await self._dynamic(attempt) or await self._failed(attempt)
        if report is None:
            report = await self._finished(attempt, files_required)
        if report is None:
            return None
        return replace(report, logs=logs, deck_uri=await self._deck(attempt))

    async def _dynamic(self, attempt: Attempt) -> Report | None:
        try:
            data = await self._read(attempt.paths.futures, self._limit)
        except BlobTooLarge as error:
            return reports.permanent(self._clock(), "OutputSizeExceeded", error.message, reports.UNKNOWN)
        if data is None:
            return None
        spec = _parsed(core.DynamicJobSpec, data)
        if spec is None:
            message = f"{attempt.paths.futures} is no DynamicJobSpec"
            return reports.retryable(self._clock(), "FuturesFileBadFormat", message, reports.SYSTEM)
        return Report(AttemptPhase.SUCCEEDED, self._clock(), futures=spec)

    async def _failed(self, attempt: Attempt) -> Report | None:
        uri, now = attempt.paths.error, self._clock()
        try:
            data = await self._read(uri, ERROR_DOCUMENT_LIMIT)
        except BlobTooLarge as error:
            return reports.retryable(now, "ErrorFileBadFormat", error.message, reports.SYSTEM)
        if data is None:
            return None
        document = _parsed(core.ErrorDocument, data)
        if document is None:
            return reports.retryable(now, "ErrorFileBadFormat", f"{uri} is no ErrorDocument", reports.SYSTEM)
        if not document.HasField("error"):
            return reports.retryable(now, "ErrorFileBadFormat", f"{uri} has no error", reports.SYSTEM)
        return self._described(document.error)

    def _described(self, document: core.ContainerError) -> Report:
        recoverable = document.kind == core.ContainerError.RECOVERABLE
        phase = AttemptPhase.RETRYABLE_FAILURE if recoverable else AttemptPhase.PERMANENT_FAILURE
        now = self._clock()
        error = core.ExecutionError(
            code=document.code or "Unknown",
            message=shortened(document.message),
            kind=document.origin,
            worker=document.worker,
        )
        error.timestamp.FromDatetime(now)
        if document.HasField("timestamp"):
            error.timestamp.CopyFrom(document.timestamp)
        return Report(phase, now, error=error)

    async def _finished(self, attempt: Attempt, files_required: bool) -> Report | None:
        now, uri = self._clock(), attempt.paths.outputs
        try:
            data = await self._read(uri, self._limit)
        except BlobTooLarge as error:
            return reports.permanent(now, "OutputSizeExceeded", error.message, reports.UNKNOWN)
        if data is None:
            return None if files_required else self._without_outputs(attempt)
        outputs = _parsed(core.LiteralMap, data)
        if outputs is None:
            message = f"{uri} is no LiteralMap"
            return reports.retryable(now, "OutputsFileBadFormat", message, reports.SYSTEM)
        report = self._checked(attempt, outputs)
        return replace(report, has_outputs_file=report.outputs is not None)

    def accept(self, attempt: Attempt, outputs: core.LiteralMap) -> Report:
        """The final report of a successful attempt whose outputs came without a file."""
        size = outputs.ByteSize()
        if size > self._limit:
            message = f"the outputs measure {size} bytes, {self._limit} are allowed"
            return reports.permanent(self._clock(), "OutputSizeExceeded", message, reports.UNKNOWN)
        return self._checked(attempt, outputs)

    def _checked(self, attempt: Attempt, outputs: core.LiteralMap) -> Report:
        variables, now = attempt.task.interface.outputs.variables, self._clock()
        problem = mismatch(outputs, variables, item=is_item(attempt))
        if problem:
            return reports.permanent(now, "OutputsTypeMismatch", f"outputs do not fit the interface: {problem}")
        return Report(AttemptPhase.SUCCEEDED, now, outputs=outputs)

    def _without_outputs(self, attempt: Attempt) -> Report:
        now, declared = self._clock(), sorted(attempt.task.interface.outputs.variables)
        if not declared:
            return reports.succeeded(now, core.LiteralMap())
        message = f"the task declares outputs {declared} and wrote no {attempt.paths.outputs}"
        return reports.retryable(now, "OutputsNotFound", message, reports.UNKNOWN)

    async def _deck(self, attempt: Attempt) -> str:
        metadata = attempt.task.metadata
        if metadata.HasField("generates_deck") and not metadata.generates_deck.value:
            return ""
        size = await ATOMIC.run(lambda: self._blobs.size(attempt.paths.deck), what="look for a deck")
        return attempt.paths.deck if size is not None else ""

    async def _read(self, uri: str, limit: int) -> bytes | None:
        try:
            return await ATOMIC.run(lambda: self._blobs.read(uri, limit), what="read a result")
        except BlobNotFound:
            return None


def mismatch(outputs: core.LiteralMap, variables: Mapping[str, core.Variable], *, item: bool = False) -> str:
    """Why outputs do not fit the declared variables; empty when they do.

    Variables of an optional type may be missing; values that were not declared are let through, nobody reads them.
    An `item` of a map task fits when it is an element of the declared list.
    """
    findings = []
    for name in sorted(variables):
        expected = variables[name].type
        if name not in outputs.literals:
            if not types.is_optional(expected):
                findings.append(f"{name} is missing, {types.describe(expected)} is expected")
            continue
        findings.extend(_wrong(name, outputs.literals[name], expected, item))
    return "; ".join(findings)


def is_item(attempt: Attempt) -> bool:
    """Whether an attempt yields one item of a map task's lists."""
    return _SDK_ARRAY_INDEX in attempt.environment


def shortened(message: str) -> str:
    """A message of at most about 100 KiB: both ends are kept."""
    if len(message) <= MESSAGE_LIMIT:
        return message
    half = MESSAGE_LIMIT // 2
    return message[:half] + _CUT + message[-half:]


def _wrong(name: str, literal: core.Literal, expected: core.LiteralType, item: bool) -> list[str]:
    try:
        given = literals.literal_type(literal)
    except InvalidArgument as error:
        return [f"{name}: {error.message}"]
    if types.castable(given, expected):
        return []
    if item and expected.HasField("collection_type") and types.castable(given, expected.collection_type):
        return []
    return [f"{name} is {types.describe(given)}, {types.describe(expected)} is expected"]


def _parsed(kind: type[_Parsed], data: bytes) -> _Parsed | None:
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


def _spelled(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    known = -code in {each.value for each in signal.Signals}
    return f"signal {-code}" + (f" ({signal.Signals(-code).name})" if known else "")


def _tail(ending: Ending) -> str:
    return f"; its last lines:\n{ending.log_tail}" if ending.log_tail else ""
