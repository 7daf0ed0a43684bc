"""What the engine is told; the only way by which time and the world reach it. `at` is microseconds since 1970, UTC."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_idl.core import v1 as core

from elevon_propeller.engine.commands import DataKind
from elevon_propeller.engine.phases import TimerKind
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
class AttemptReported:
    """A plugin said something about an attempt."""

    at: int
    node_id: str
    number: int
    report: Report
    plugin_id: str = ""


@dataclass(slots=True)
class AttemptStopped:
    """Nothing of an attempt runs any more."""

    at: int
    node_id: str
    number: int


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


@dataclass(slots=True)
class CacheStored:
    """The catalog took the outputs, or `failure` says why not."""

    at: int
    node_id: str
    catalog: core.CatalogMetadata | None = None
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
)
