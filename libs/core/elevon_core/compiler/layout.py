"""Laying out a compiled template: system nodes, canonical ids, and who refers to whom.

This is done on a copy, before anything is judged: the judging then finds every name final.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from elevon_idl.core import v1 as core

from elevon_core.compiler.findings import Code, Findings
from elevon_core.compiler.graph import END_NODE, START_NODE, Connections
from elevon_core.compiler.requirements import arms, inner_nodes

_SYSTEM_NODES = frozenset({START_NODE, END_NODE})


@dataclass(slots=True)
class Layout:
    """A workflow laid out: its nodes by id, its connections, and what must be known before what."""

    nodes: dict[str, core.Node] = field(default_factory=dict)
    connections: Connections = field(default_factory=Connections)
    consumers: dict[str, set[str]] = field(default_factory=dict)


def lay_out(template: core.WorkflowTemplate, compiled: core.WorkflowTemplate, findings: Findings) -> Layout | None:
    """Fills the compiled template from the given one; None if there is no node to lay out.

    Nodes that carry a system id and no target are those of a template compiled before: they are made anew, and the
    nodes within its branches keep the ids they were given then.
    """
    compiled.CopyFrom(template)
    compiled.interface.inputs.SetInParent()
    compiled.interface.outputs.SetInParent()
    seen_before = any(node.id == START_NODE and node.WhichOneof("target") is None for node in template.nodes)
    own = [node for node in template.nodes if not (node.id in _SYSTEM_NODES and node.WhichOneof("target") is None)]
    if not own:
        findings.add(Code.NO_NODES_FOUND, START_NODE, "a workflow has at least one node")
        return None
    del compiled.nodes[:]
    compiled.nodes.add(id=START_NODE)
    compiled.nodes.add(id=END_NODE, inputs=template.outputs)
    compiled.nodes.extend(own)
    return _Layouter(compiled, findings, rename=not seen_before).lay_out()


class _Layouter:
    def __init__(self, compiled: core.WorkflowTemplate, findings: Findings, *, rename: bool) -> None:
        self._compiled = compiled
        self._findings = findings
        self._rename = rename
        self._names = set(_SYSTEM_NODES)
        self._layout = Layout()

    def lay_out(self) -> Layout:
        own = self._compiled.nodes[2:]
        for node in own:
            if self._claim(node):
                self._layout.nodes[node.id] = node
        for node in own:
            self._lay_out_node(node)
        if self._compiled.HasField("failure_node"):
            self._claim(self._compiled.failure_node)
            self._lay_out_inner(self._compiled.failure_node, owner="")
        connections = self._layout.connections
        connections.attach(self._layout.nodes)
        for outputs in (self._compiled.outputs, self._compiled.nodes[1].inputs):
            for producer in self._known(_promised(outputs)):
                connections.connect(producer, END_NODE)
        for upstream, downstream in connections.downstream.items():
            self._layout.consumers.setdefault(upstream, set()).update(downstream)
        return self._layout

    def _claim(self, node: core.Node) -> bool:
        """Takes an id, which no two nodes of a workflow may share; those of the system are taken from the start."""
        if not node.id:
            self._findings.require("<node>", "Id")
            return False
        if node.id in self._names:
            self._findings.add(Code.DUPLICATE_ID, node.id, "another node of the workflow has the same id")
            return False
        self._names.add(node.id)
        return True

    def _lay_out_node(self, node: core.Node) -> None:
        for producer in self._producers(node):
            self._layout.connections.connect(producer, node.id)
        self._lay_out_arms(node, owner=node.id)

    def _lay_out_inner(self, node: core.Node, owner: str) -> None:
        for producer in self._producers(node):
            self._layout.connections.depend(node.id, producer)
            if owner:
                self._layout.consumers.setdefault(producer, set()).add(owner)
        self._lay_out_arms(node, owner)

    def _lay_out_arms(self, node: core.Node, owner: str) -> None:
        target = node.WhichOneof("target")
        if target == "branch_node":
            for arm in arms(node.branch_node.if_else):
                if self._rename and arm.id:
                    arm.id = f"{node.id}-{arm.id}"
                self._claim(arm)
                self._lay_out_inner(arm, owner)
        elif target == "array_node":
            # The element repeats the bindings of the array; neither it nor what it holds is a node of the graph.
            pending = inner_nodes(node)
            while pending:
                element = pending.pop()
                _promised(element.inputs)
                pending.extend(inner_nodes(element))

    def _producers(self, node: core.Node) -> set[str]:
        """The nodes that a node waits for: those it names and those it takes promises of."""
        named = sorted({upstream or START_NODE for upstream in node.upstream_node_ids})
        node.upstream_node_ids[:] = named
        for upstream in named:
            if upstream not in self._layout.nodes and upstream != START_NODE:
                text = f"upstream node [{upstream}] not found"
                self._findings.add(Code.NODE_REFERENCE_NOT_FOUND, node.id, text)
        return self._known([*named, *_promised(node.inputs)])

    def _known(self, producers: Iterable[str]) -> set[str]:
        return {each for each in producers if each in self._layout.nodes or each == START_NODE}


def _promised(bindings: Iterable[core.Binding]) -> set[str]:
    """The producers that bindings name; a promise that names none is one of the start node, and is made to say so."""
    found: set[str] = set()
    pending = [binding.binding for binding in bindings if binding.HasField("binding")]
    while pending:
        data = pending.pop()
        kind = data.WhichOneof("value")
        if kind == "promise":
            if not data.promise.node_id:
                data.promise.node_id = START_NODE
            found.add(data.promise.node_id)
        elif kind == "collection":
            pending.extend(data.collection.bindings)
        elif kind == "map":
            pending.extend(data.map.bindings.values())
    return found
