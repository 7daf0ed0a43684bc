"""Bindings: whether what flows into a node is there, and of a type that the node takes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Final

from elevon_idl.core import v1 as core

from elevon_core import literals, types
from elevon_core.compiler.findings import Code, Findings
from elevon_core.compiler.library import Library, NodeInterface, Types
from elevon_core.errors import InvalidArgument

# One word, or one element of a list: `o0`, `[2].o0`.
_VARIABLE: Final = re.compile(r"(?:\[(?P<index>[0-9]+)\]\.)?(?P<name>\w+)")

_NONE: Final = core.LiteralType(simple=core.NONE)


class Scope:
    """What the nodes of one workflow see: the entities they may refer to, and the outputs of the nodes before them.

    Outputs that are not known, for want of a reference or in a cycle, are None: what depends on them is not judged, as
    the reason has been found already.
    """

    def __init__(self, library: Library, findings: Findings) -> None:
        self.library = library
        self.findings = findings
        self.outputs: dict[str, Types | None] = {}
        self._verdicts: dict[tuple[int, int], tuple[core.LiteralType, core.LiteralType, bool]] = {}

    def castable(self, upstream: core.LiteralType, downstream: core.LiteralType) -> bool:
        """`types.castable`, remembered: thousands of nodes share the types of one task."""
        key = (id(upstream), id(downstream))
        known = self._verdicts.get(key)
        if known is None:
            # The messages are kept with the verdict, so that their ids are not given to others.
            known = upstream, downstream, types.castable(upstream, downstream)
            self._verdicts[key] = known
        return known[2]


def check_bindings(node_id: str, bindings: Iterable[core.Binding], expected: NodeInterface, scope: Scope) -> None:
    """Checks the bindings of a node against its inputs, and that every input is bound that has to be."""
    bound: set[str] = set()
    for binding in bindings:
        if not _is_first(binding, node_id, bound, scope.findings):
            continue
        wanted = expected.inputs.get(binding.var)
        if wanted is None:
            text = f"variable [{binding.var}] is not an input of the node"
            scope.findings.add(Code.VARIABLE_NAME_NOT_FOUND, node_id, text)
        elif not binding.HasField("binding"):
            scope.findings.require(node_id, "Binding")
        else:
            BoundData(node_id, binding.var, scope, scope.findings).check(binding.binding, wanted)
    for name in sorted(expected.inputs.keys() - bound):
        if name not in expected.optional and not types.is_optional(expected.inputs[name]):
            scope.findings.add(Code.PARAMETER_NOT_BOUND, node_id, f"input [{name}] is not bound")


def infer_inputs(node: core.Node, scope: Scope) -> dict[str, core.LiteralType | None]:
    """The types that flow into a node whose inputs are what is bound to it; None where a type is not known."""
    bound: set[str] = set()
    found: dict[str, core.LiteralType | None] = {}
    for binding in node.inputs:
        if not _is_first(binding, node.id, bound, scope.findings):
            continue
        if not binding.HasField("binding"):
            scope.findings.require(node.id, "Binding")
            found[binding.var] = None
        else:
            found[binding.var] = BoundData(node.id, binding.var, scope, scope.findings).infer(binding.binding)
    return found


def _is_first(binding: core.Binding, node_id: str, bound: set[str], findings: Findings) -> bool:
    if binding.var in bound:
        findings.add(Code.PARAMETER_BOUND_MORE_THAN_ONCE, node_id, f"input [{binding.var}] is bound more than once")
        return False
    bound.add(binding.var)
    return True


@functools.lru_cache(maxsize=4096)
def _parse_variable(text: str) -> tuple[str, bool] | None:
    match = _VARIABLE.fullmatch(text)
    return None if match is None else (match["name"], match["index"] is not None)


@functools.cache
def _simple(kind: core.SimpleType.ValueType) -> core.LiteralType:
    return core.LiteralType(simple=kind)


def scalar_type(scalar: core.Scalar) -> core.LiteralType | None:
    """The type of a constant; None if it holds nothing that has a type."""
    try:
        found = literals.literal_type(core.Literal(scalar=scalar))
    except InvalidArgument:
        return None
    # One message for all constants of a simple type, so that verdicts on them are remembered.
    is_plain = found.WhichOneof("type") == "simple" and not found.HasField("structure")
    return _simple(found.simple) if is_plain else found


class BoundData:
    """The data bound to one input of one node."""

    def __init__(self, node_id: str, variable: str, scope: Scope, findings: Findings) -> None:
        self._node_id = node_id
        self._variable = variable
        self._scope = scope
        self._findings = findings

    def check(self, data: core.BindingData, wanted: core.LiteralType) -> None:
        """Notes why the data does not fit the type, if it does not."""
        kind = data.WhichOneof("value")
        if kind == "promise":
            self._check_cast(self._promised(data.promise), wanted)
        elif kind == "scalar":
            self._check_scalar(data.scalar, wanted)
        elif kind in ("collection", "map"):
            self._check_container(data, wanted)
        elif kind == "offloaded_metadata":
            self._check_cast(data.offloaded_metadata.inferred_type, wanted)
        else:
            self._mismatching_bindings(wanted, "nothing")

    def infer(self, data: core.BindingData) -> core.LiteralType | None:
        """The type of the data by itself; None if it is not known."""
        kind = data.WhichOneof("value")
        if kind == "promise":
            return self._promised(data.promise)
        if kind == "scalar":
            return self._scalar(data.scalar)
        if kind == "collection":
            element = self._infer_elements(data.collection.bindings)
            return None if element is None else core.LiteralType(collection_type=element)
        if kind == "map":
            element = self._infer_elements(_values(data.map.bindings))
            return None if element is None else core.LiteralType(map_value_type=element)
        if kind == "offloaded_metadata":
            return data.offloaded_metadata.inferred_type
        self._add(Code.MISMATCHING_BINDINGS, "nothing is bound")
        return None

    def _infer_elements(self, elements: Iterable[core.BindingData]) -> core.LiteralType | None:
        found = [self.infer(element) for element in elements]
        known = types.distinct(each for each in found if each is not None)
        if len(known) == 1 and None not in found:
            return known[0]
        if None in found:
            return None
        return core.LiteralType(union_type=core.UnionType(variants=known)) if known else _NONE

    def _check_cast(self, given: core.LiteralType | None, wanted: core.LiteralType) -> None:
        if given is not None and not self._scope.castable(given, wanted):
            text = f"a value of type [{types.describe(given)}] does not fit type [{types.describe(wanted)}]"
            self._add(Code.MISMATCHING_TYPES, text)

    def _check_scalar(self, scalar: core.Scalar, wanted: core.LiteralType) -> None:
        given = self._scalar(scalar)
        if given is None:
            return
        if not self._scope.castable(given, wanted):
            self._check_cast(given, wanted)
        elif wanted.WhichOneof("type") == "enum_type":
            value = scalar.primitive.string_value
            if scalar.WhichOneof("value") == "primitive" and value not in wanted.enum_type.values:
                text = f"value {value!r} is not one of {', '.join(map(repr, wanted.enum_type.values))}"
                self._add(Code.ILLEGAL_ENUM_VALUE, text)

    def _scalar(self, scalar: core.Scalar) -> core.LiteralType | None:
        found = scalar_type(scalar)
        if found is None:
            self._add(
                Code.UNRECOGNIZED_VALUE, f"a constant of an unknown kind: {scalar.WhichOneof('value') or 'empty'}"
            )
        return found

    def _check_container(self, data: core.BindingData, wanted: core.LiteralType) -> None:
        """A list or map fits element by element, or as exactly one variant of a union."""
        given, expected = data.WhichOneof("value"), wanted.WhichOneof("type")
        if given == "collection" and expected == "collection_type":
            for element in data.collection.bindings:
                self.check(element, wanted.collection_type)
        elif given == "map" and expected == "map_value_type":
            for element in _values(data.map.bindings):
                self.check(element, wanted.map_value_type)
        elif expected == "union_type":
            self._check_variants(data, wanted)
        else:
            self._mismatching_bindings(wanted, "a list" if given == "collection" else "a map")

    def _check_variants(self, data: core.BindingData, wanted: core.LiteralType) -> None:
        if self.infer(data) is None:
            return
        accepting = [variant for variant in wanted.union_type.variants if self._accepts(data, variant)]
        if not accepting:
            text = f"the value fits no variant of [{types.describe(wanted)}]"
            self._add(Code.INCOMPATIBLE_BINDING_UNION_VALUE, text)
        elif len(accepting) > 1 and accepting.count(data.union.targetType) != 1:
            names = " and ".join(types.describe(variant) for variant in accepting)
            text = f"the value fits several variants of [{types.describe(wanted)}]: {names}"
            self._add(Code.AMBIGUOUS_BINDING_UNION_VALUE, text)

    def _accepts(self, data: core.BindingData, variant: core.LiteralType) -> bool:
        trial = Findings()
        BoundData(self._node_id, self._variable, self._scope, trial).check(data, variant)
        return not len(trial)

    def _promised(self, promise: core.OutputReference) -> core.LiteralType | None:
        """The type of an output of another node, or of what an attribute path leads to within it."""
        if promise.node_id not in self._scope.outputs:
            self._add(Code.NODE_REFERENCE_NOT_FOUND, f"node [{promise.node_id}] not found")
            return None
        outputs = self._scope.outputs[promise.node_id]
        parsed = _parse_variable(promise.var)
        if parsed is None:
            self._add(Code.SYNTAX_ERROR, f"output {promise.var!r} must be a word, or [index].word")
            return None
        if outputs is None:
            return None
        name, is_element = parsed
        found = outputs.get(name)
        if found is None:
            text = f"variable [{name}] is not an output of node [{promise.node_id}]"
            self._add(Code.VARIABLE_NAME_NOT_FOUND, text)
            self._add(Code.PARAMETER_NOT_BOUND, f"not bound, as {text}")
            return None
        return self._descend(self._element(found, promise) if is_element else found, promise)

    def _element(self, found: core.LiteralType, promise: core.OutputReference) -> core.LiteralType | None:
        if found.WhichOneof("type") == "collection_type":
            return found.collection_type
        text = f"[{promise.var}] of node [{promise.node_id}] takes an element of [{types.describe(found)}]"
        self._add(Code.MISMATCHING_TYPES, text)
        return None

    def _descend(self, found: core.LiteralType | None, promise: core.OutputReference) -> core.LiteralType | None:
        """Follows an attribute path; where the type tells nothing of what is within, it stays as it is.

        What is optional is taken to be there: whether it is shows when the path is followed through the value. SDKs
        leave out what is within an optional dataclass; nothing is said of that.
        """
        for depth, step in enumerate(promise.attr_path):
            if found is None:
                return None
            found = _present(found)
            kind = found.WhichOneof("type")
            if kind == "collection_type":
                found = found.collection_type
            elif kind == "map_value_type":
                found = found.map_value_type
            elif found.structure.dataclass_type:
                found = self._field(found, step, promise)
            elif depth and kind == "simple" and found.simple == core.STRUCT:
                return None
        return found

    def _field(
        self, found: core.LiteralType, step: core.PromiseAttribute, promise: core.OutputReference
    ) -> core.LiteralType | None:
        name = step.string_value if step.WhichOneof("value") == "string_value" else str(step.int_value)
        # Reading a missing key of a message map would make it: hence the look before.
        if name in found.structure.dataclass_type:
            return found.structure.dataclass_type[name]
        text = f"[{promise.var}] of node [{promise.node_id}] has no field [{name}]"
        self._add(Code.FIELD_NOT_FOUND, text)
        return None

    def _mismatching_bindings(self, wanted: core.LiteralType, given: str) -> None:
        self._add(Code.MISMATCHING_BINDINGS, f"{given} is bound where [{types.describe(wanted)}] is expected")

    def _add(self, code: Code, text: str) -> None:
        self._findings.add(code, self._node_id, f"input [{self._variable}]: {text}")


def _present(found: core.LiteralType) -> core.LiteralType:
    """What an optional type is when it is not none; any other type itself."""
    variants = [variant for variant in found.union_type.variants if not types.is_none_type(variant)]
    return variants[0] if len(variants) == 1 else found


def _values(bindings: Mapping[str, core.BindingData]) -> list[core.BindingData]:
    """The values of a map in the order of their keys, so that findings come in one order."""
    return [bindings[key] for key in sorted(bindings)]
