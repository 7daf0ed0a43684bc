"""Reports, spelled once: the shapes a plugin sends through its sink."""

from __future__ import annotations

from datetime import datetime

from elevon_idl.core import v1 as core

from elevon_propeller.plugins.contract import AttemptPhase, Report

USER = core.ExecutionError.USER
SYSTEM = core.ExecutionError.SYSTEM
UNKNOWN = core.ExecutionError.UNKNOWN


def succeeded(
    occurred_at: datetime, outputs: core.LiteralMap, *, logs: tuple[core.TaskLog, ...] = (), reason: str = ""
) -> Report:
    """A success whose outputs travel in the report and are in no file."""
    return Report(AttemptPhase.SUCCEEDED, occurred_at, outputs=outputs, logs=logs, reason=reason)


def retryable(
    occurred_at: datetime,
    code: str,
    message: str,
    kind: core.ExecutionError.ErrorKind.ValueType,
    *,
    logs: tuple[core.TaskLog, ...] = (),
) -> Report:
    """A failure that another attempt may not meet; `kind` chooses the retry budget."""
    return _failed(AttemptPhase.RETRYABLE_FAILURE, occurred_at, code, message, kind, logs)


def permanent(
    occurred_at: datetime,
    code: str,
    message: str,
    kind: core.ExecutionError.ErrorKind.ValueType = USER,
    *,
    logs: tuple[core.TaskLog, ...] = (),
) -> Report:
    """A failure that every attempt would meet."""
    return _failed(AttemptPhase.PERMANENT_FAILURE, occurred_at, code, message, kind, logs)


def _failed(
    phase: AttemptPhase,
    occurred_at: datetime,
    code: str,
    message: str,
    kind: core.ExecutionError.ErrorKind.ValueType,
    logs: tuple[core.TaskLog, ...],
) -> Report:
    error = core.ExecutionError(code=code, message=message, kind=kind)
    error.timestamp.FromDatetime(occurred_at)
    return Report(phase, occurred_at, error=error, logs=logs)
