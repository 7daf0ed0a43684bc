"""What admin owes the engine, in the order it became due."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from elevon_idl.propeller import v1 as propeller

from elevon_admin.domain.records import ExecutionKey


class DispatchKind(enum.IntEnum):
    """The call that delivers a dispatch; CANCEL is an abort of what the engine was never given: it hears of the end."""

    CREATE = 1
    ABORT = 2
    SIGNAL = 3
    CANCEL = 4


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One call to be made until it is acknowledged.

    `payload` is the call's request. A CREATE has neither closure nor inputs in it: they are in the rows of the
    workflow and the execution; `inputs` and `inputs_uri` carry the latter.
    """

    row_id: int
    key: ExecutionKey
    kind: DispatchKind
    payload: bytes
    workflow_row: int | None = None
    inputs: bytes | None = None
    inputs_uri: str = ""


def abort_payload(key: ExecutionKey, cause: str) -> bytes:
    """The request of an ABORT."""
    return propeller.AbortExecutionRequest(execution_id=key.identifier(), cause=cause).SerializeToString()
