"""Inputs: merging for executions, expectations of launch plans, soundness of literals."""

from __future__ import annotations

import datetime

import pytest
from elevon_core import inputs, literals
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from google.protobuf import duration_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

_INT = core.LiteralType(simple=core.INTEGER)
_FLOAT = core.LiteralType(simple=core.FLOAT)
_STR = core.LiteralType(simple=core.STRING)
_DATETIME = core.LiteralType(simple=core.DATETIME)
_BAD_TIME = core.Literal(
    scalar=core.Scalar(primitive=core.Primitive(datetime=timestamp_pb2.Timestamp(seconds=2**50, nanos=3)))
)


def _map(**values: core.Literal) -> core.LiteralMap:
    return core.LiteralMap(literals=values)


def _variables(**types: core.LiteralType) -> core.VariableMap:
    return core.VariableMap(
        variables={name: core.Variable(type=kind, description=f"about {name}") for name, kind in types.items()}
    )


def _default(value: core.Literal, literal_type: core.LiteralType = _INT) -> core.Parameter:
    return core.Parameter(var=core.Variable(type=literal_type), default=value)


def _required(literal_type: core.LiteralType = _INT) -> core.Parameter:
    return core.Parameter(var=core.Variable(type=literal_type), required=True)


def _parameters(**found: core.Parameter) -> core.ParameterMap:
    return core.ParameterMap(parameters=found)


_EXPECTED = _parameters(a=_required(), b=_default(literals.integer(7)))


def test_merge_takes_given_default_and_fixed() -> None:
    merged = inputs.merge_inputs(_map(a=literals.integer(1)), _EXPECTED, _map(f=literals.string("x")))
    assert merged == _map(a=literals.integer(1), b=literals.integer(7), f=literals.string("x"))
    merged = inputs.merge_inputs(_map(a=literals.integer(1), b=literals.integer(2)), _EXPECTED, _map())
    assert merged == _map(a=literals.integer(1), b=literals.integer(2))


