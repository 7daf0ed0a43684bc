"""What the engine wants done, after the decision is durable; each may be carried out twice with the effect of once."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from elevon_idl.core import v1 as core


class DataKind(enum.Enum):
    """Which file of a node is meant."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One entry of the catalog, and who asks for it."""

    dataset: core.Identifier
    tag: str
    owner: str
    interface: core.TypedInterface
    task_id: core.Identifier
    source: core.TaskExecutionIdentifier


@dataclass(slots=True)
class StartAttempt:
    """Start the attempt, or find it again."""

    node_id: str
    number: int


@dataclass(slots=True)
class StopAttempt:
    """Stop the attempt of this generated name and let go of it; answered by AttemptStopped."""

    node_id: str
    number: int
    name: str
    task_type: str
    reason: str


@dataclass(slots=True)
class FinalizeAttempt:
    """Let go of an attempt that has ended; not answered, and good after the node itself is forgotten."""

    node_id: str
    name: str
    task_type: str


@dataclass(slots=True)
class LoadData:
    """Read the outputs of a finished node; answered by DataLoaded."""

    node_id: str
    uri: str


@dataclass(slots=True)
class WriteData:
    """Write a literal map; answered by DataWritten.

    Literals of at least `offload_from` bytes go to files of their own, unless it is None.
    """

    node_id: str
    kind: DataKind
    uri: str
    data: core.LiteralMap
    offload_from: int | None = None


@dataclass(slots=True)
class LookUpCache:
    """Ask the catalog; answered by CacheLookedUp."""

    node_id: str
    entry: CacheEntry


@dataclass(slots=True)
class ReserveCache:
    """Take or extend the reservation; answered by CacheReserved."""

    node_id: str
    entry: CacheEntry


@dataclass(slots=True)
class ReleaseCache:
    """Give the reservation up; not answered."""

    node_id: str
    entry: CacheEntry


@dataclass(slots=True)
class StoreCache:
    """Give the outputs to the catalog; answered by CacheStored."""

    node_id: str
    entry: CacheEntry
    outputs: core.LiteralMap
    overwrite: bool


@dataclass(slots=True)
class LaunchChild:
    """Have admin create the execution of a launch-plan node's attempt; answered by ChildLaunched."""

    node_id: str
    number: int


@dataclass(slots=True)
class AskChild:
    """Look how a launched execution stands; answered by ChildEnded once it has ended."""

    node_id: str
    number: int


@dataclass(slots=True)
class StopChild:
    """Have admin terminate a launched execution, or one that may have been; answered by ChildStopped."""

    node_id: str
    number: int
    child: core.WorkflowExecutionIdentifier
    cause: str


@dataclass(slots=True)
class BuildDynamic:
    """Compile what a dynamic task yielded and keep the result; answered by DynamicBuilt.

    Without `spec` it is read again, as is a result that is kept already. A result of another execution, at `source`, is
    copied.
    """

    node_id: str
    number: int
    spec: core.DynamicJobSpec | None = None
    source: str = ""


@dataclass(slots=True)
class LoadMany:
    """Read the outputs of finished elements, or offloaded inputs, by index or name; answered by ManyLoaded."""

    node_id: str
    number: int
    uris: Mapping[int, str] | Mapping[str, str]
    literals: bool = False


@dataclass(slots=True)
class RegisterSignal:
    """Make the signal that a gate waits for known to admin, where users set it; answered by SignalRegistered."""

    node_id: str
    number: int
    signal_id: str
    type: core.LiteralType


@dataclass(slots=True)
class ReadOriginal:
    """Read what is known of the execution that this one recovers; answered by OriginalRead."""

    node_id: str = ""


Command = (
    StartAttempt
    | StopAttempt
    | FinalizeAttempt
    | LoadData
    | WriteData
    | LookUpCache
    | ReserveCache
    | ReleaseCache
    | StoreCache
    | LoadMany
    | LaunchChild
    | AskChild
    | StopChild
    | BuildDynamic
    | RegisterSignal
    | ReadOriginal
)
