"""What is known of the execution that another one recovers: data, read once and handed to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from elevon_idl.core import v1 as core

from elevon_propeller.engine.phases import NodePhase


@dataclass(slots=True)
class OriginalNode:
    """What became of a node, or of an element of an array, in the original.

    `attempt` is its last one. Outputs are serialized, or `outputs_uri` says where they are. `graph_uri` is where the
    compiled workflow lies that a dynamic task has yielded, `child` the name of the execution that a launch-plan node
    has launched. `checkpoints` are where its attempts may have kept their progress, the latest first. `size` and
    `elements` are those of an array that has not succeeded; of elements only those that have begun are there.
    """

    phase: NodePhase
    attempt: int = 0
    outputs: bytes | None = None
    outputs_uri: str = ""
    deck_uri: str = ""
    cache_status: core.CatalogCacheStatus.ValueType = core.CACHE_DISABLED
    catalog: core.CatalogMetadata | None = None
    graph_uri: str = ""
    child: str = ""
    checkpoints: tuple[str, ...] = ()
    size: int = 0
    elements: dict[int, OriginalNode] = field(default_factory=dict)

    def literals(self) -> core.LiteralMap | None:
        """The outputs, when they are not in a file."""
        return None if self.outputs is None else core.LiteralMap.FromString(self.outputs)


@dataclass(frozen=True, slots=True)
class Original:
    """An execution as it was left: its nodes by unique id, and the values its signals had."""

    name: str
    nodes: Mapping[str, OriginalNode] = field(default_factory=dict)
    signals: Mapping[str, core.Literal] = field(default_factory=dict)