@pytest.mark.parametrize(
    ("given_inputs", "fixed", "message"),
    [
        (_map(a=literals.integer(1), z=literals.integer(1)), _map(), r"^invalid input z: expected are a, b$"),
        (
            _map(a=literals.integer(1), f=literals.integer(1)),
            _map(f=literals.integer(1)),
            r"^invalid input f: .*fixes it",
        ),
        (_map(b=literals.integer(1)), _map(), r"^expected_inputs a missing$"),
        (_map(a=literals.string("x")), _map(), r"^invalid a input wrong type\. Expected int, but got str$"),
        (_map(a=literals.float_(1)), _map(), r"Expected int, but got float"),
        (
            _map(a=core.Literal()),
            _map(),
            r"^Failed to validate literal type for \[a\] with err: got unknown literal type",
        ),
        (_map(a=literals.integer(1)), _map(b=literals.integer(1)), r"^fixed_inputs b cannot be overridden$"),
    ],
)
def test_merge_refuses(given_inputs: core.LiteralMap, fixed: core.LiteralMap, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        inputs.merge_inputs(given_inputs, _EXPECTED, fixed)


def test_merge_without_expectations() -> None:
    assert inputs.merge_inputs(_map(), _parameters(), _map()) == _map()
    with pytest.raises(InvalidArgument, match="invalid input a: no inputs are expected"):
        inputs.merge_inputs(_map(a=literals.integer(1)), _parameters(), _map())
    with pytest.raises(InvalidArgument, match="expected_inputs a missing"):
        inputs.merge_inputs(_map(), _parameters(a=core.Parameter(var=core.Variable(type=_INT))), _map())


_names = st.sets(st.sampled_from("abcdef"))


@given(_names, _names, _names, st.data())
def test_merge_yields_each_input_once(
    required: set[str], defaults: set[str], fixed: set[str], data: st.DataObject
) -> None:
    defaults, fixed = defaults - required, fixed - required - defaults
    chosen = required | data.draw(st.sets(st.sampled_from(sorted(defaults)))) if defaults else required
    given_inputs = _map(**{name: literals.integer(1) for name in chosen})
    expected = _parameters(
        **{name: _required() for name in required}, **{name: _default(literals.integer(2)) for name in defaults}
    )
    merged = inputs.merge_inputs(given_inputs, expected, _map(**{name: literals.integer(3) for name in fixed}))
    values = {name: literal.scalar.primitive.integer for name, literal in merged.literals.items()}
    assert values == {
        **dict.fromkeys(fixed, 3),
        **dict.fromkeys(defaults, 2),
        **dict.fromkeys(chosen, 1),
    }


def test_merge_does_not_touch_what_it_is_given() -> None:
    given_inputs, fixed = _map(a=literals.integer(1)), _map(f=literals.string("x"))
    before = [message.SerializeToString(deterministic=True) for message in (given_inputs, _EXPECTED, fixed)]
    inputs.merge_inputs(given_inputs, _EXPECTED, fixed).literals["a"].CopyFrom(literals.integer(9))
    assert [message.SerializeToString(deterministic=True) for message in (given_inputs, _EXPECTED, fixed)] == before


def test_launch_plans_expect_what_they_do_not_fix() -> None:
    expected = inputs.check_default_and_fixed(
        _parameters(b=_default(literals.integer(7)), d=_required()),
        _map(c=literals.string("x")),
        _variables(a=_INT, b=_INT, c=_STR, d=_INT),
    )
    assert sorted(expected.parameters) == ["a", "b", "d"]
    assert expected.parameters["a"] == core.Parameter(
        var=core.Variable(type=_INT, description="about a"), required=True
    )
    assert expected.parameters["b"] == _default(literals.integer(7))
    assert expected.parameters["d"].required


@pytest.mark.parametrize(
    ("defaults", "fixed", "variables", "message"),
    [
        (_parameters(a=_required()), _map(), _variables(), r"invalid default_inputs: 1 given, but the workflow has no"),
        (_parameters(), _map(a=literals.integer(1)), _variables(), r"invalid fixed_inputs: 1 given, but"),
        (
            _parameters(z=_required()),
            _map(),
            _variables(a=_INT),
            r"unexpected default_input z: the workflow's inputs are a",
        ),
        (_parameters(), _map(z=literals.integer(1)), _variables(a=_INT), r"unexpected fixed_input z"),
        (
            _parameters(a=_required(_STR)),
            _map(),
            _variables(a=_INT),
            r"default_input a: expected type int, but got str",
        ),
        (
            _parameters(),
            _map(a=literals.string("x")),
            _variables(a=_INT),
            r"fixed_input a: expected type int, but got str",
        ),
        (
            _parameters(a=_required()),
            _map(a=literals.integer(1)),
            _variables(a=_INT),
            r"fixed_input a: .*cannot have both",
        ),
        (
            _parameters(a=_default(literals.float_(1))),
            _map(),
            _variables(a=_INT),
            r"default_input a: expected type int, but got float",
        ),
        (
            _parameters(a=core.Parameter(required=True)),
            _map(),
            _variables(a=_INT),
            r"missing default_inputs\[a\].var.type",
        ),
        (
            _parameters(a=core.Parameter(var=core.Variable(type=_INT))),
            _map(),
            _variables(a=_INT),
            r"missing default_inputs\[a\].default",
        ),
        (
            _parameters(a=core.Parameter(var=core.Variable(type=_INT), artifact_query=core.ArtifactQuery())),
            _map(),
            _variables(a=_INT),
            r"artifact mode not enabled: default_inputs\[a\]",
        ),
        (_parameters(**{"": _required()}), _map(), _variables(a=_INT), r"missing key of default_inputs"),
        (
            _parameters(a=_default(_BAD_TIME, _DATETIME)),
            _map(),
            _variables(a=_DATETIME),
            r"default_inputs\[a\].default: '1125899906842624 s, 3 ns': not a datetime",
        ),
        (
            _parameters(),
            _map(a=core.Literal(offloaded_metadata=core.LiteralOffloadedMetadata(uri="u"))),
            _variables(a=_INT),
            r"fixed_input a: expected type int, but got unknown",
        ),
    ],
)
def test_launch_plans_that_are_refused(
    defaults: core.ParameterMap, fixed: core.LiteralMap, variables: core.VariableMap, message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        inputs.check_default_and_fixed(defaults, fixed, variables)


def test_all_times_are_checked_not_only_the_first() -> None:
    good = literals.duration(datetime.timedelta(seconds=1))
    with pytest.raises(InvalidArgument, match=r"inputs\[b\]\[k\]\[1\]: "):
        inputs.validate_literal_map(
            _map(a=good, b=literals.map_({"k": literals.collection([good, _BAD_TIME])})), "inputs"
        )


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        (core.Literal(), r"^missing value of inputs\[a\]$"),
        (core.Literal(hash="x"), r"^missing value of inputs\[a\]$"),
        (core.Literal(scalar=core.Scalar()), r"^missing value of inputs\[a\]$"),
        (core.Literal(scalar=core.Scalar(primitive=core.Primitive())), r"^missing value of inputs\[a\]$"),
        (literals.collection([literals.integer(1), core.Literal()]), r"^missing value of inputs\[a\]\[1\]$"),
        (literals.map_({"k": core.Literal()}), r"^missing value of inputs\[a\]\[k\]$"),
        (literals.union(core.Literal(), _INT), r"^missing value of inputs\[a\]$"),
        (
            core.Literal(
                scalar=core.Scalar(primitive=core.Primitive(duration=duration_pb2.Duration(seconds=1, nanos=-1)))
            ),
            r"inputs\[a\]: '1 s, -1 ns': not a duration",
        ),
    ],
)
def test_unsound_literals(literal: core.Literal, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        inputs.validate_literal_map(_map(a=literal), "inputs")


def test_names_of_inputs_are_needed() -> None:
    with pytest.raises(InvalidArgument, match="missing key of inputs"):
        inputs.validate_literal_map(_map(**{"": literals.integer(1)}), "inputs")


@given(st.from_type(core.Literal))
def test_sound_literals_pass(literal: core.Literal) -> None:
    inputs.validate_literal_map(_map(a=literal), "inputs")
    inputs.validate_parameter_map(_parameters(a=_required()), "default_inputs")
