"""What a plugin is: the port between the engine, which decides, and the places where tasks run."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from elevon_idl.core import v1 as core
from google.protobuf.struct_pb2 import Struct


@dataclass(frozen=True, slots=True)
class AttemptPaths:
    """Where an attempt reads and writes; URIs, laid out as task containers expect them.

    `data_prefix` is the node's folder (inputs.pb, task.pb), `output_prefix` the attempt's (outputs.pb, error.pb,
    futures.pb, deck.html). `earlier_checkpoints` are those of the attempts before, the latest first, whether or not
    they wrote any.
    """

    data_prefix: str
    output_prefix: str
    raw_output_prefix: str
    earlier_checkpoints: tuple[str, ...] = ()

    @property
    def previous_checkpoint(self) -> str:
        """The checkpoint of the attempt before; empty for a first one."""
        return self.earlier_checkpoints[0] if self.earlier_checkpoints else ""

    @property
    def inputs(self) -> str:
        return f"{self.data_prefix}/inputs.pb"

    @property
    def outputs(self) -> str:
        return f"{self.output_prefix}/outputs.pb"

    @property
    def error(self) -> str:
        return f"{self.output_prefix}/error.pb"

    @property
    def futures(self) -> str:
        return f"{self.output_prefix}/futures.pb"

    @property
    def deck(self) -> str:
        return f"{self.output_prefix}/deck.html"

    @property
    def task_template(self) -> str:
        return f"{self.data_prefix}/task.pb"

    @property
    def checkpoint(self) -> str:
        return f"{self.raw_output_prefix}/_flytecheckpoints"


def forever() -> float:
    """The end of ownership where nobody else can own anything."""
    return math.inf


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one task node: all a plugin needs to start it, or to find it again after a restart.

    `name` is unique among the attempts of all executions and the same whenever this one is started again: the key of
    idempotency. `generated_name` is what clients see of it. `environment` holds the execution's
    own variables, without those of the container contract. `started_at` is when the engine committed to this attempt
    (UTC). An element of an array `shares_inputs_file` with all others: inputs.pb is written already and holds whole
    lists, `inputs` is the element's share of it.

    `until` answers, in seconds of `time.monotonic()`, how long this replica is sure to own the execution. A plugin that
    waits between `start` and the moment the attempt truly begins must look right before that moment; once the time is
    over, another replica may have begun the attempt: wait until it is prolonged, or until `detach`.
    """

    name: str
    execution_id: core.WorkflowExecutionIdentifier
    workflow_name: str
    node_id: str
    spec_node_id: str
    number: int
    task: core.TaskTemplate
    inputs: core.LiteralMap
    paths: AttemptPaths
    started_at: datetime
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    overrides: core.TaskNodeOverrides | None = None
    security_context: core.SecurityContext | None = None
    interruptible: bool = False
    console_url: str = ""
    traceparent: str = ""
    shares_inputs_file: bool = False
    generated_name: str = ""
    until: Callable[[], float] = field(default=forever, compare=False)


class AttemptPhase(enum.Enum):
    """What a plugin can say of an attempt; the last three are final."""

    WAITING_FOR_RESOURCES = "waiting for resources"
    QUEUED = "queued"
    INITIALIZING = "initializing"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    RETRYABLE_FAILURE = "retryable failure"
    PERMANENT_FAILURE = "permanent failure"

    @property
    def is_final(self) -> bool:
        """True when nothing of the attempt runs any more."""
        return self in (AttemptPhase.SUCCEEDED, AttemptPhase.RETRYABLE_FAILURE, AttemptPhase.PERMANENT_FAILURE)


@dataclass(frozen=True, slots=True)
class Report:
    """What a plugin saw of an attempt.

    A failure carries `error`; its kind (USER, SYSTEM, UNKNOWN) chooses the retry budget. On success `outputs` holds the
    checked outputs (an empty map when the task declares none); `has_outputs_file` says that outputs.pb was written.
    `futures` is set instead when the task turned out to be dynamic. `deck_uri` is set when a deck was written.
    """

    phase: AttemptPhase
    occurred_at: datetime
    reason: str = ""
    error: core.ExecutionError | None = None
    outputs: core.LiteralMap | None = None
    has_outputs_file: bool = False
    futures: core.DynamicJobSpec | None = None
    deck_uri: str = ""
    logs: tuple[core.TaskLog, ...] = ()
    custom_info: Struct | None = None


ReportSink = Callable[[Report], None]
"""Takes a report; never blocks, never raises; may be called from the event loop only."""


class Plugin(Protocol):
    """A place where attempts run.

    `start` returns once the attempt is under way and reports through the sink until a final phase. Calling it again
    with the same name, in this process or in a later one, re-attaches or runs again what is surely dead: never are two
    of one name alive at a time. A task the plugin cannot run at all is reported as PERMANENT_FAILURE with a message
    for the user, never raised; what is raised counts as a SYSTEM failure of the attempt.
    """

    @property
    def id(self) -> str:
        """The name used in configuration and in events (`plugin_identifier`)."""

    @property
    def task_types(self) -> frozenset[str]:
        """The task types it serves by default."""

    async def open(self) -> None:
        """Prepare; called once before anything else."""

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Begin an attempt, or find it again."""

    async def abort(self, name: str, reason: str) -> None:
        """Stop an attempt and everything it started; returns when nothing of it runs. Unknown names are fine."""

    async def finalize(self, name: str) -> None:
        """Let go of what is kept for a finished attempt. Unknown names are fine."""

    async def detach(self, name: str) -> None:
        """Stop looking after an attempt, which another replica looks after from now on: what runs runs on, what has
        not begun never does. Returns when that is sure. Unknown names are fine."""

    async def close(self) -> None:
        """Let go of everything; attempts that can outlive the process keep running."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a plugin keeps of an attempt nobody in this process looks after: its name, and whose it was."""

    name: str
    project: str
    domain: str
    execution: str
    node_id: str
    number: int


@runtime_checkable
class KeepsLeftovers(Plugin, Protocol):
    """A plugin that keeps things on this machine for its attempts, which a crash may leave behind."""

    async def leftovers(self) -> list[Leftover]:
        """What is kept of attempts that were not started in this process; `finalize` lets go of it."""


@runtime_checkable
class KeepsRecords(Plugin, Protocol):
    """A plugin that keeps something of attempts after `finalize`, for people to read, such as their logs."""

    async def forget(self, names: Sequence[str]) -> None:
        """Delete what is kept of attempts whose execution is deleted. Unknown names are fine."""
