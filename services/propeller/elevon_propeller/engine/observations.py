"""What the engine is told; the only way by which time and the world reach it. `at` is microseconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from elevon_idl.core import v1 as core

from elevon_propeller.engine.commands import DataKind
from elevon_propeller.engine.originals import Original
from elevon_propeller.engine.phases import TimerKind
from elevon_propeller.engine.plan import Graph
from elevon_propeller.plugins.contract import Report


@dataclass(slots=True)
class ExecutionStarted:
    """The execution was accepted and is to begin."""

    at: int


@dataclass(slots=True)
class Resumed:
    """The execution was loaded from the store: what was under way is to be asked for again."""

    at: int


@dataclass(slots=True)
class AbortRequested:
    """A user, or the parent execution, wants it to stop."""

    at: int
    cause: str


@dataclass(slots=True)
class SignalSet:
    """A signal of the execution has a value."""

    at: int
    signal_id: str
    value: core.Literal


@dataclass(slots=True)
class OriginalRead:
    """What is known of the execution that this one recovers; nothing when it is not known any more."""

    at: int
    original: Original


@dataclass(slots=True)
class SignalRegistered:
    """Admin has the signal of a gate, perhaps with a value already; or `error` says why it never will."""

    at: int
    node_id: str
    number: int
    value: core.Literal | None = None
    error: core.ExecutionError | None = None


@dataclass(slots=True)
class AttemptReported:
    """A plugin said something about an attempt."""

    at: int
    node_id: str
    number: int
    report: Report
    plugin_id: str = ""


@dataclass(slots=True)
class AttemptStopped:
    """Nothing of an attempt runs any more, as far as the plugin could confirm: `failure` says why it could not."""

    at: int
    node_id: str
    number: int
    failure: str = ""


@dataclass(slots=True)
class TimerFired:
    """A time has come; `number` is the attempt the timer was set for."""

    at: int
    node_id: str
    kind: TimerKind
    number: int


@dataclass(slots=True)
class DataLoaded:
    """The outputs of a finished node were read; `failure` says why they could not be."""

    at: int
    node_id: str
    outputs: core.LiteralMap | None
    failure: str = ""


@dataclass(slots=True)
class DataWritten:
    """A literal map was written; `failure` says why it could not be."""

    at: int
    node_id: str
    kind: DataKind
    failure: str = ""


@dataclass(slots=True)
class CacheLookedUp:
    """The catalog answered: a hit has outputs, a miss has neither outputs nor failure."""

    at: int
    node_id: str
    outputs: core.LiteralMap | None = None
    catalog: core.CatalogMetadata | None = None
    failure: str = ""


@dataclass(slots=True)
class CacheReserved:
    """The catalog answered who holds the reservation; `failure` says that it could not."""

    at: int
    node_id: str
    acquired: bool
    failure: str = ""
    owner: str = ""


@dataclass(slots=True)
class CacheStored:
    """The catalog took the outputs, or `failure` says why not."""

    at: int
    node_id: str
    catalog: core.CatalogMetadata | None = None
    failure: str = ""


@dataclass(slots=True)
class ChildLaunched:
    """Admin has the execution of a launch-plan node, or `error` says why it never will."""

    at: int
    node_id: str
    number: int
    error: core.ExecutionError | None = None


@dataclass(slots=True)
class ChildEnded:
    """The execution of a launch-plan node has ended; `outputs` are set when it succeeded and they could be read."""

    at: int
    node_id: str
    number: int
    phase: core.WorkflowExecution.Phase.ValueType
    outputs: core.LiteralMap | None = None
    error: core.ExecutionError | None = None


@dataclass(slots=True)
class ChildStopped:
    """Admin was told to terminate the execution of a launch-plan node."""

    at: int
    node_id: str
    number: int


@dataclass(slots=True)
class DynamicBuilt:
    """A dynamic task's graph is compiled and kept at `uri`, or `error` says why it is not."""

    at: int
    node_id: str
    number: int
    uri: str = ""
    closure: core.CompiledWorkflowClosure | None = None
    graph: Graph | None = None
    error: core.ExecutionError | None = None
    retryable: bool = False


@dataclass(slots=True)
class ManyLoaded:
    """The files of an array were read; `failure` says why one of them could not be."""

    at: int
    node_id: str
    number: int
    outputs: Mapping[int, core.LiteralMap] = field(default_factory=dict)
    literals: Mapping[str, core.Literal] = field(default_factory=dict)
    failure: str = ""


Observation = (
    ExecutionStarted
    | Resumed
    | AbortRequested
    | SignalSet
    | AttemptReported
    | AttemptStopped
    | TimerFired
    | DataLoaded
    | DataWritten
    | CacheLookedUp
    | CacheReserved
    | CacheStored
    | ManyLoaded
    | ChildLaunched
    | ChildEnded
    | ChildStopped
    | DynamicBuilt
    | SignalRegistered
    | OriginalRead
)
