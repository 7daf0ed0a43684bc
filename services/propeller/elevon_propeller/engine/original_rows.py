"""An original from its rows, as the engine itself has stored them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from elevon_core import naming
from elevon_idl.core import v1 as core

from elevon_propeller.engine import array_chunks, array_state, children, paths
from elevon_propeller.engine.array_chunks import ElementRecord
from elevon_propeller.engine.originals import Original, OriginalNode
from elevon_propeller.engine.phases import SUCCESSFUL, NodePhase
from elevon_propeller.engine.records import ChunkRow, NodeRow
from elevon_propeller.engine.state import BUILT


def of_rows(
    execution: core.WorkflowExecutionIdentifier,
    rows: Iterable[NodeRow],
    chunks: Iterable[ChunkRow],
    signals: Mapping[str, core.Literal],
    raw_output_prefix: str,
) -> Original:
    """What the rows of an execution and of its arrays tell of it."""
    by_array: dict[str, list[ChunkRow]] = {}
    for chunk in chunks:
        by_array.setdefault(chunk["node_id"], []).append(chunk)
    reader = _Reader(execution, raw_output_prefix)
    nodes = {row["node_id"]: reader.node(row, by_array.get(row["node_id"], [])) for row in rows}
    return Original(execution.name, nodes, signals)


@dataclass(frozen=True, slots=True)
class _Reader:
    execution: core.WorkflowExecutionIdentifier
    raw_output_prefix: str

    def node(self, row: NodeRow, chunks: Iterable[ChunkRow]) -> OriginalNode:
        phase, detail, number = NodePhase(row["phase"]), row["detail"], row["attempt"]
        node = OriginalNode(
            phase=phase,
            attempt=number,
            outputs=row["outputs"],
            outputs_uri=row["outputs_uri"],
            deck_uri=row["deck_uri"],
            cache_status=core.CatalogCacheStatus.ValueType(row["cache_status"]),
            catalog=core.CatalogMetadata.FromString(row["catalog"]) if row["catalog"] is not None else None,
            graph_uri=detail[len(BUILT) :].decode() if detail.startswith(BUILT) else "",
            child=children.told_child(detail),
        )
        if row["attempt_at"] and not node.child:
            node.child = self._child(row["node_id"], number)
        if phase in SUCCESSFUL:
            return node
        if row["attempt_at"] or number:
            node.checkpoints = self._checkpoints(row["node_id"], number, detail)
        found = list(chunks)
        if found and detail:
            node.size = array_state.described_size(detail)
            self._add_elements(node, f"{row['node_id']}-{number}-n", found)
        return node

    def _add_elements(self, node: OriginalNode, prefix: str, chunks: Iterable[ChunkRow]) -> None:
        for chunk in chunks:
            first = chunk["number"] * array_state.CHUNK
            for index, record in enumerate(array_chunks.unpack(chunk["data"]), first):
                if record.phase != NodePhase.WAITING:
                    node.elements[index] = self._element(f"{prefix}{index}", record)

    def _element(self, element_id: str, record: ElementRecord) -> OriginalNode:
        element = OriginalNode(
            NodePhase(record.phase),
            record.attempt,
            record.outputs,
            record.uri,
            cache_status=core.CatalogCacheStatus.ValueType(record.cache_status),
        )
        if element.phase not in SUCCESSFUL:
            element.child = children.told_child(record.detail) or self._child(element_id, record.attempt)
            element.checkpoints = self._checkpoints(element_id, record.attempt, record.detail)
        return element

    def _child(self, node_id: str, number: int) -> str:
        return naming.child_execution_name(self.execution.name, node_id, number)

    def _checkpoints(self, node_id: str, last: int, detail: bytes) -> tuple[str, ...]:
        """Those of all attempts, the latest first, then those that it has gone on from itself."""
        project, domain, name = self.execution.project, self.execution.domain, self.execution.name
        names = (naming.attempt_name(project, domain, name, node_id, number) for number in reversed(range(last + 1)))
        own = tuple(paths.checkpoint_uri(self.raw_output_prefix, each) for each in names)
        return own + paths.inherited_checkpoints(detail)
