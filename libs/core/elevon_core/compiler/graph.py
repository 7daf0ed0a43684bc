"""The graph of one workflow: connections for the engine, order and cycles for the compiler.

Everything is linear in nodes and edges, and nothing recurses: chains of many thousand nodes are ordinary.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from elevon_idl.core import v1 as core

START_NODE: Final = "start-node"
END_NODE: Final = "end-node"

_LONGEST_PATH: Final = 100


class Connections:
    """Who waits for whom, in both directions.

    Nodes within a branch, and the failure node, have upstream entries only: the engine reaches them by other ways than
    the walk from the start node.
    """

    def __init__(self) -> None:
        self.upstream: defaultdict[str, set[str]] = defaultdict(set)
        self.downstream: defaultdict[str, set[str]] = defaultdict(set)

    def connect(self, upstream: str, downstream: str) -> None:
        """Adds an edge in both directions."""
        self.upstream[downstream].add(upstream)
        self.downstream[upstream].add(downstream)

    def depend(self, downstream: str, upstream: str) -> None:
        """Adds an edge that only the waiting node knows."""
        self.upstream[downstream].add(upstream)

    def attach(self, node_ids: Iterable[str]) -> None:
        """Ties nodes that wait for nothing to the start node, and nodes that nothing waits for to the end node."""
        for node_id in node_ids:
            if node_id not in self.upstream:
                self.connect(START_NODE, node_id)
            if node_id not in self.downstream:
                self.connect(node_id, END_NODE)

    def write(self, target: core.ConnectionSet) -> None:
        """Fills the message, every list sorted."""
        for node_id in sorted(self.upstream):
            target.upstream[node_id].ids.extend(sorted(self.upstream[node_id]))
        for node_id in sorted(self.downstream):
            target.downstream[node_id].ids.extend(sorted(self.downstream[node_id]))


@dataclass(frozen=True, slots=True)
class Traversal:
    """A walk over a graph.

    `order` holds every node once, producers before consumers wherever there is no cycle; `unreachable` the nodes that
    no path leads to from the first root; `cycles` closed paths, the first node repeated at the end, of which no two
    share a node: a cycle that shares one with another may go unnamed until that is mended.
    """

    order: tuple[str, ...]
    unreachable: tuple[str, ...]
    cycles: tuple[tuple[str, ...], ...]


def traverse(start: str, nodes: Iterable[str], downstream: Mapping[str, Iterable[str]]) -> Traversal:
    """Walks depth first from the start, then from every node not yet seen, in the order of their ids."""
    walk = _Walk(downstream)
    walk.visit(start)
    reached = len(walk.finished)
    for node in sorted(nodes):
        walk.visit(node)
    return Traversal(tuple(reversed(walk.finished)), tuple(sorted(walk.finished[reached:])), tuple(walk.cycles))


def written(path: Iterable[str]) -> str:
    """A path as people read it; the middle of a path of more than 100 nodes is left out."""
    steps = list(path)
    if len(steps) > _LONGEST_PATH:
        half = _LONGEST_PATH // 2
        steps = [*steps[:half], f"… {len(steps) - 2 * half} more …", *steps[-half:]]
    return " > ".join(steps)


class _Walk:
    """Depth-first search with three colours: unseen, in progress (in `_position`), finished (in `_done`)."""

    def __init__(self, downstream: Mapping[str, Iterable[str]]) -> None:
        self._downstream = downstream
        self._position: dict[str, int] = {}
        self._done: set[str] = set()
        self._path: list[str] = []
        self._named: list[tuple[int, int]] = []
        self.finished: list[str] = []
        self.cycles: list[tuple[str, ...]] = []

    def visit(self, root: str) -> None:
        if root in self._done:
            return
        pending = [self._enter(root)]
        while pending:
            node = next(pending[-1], None)
            if node is None:
                pending.pop()
                self._leave()
            elif node in self._position:
                self._close(self._position[node])
            elif node not in self._done:
                pending.append(self._enter(node))

    def _enter(self, node: str) -> Iterator[str]:
        self._position[node] = len(self._path)
        self._path.append(node)
        return iter(sorted(self._downstream.get(node, ())))

    def _leave(self) -> None:
        node = self._path.pop()
        del self._position[node]
        self._done.add(node)
        self.finished.append(node)
        while self._named and self._named[-1][0] >= len(self._path):
            self._named.pop()

    def _close(self, first: int) -> None:
        """Names the cycle that a back edge closes, unless a cycle named before shares a node with it."""
        last = len(self._path) - 1
        if self._named and first <= min(self._named[-1][1], last):
            return
        self._named.append((first, last))
        self.cycles.append((*self._path[first:], self._path[first]))
