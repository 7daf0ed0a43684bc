"""Values of arrays: how many elements the inputs make, and the outputs of all as lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from elevon_core import literals
from elevon_core.arrays import list_names
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core


def size_of(inputs: core.LiteralMap, bound: Collection[str]) -> int:
    """How many elements there are: the common length of the lists that are not bound.

    Raises InvalidArgument when lists differ in length, or when there is none though some input is not bound.
    """
    lengths = {name: len(inputs.literals[name].collection.literals) for name in list_names(inputs, bound)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in sorted(lengths.items()))
        raise InvalidArgument(f"input arrays have different lengths: {told}")
    if lengths:
        return next(iter(lengths.values()))
    if inputs.literals and all(name in bound for name in inputs.literals):
        return 1
    raise InvalidArgument("no input array provided")


def collected(names: Iterable[str], size: int, outputs: Mapping[int, core.LiteralMap]) -> core.LiteralMap:
    """A list for each output, in the order of the elements; none stands where an element has no value."""
    nothing = literals.none_literal()
    result = core.LiteralMap()
    for name in names:
        values = result.literals[name].collection.literals
        result.literals[name].collection.SetInParent()
        for index in range(size):
            found = outputs.get(index)
            values.append(found.literals[name] if found is not None and name in found.literals else nothing)
    return result
