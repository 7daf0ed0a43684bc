"""Elements of array nodes as calls of a task: what goes into one, what types it has, where its outputs are kept."""

from __future__ import annotations

from collections.abc import Collection

from elevon_idl.core import v1 as core

from elevon_core.hashing import dataset_of


class Items:
    """The inputs of single elements: an item of each list that is not bound, everything else whole."""

    __slots__ = ("_lists", "_whole")

    def __init__(self, inputs: core.LiteralMap, bound: Collection[str]) -> None:
        lists = list_names(inputs, bound)
        self._lists = [(name, inputs.literals[name].collection.literals) for name in sorted(lists)]
        self._whole = core.LiteralMap(
            literals={name: literal for name, literal in inputs.literals.items() if name not in lists}
        )

    def of(self, index: int) -> core.LiteralMap:
        """The inputs of one element."""
        result = core.LiteralMap(literals={name: items[index] for name, items in self._lists})
        if self._whole.literals:
            result.MergeFrom(self._whole)
        return result


def list_names(inputs: core.LiteralMap, bound: Collection[str]) -> set[str]:
    """The inputs of which every element gets an item."""
    return {name for name, literal in inputs.literals.items() if name not in bound and literal.HasField("collection")}


def offloaded(inputs: core.LiteralMap) -> dict[str, str]:
    """The inputs that are kept in files of their own, with their URIs."""
    return {
        name: literal.offloaded_metadata.uri
        for name, literal in inputs.literals.items()
        if literal.HasField("offloaded_metadata")
    }


def element_interface(
    interface: core.TypedInterface, array: core.ArrayNode, *, inputs_too: bool
) -> core.TypedInterface:
    """The interface one element has: list types of outputs, and of inputs if asked for, become those of their elements.

    Nothing changes when the node says that its task has the interface of one element already.
    """
    if array.is_original_sub_node_interface.value:
        return interface
    result = core.TypedInterface()
    result.CopyFrom(interface)
    for variable in result.outputs.variables.values():
        _unwrap(variable)
    for name in result.inputs.variables if inputs_too else ():
        if name not in array.bound_inputs:
            _unwrap(result.inputs.variables[name])
    return result


def element_dataset(template: core.TaskTemplate, array: core.ArrayNode) -> core.Identifier | None:
    """Where the outputs of an array's elements are kept: its key has lists as inputs and single values as outputs.

    None when they are not cached.
    """
    keyed = element_interface(template.interface, array, inputs_too=False)
    return dataset_of(template, keyed, array.node.metadata)


def _unwrap(variable: core.Variable) -> None:
    if variable.type.HasField("collection_type"):
        element = core.LiteralType()
        element.CopyFrom(variable.type.collection_type)
        variable.type.CopyFrom(element)
