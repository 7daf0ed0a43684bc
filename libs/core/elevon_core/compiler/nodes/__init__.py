"""Nodes: how each kind takes and yields, one module per kind, and what holds for every node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from elevon_idl.core import v1 as core

from elevon_core.compiler.bindings import Scope, check_bindings, infer_inputs
from elevon_core.compiler.findings import Code
from elevon_core.compiler.library import NodeInterface, Types
from elevon_core.compiler.nodes import array, branch, gate, task, workflow
from elevon_core.compiler.task import check_retries

_INTERFACES: Final[dict[str, Callable[[core.Node, Scope], NodeInterface | None]]] = {
    "task_node": task.interface,
    "workflow_node": workflow.interface,
    "gate_node": gate.interface,
}


def check_node(node: core.Node, scope: Scope) -> Types | None:
    """Checks a node with its bindings, aliases and what it holds; returns its outputs, None if they are not known."""
    check_retries(node.metadata.retries, node.id, "metadata.retries.retries", scope.findings)
    interface = interface_of(node, scope)
    if interface is None:
        # What the node takes is not known, but promises of nodes that do not exist are wrong all the same.
        infer_inputs(node, scope)
        return None
    if not interface.inferred:
        check_bindings(node.id, node.inputs, interface, scope)
    if not node.output_aliases:
        return interface.outputs
    return _with_aliases(node.id, node.output_aliases, interface.outputs, scope)


def interface_of(node: core.Node, scope: Scope) -> NodeInterface | None:
    """What a node takes and yields, by its kind; None if that is not known, the reason having been noted."""
    target = node.WhichOneof("target")
    if target == "branch_node":
        return branch.interface(node, scope, check_node)
    if target == "array_node":
        return array.interface(node, scope, interface_of)
    if target is None:
        scope.findings.require(node.id, "Target")
        return None
    return _INTERFACES[target](node, scope)


def _with_aliases(node_id: str, aliases: Iterable[core.Alias], outputs: Types, scope: Scope) -> Types:
    """Outputs under their own names and their other ones."""
    named = dict(outputs)
    seen: set[str] = set()
    for alias in aliases:
        if alias.alias in seen:
            scope.findings.add(Code.DUPLICATE_ALIAS, node_id, f"alias [{alias.alias}] is given twice")
        elif alias.var not in outputs:
            text = f"alias [{alias.alias}] stands for [{alias.var}], which is not an output of the node"
            scope.findings.add(Code.PARAMETER_NOT_BOUND, node_id, text)
        else:
            named[alias.alias] = outputs[alias.var]
        seen.add(alias.alias)
    return named
