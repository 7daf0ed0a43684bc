"""What is special about the node that runs when a graph has failed."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine.state import NodeState

ERROR_INPUT = "err"


def with_error(node: NodeState, inputs: core.LiteralMap) -> core.LiteralMap:
    """The failure node's inputs; one named `err` becomes the error, with the id of the node that failed."""
    error = node.scope.error
    if error is None or not _wants_error(node):
        return inputs
    value = core.Literal(
        scalar=core.Scalar(error=core.Error(message=error.message, failed_node_id=node.scope.error_node))
    )
    kind = core.LiteralType(simple=core.SimpleType.ERROR, structure=core.TypeStructure(tag="FlyteError"))
    union = core.Literal(scalar=core.Scalar(union=core.Union(value=value, type=kind)))
    inputs.literals[ERROR_INPUT].CopyFrom(union)
    return inputs


def _wants_error(node: NodeState) -> bool:
    if any(binding.var == ERROR_INPUT for binding in node.plan.bindings):
        return True
    return node.plan.task is not None and ERROR_INPUT in node.plan.task.template.interface.inputs.variables
