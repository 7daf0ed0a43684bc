"""Typed interfaces: what of them counts, and whether values meet them."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_core.errors import InvalidArgument
from elevon_core.literals import literal_type
from elevon_core.types import castable, describe, is_optional

# An annotation with this key was made to take part in cache keys.
_KEPT_ANNOTATION = "cache-key-metadata"


def stripped(interface: core.TypedInterface) -> core.TypedInterface:
    """A copy without what does not change the meaning of values: descriptions, type metadata, annotations.

    The structure of types (tags, fields of data classes) stays, and so does an annotation meant for cache keys.
    """
    result = core.TypedInterface()
    result.CopyFrom(interface)
    for variables in (result.inputs.variables, result.outputs.variables):
        for name in variables:
            variable = variables[name]
            variable.ClearField("description")
            if variable.HasField("type"):
                _strip(variable.type)
    return result


def known_type(name: str, literal: core.Literal) -> core.LiteralType:
    """The type of the literal; InvalidArgument, naming it, if it has none."""
    try:
        return literal_type(literal)
    except InvalidArgument as error:
        raise InvalidArgument(f"Failed to validate literal type for [{name}] with err: {error.message}") from None


def check_type(name: str, literal: core.Literal, expected: core.LiteralType) -> None:
    """InvalidArgument unless the literal has a known type that may flow into the expected one."""
    given = known_type(name, literal)
    if not castable(given, expected):
        message = f"invalid {name} input wrong type. Expected {describe(expected)}, but got {describe(given)}"
        raise InvalidArgument(message)


def check_literals(values: core.LiteralMap, variables: core.VariableMap, field: str) -> None:
    """InvalidArgument unless there is a value of the right type for each variable, and no other value.

    Variables of an optional type may be left out. The error tells every offending name, each with its rule.
    """
    findings = [f"unexpected {name}" for name in sorted(values.literals) if name not in variables.variables]
    for name in sorted(variables.variables):
        expected = variables.variables[name].type
        if name in values.literals:
            findings.extend(_mismatch(name, values.literals[name], expected))
        elif not is_optional(expected):
            findings.append(f"missing {name}: a value of type {describe(expected)} is required")
    if findings:
        raise InvalidArgument(f"invalid {field}: {'; '.join(findings)}")


def _mismatch(name: str, literal: core.Literal, expected: core.LiteralType) -> list[str]:
    try:
        given = literal_type(literal)
    except InvalidArgument as error:
        return [f"{name}: {error.message}"]
    if castable(given, expected):
        return []
    return [f"{name}: expected {describe(expected)}, but got {describe(given)}"]


def _strip(literal_type: core.LiteralType) -> None:
    literal_type.ClearField("metadata")
    if _KEPT_ANNOTATION not in literal_type.annotation.annotations.fields:
        literal_type.ClearField("annotation")
    kind = literal_type.WhichOneof("type")
    if kind == "collection_type":
        _strip(literal_type.collection_type)
    elif kind == "map_value_type":
        _strip(literal_type.map_value_type)
    elif kind == "union_type":
        for variant in literal_type.union_type.variants:
            _strip(variant)
    elif kind == "structured_dataset_type":
        for column in literal_type.structured_dataset_type.columns:
            _strip(column.literal_type)
