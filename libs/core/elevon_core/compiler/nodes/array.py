"""Array nodes run one node for every element of their inputs, and yield lists."""

from __future__ import annotations

from collections.abc import Callable

from elevon_idl.core import v1 as core

from elevon_core import types
from elevon_core.compiler.bindings import Scope
from elevon_core.compiler.library import NodeInterface, Types

_NONE = core.LiteralType(simple=core.NONE)


def interface(
    node: core.Node, scope: Scope, interface_of: Callable[[core.Node, Scope], NodeInterface | None]
) -> NodeInterface | None:
    """The interface of the element's node.

    The tasks of map nodes take and yield lists already. Where the client says that the interface is the element's own,
    as for launch plans and tasks registered elsewhere, inputs that are not bound whole, and outputs, become lists.
    """
    array = node.array_node
    if not array.HasField("node"):
        scope.findings.require(node.id, "ArrayNode.Node")
        return None
    element = interface_of(array.node, scope)
    if element is None or not array.is_original_sub_node_interface.value:
        return element
    whole = frozenset(array.bound_inputs)
    inputs = {name: found if name in whole else _list_of(found) for name, found in element.inputs.items()}
    return NodeInterface(inputs, _lists_of_results(array, element.outputs), element.optional, element.inferred)


def _lists_of_results(array: core.ArrayNode, outputs: Types) -> Types:
    """Lists of what elements yield, with none for those that may fail."""
    may_fail = array.WhichOneof("success_criteria") == "min_success_ratio" and array.min_success_ratio < 1
    return {name: _list_of(_or_none(found) if may_fail else found) for name, found in outputs.items()}


def _list_of(element: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(collection_type=element)


def _or_none(found: core.LiteralType) -> core.LiteralType:
    if types.is_optional(found):
        return found
    return core.LiteralType(union_type=core.UnionType(variants=[found, _NONE]))
