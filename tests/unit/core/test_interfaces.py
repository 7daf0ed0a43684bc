"""Interfaces: what is stripped before hashing, and whether values meet them."""

from __future__ import annotations

import pytest
from elevon_core import interfaces, literals
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from hypothesis import given
from hypothesis import strategies as st

_INT = core.LiteralType(simple=core.INTEGER)
_OPTIONAL = core.LiteralType(
    union_type=core.UnionType(variants=[core.LiteralType(simple=core.STRING), core.LiteralType(simple=core.NONE)])
)
_VARIABLES = core.VariableMap(variables={"a": core.Variable(type=_INT), "b": core.Variable(type=_OPTIONAL)})


def _decorated(annotation: str) -> core.LiteralType:
    literal_type = core.LiteralType(simple=core.STRUCT, structure=core.TypeStructure(tag="T"))
    literal_type.metadata.update({"title": "T"})
    literal_type.annotation.annotations.update({annotation: "x"})
    return literal_type


def _interface(literal_type: core.LiteralType) -> core.TypedInterface:
    variable = core.Variable(type=literal_type, description="about", artifact_tag=core.ArtifactTag())
    return core.TypedInterface(
        inputs=core.VariableMap(variables={"i": variable}), outputs=core.VariableMap(variables={"o": variable})
    )


def _nested(inner: core.LiteralType) -> core.LiteralType:
    column = core.StructuredDatasetType.DatasetColumn(name="c", literal_type=inner)
    return core.LiteralType(
        collection_type=core.LiteralType(
            map_value_type=core.LiteralType(
                union_type=core.UnionType(
                    variants=[
                        core.LiteralType(structured_dataset_type=core.StructuredDatasetType(columns=[column])),
                        inner,
                    ]
                )
            )
        )
    )


def test_stripped_removes_decoration_everywhere() -> None:
    plain = core.LiteralType(simple=core.STRUCT, structure=core.TypeStructure(tag="T"))
    found = interfaces.stripped(_interface(_nested(_decorated("note"))))
    for variable in (found.inputs.variables["i"], found.outputs.variables["o"]):
        assert variable == core.Variable(type=_nested(plain), artifact_tag=core.ArtifactTag())


def test_stripped_keeps_annotations_made_for_cache_keys() -> None:
    found = interfaces.stripped(_interface(_decorated("cache-key-metadata"))).inputs.variables["i"].type
    assert "cache-key-metadata" in found.annotation.annotations
    assert not found.HasField("metadata")


@given(st.from_type(core.LiteralType))
def test_stripped_copies_and_is_stable(literal_type: core.LiteralType) -> None:
    interface = _interface(literal_type)
    before = interface.SerializeToString(deterministic=True)
    once = interfaces.stripped(interface)
    assert interface.SerializeToString(deterministic=True) == before
    assert interfaces.stripped(once) == once


def test_stripped_keeps_absence() -> None:
    assert not interfaces.stripped(core.TypedInterface()).ByteSize()
    untyped = core.TypedInterface(inputs=core.VariableMap(variables={"a": core.Variable()}))
    assert not interfaces.stripped(untyped).inputs.variables["a"].HasField("type")


def test_values_that_meet_their_variables() -> None:
    interfaces.check_literals(core.LiteralMap(literals={"a": literals.integer(1)}), _VARIABLES, "outputs")
    both = {"a": literals.integer(1), "b": literals.string("x")}
    interfaces.check_literals(core.LiteralMap(literals=both), _VARIABLES, "outputs")


def test_values_that_do_not_are_all_told() -> None:
    wrong = {"b": literals.integer(1), "c": core.Literal(), "d": literals.integer(1)}
    variables = core.VariableMap(variables={**_VARIABLES.variables, "c": core.Variable(type=_INT)})
    with pytest.raises(InvalidArgument) as caught:
        interfaces.check_literals(core.LiteralMap(literals=wrong), variables, "outputs")
    assert caught.value.message == (
        "invalid outputs: unexpected d; missing a: a value of type int is required; "
        "b: expected union[str, none], but got int; c: got unknown literal type: a literal without a value"
    )


def test_check_type() -> None:
    interfaces.check_type("a", literals.integer(1), _INT)
    with pytest.raises(InvalidArgument, match=r"invalid a input wrong type\. Expected int, but got str"):
        interfaces.check_type("a", literals.string("x"), _INT)
    with pytest.raises(InvalidArgument, match=r"Failed to validate literal type for \[a\] with err: got unknown"):
        interfaces.check_type("a", core.Literal(), _INT)
