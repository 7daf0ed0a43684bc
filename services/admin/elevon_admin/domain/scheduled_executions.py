"""The execution that a tick of a schedule creates, and how ticks are kept."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.entities import EntityKey
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.timetables import SECOND, Tick

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3


DEACTIVATED = "the launch plan was deactivated"
"""Why a tick is skipped that was due, or was to be launched, when its launch plan was deactivated."""


class TickStatus(enum.IntEnum):
    """What became of a tick; only DUE changes, but for a launch that was under way when its plan was deactivated."""

    DUE = 1
    LAUNCHED = 2
    SKIPPED = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """The schedule of a launch plan version from its activation on; times in nanoseconds.

    `ended_at` is set once the version is no longer active, `superseded` if that was by activating another one.
    """

    row: int
    plan_row: int
    key: EntityKey
    spec: admin.LaunchPlanSpec
    activated_at: int
    decided_until: int
    due_at: int | None
    ended_at: int | None = None
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class StoredTick:
    """A tick, or neighbouring ticks that were skipped together; times in nanoseconds."""

    row: int
    key: EntityKey
    tick: Tick
    last_scheduled_at: int
    count: int
    status: TickStatus
    reason: str = ""
    attempts: int = 0
    kickoff_argument: str = ""

    @property
    def execution(self) -> ExecutionKey:
        """The execution that it creates, or has created."""
        return ExecutionKey(self.key.project, self.key.domain, execution_name(self.key, self.tick.scheduled_at))


def execution_name(key: EntityKey, scheduled_at: int) -> str:
    """The name of the execution of a tick: the same whoever launches it, and the one the original gives."""
    digest = _FNV_OFFSET
    for byte in f"{key}:{scheduled_at // SECOND}".encode():
        digest = (digest * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF) ^ byte
    return f"f{digest.to_bytes(8, 'little').hex()}000"


def creation_request(tick: StoredTick) -> admin.ExecutionCreateRequest:
    """The request that launches a tick; the kickoff argument gets the time that the schedule names."""
    name = tick.execution
    request = admin.ExecutionCreateRequest(project=name.project, domain=name.domain, name=name.name)
    request.spec.launch_plan.CopyFrom(tick.key.identifier(core.LAUNCH_PLAN))
    metadata = request.spec.metadata
    metadata.mode = admin.ExecutionMetadata.SCHEDULED
    metadata.scheduled_at.FromNanoseconds(tick.tick.due_at)
    if tick.kickoff_argument:
        literal = request.inputs.literals[tick.kickoff_argument]
        literal.scalar.primitive.datetime.FromNanoseconds(tick.tick.scheduled_at)
    return request
