"""The inputs of executions and launch plans: their rules, their defaults, how they combine."""

from __future__ import annotations

from collections.abc import Mapping

from elevon_idl.core import v1 as core

from elevon_core.errors import InvalidArgument
from elevon_core.interfaces import check_type, known_type
from elevon_core.types import castable, describe


def merge_inputs(given: core.LiteralMap, expected: core.ParameterMap, fixed: core.LiteralMap) -> core.LiteralMap:
    """The inputs an execution runs with: those given, defaults for the rest, and what the launch plan fixes.

    InvalidArgument for a name that is not expected or is fixed, a required one left out, a value of the wrong type.
    """
    parameters = expected.parameters
    for name in sorted(given.literals):
        if name not in parameters:
            raise InvalidArgument(f"invalid input {name}: {_why_unexpected(name, parameters, fixed)}")
    merged = core.LiteralMap()
    for name in sorted(parameters):
        merged.literals[name].CopyFrom(_chosen(name, given, parameters[name]))
    for name in sorted(fixed.literals):
        if name in merged.literals:
            raise InvalidArgument(f"fixed_inputs {name} cannot be overridden")
        merged.literals[name].CopyFrom(fixed.literals[name])
    return merged


def check_default_and_fixed(
    default_inputs: core.ParameterMap, fixed_inputs: core.LiteralMap, workflow_inputs: core.VariableMap
) -> core.ParameterMap:
    """What a launch plan expects of its callers: for each workflow input not fixed, its default or that it is required.

    InvalidArgument for an input the workflow does not have, one both fixed and defaulted, a value of the wrong type.
    """
    validate_parameter_map(default_inputs, "default_inputs")
    validate_literal_map(fixed_inputs, "fixed_inputs")
    variables = workflow_inputs.variables
    _check_known(default_inputs.parameters, variables, "default_input")
    _check_known(fixed_inputs.literals, variables, "fixed_input")
    expected = core.ParameterMap()
    for name in sorted(variables):
        if name in fixed_inputs.literals:
            _check_fixed(name, fixed_inputs.literals[name], default_inputs, variables[name])
        elif name in default_inputs.parameters:
            _check_default(name, default_inputs.parameters[name], variables[name])
            expected.parameters[name].CopyFrom(default_inputs.parameters[name])
        else:
            expected.parameters[name].CopyFrom(_required(variables[name]))
    return expected


def validate_parameter_map(parameters: core.ParameterMap, field: str) -> None:
    """Checks that each parameter has a name, a type, and either a sound default of that type or `required`."""
    for name in sorted(parameters.parameters):
        if not name:
            raise InvalidArgument.missing(f"key of {field}")
        _validate_parameter(name, parameters.parameters[name], f"{field}[{name}]")


def validate_literal_map(literals: core.LiteralMap, field: str) -> None:
    """Checks that each literal has a name and a value, all the way down, and that all times are within their range."""
    for name in sorted(literals.literals):
        if not name:
            raise InvalidArgument.missing(f"key of {field}")
        validate_literal(literals.literals[name], f"{field}[{name}]")


def validate_literal(literal: core.Literal, field: str) -> None:
    """Checks one literal as `validate_literal_map` does; errors name the place within it."""
    kind = literal.WhichOneof("value")
    if kind == "scalar":
        _validate_scalar(literal.scalar, field)
    elif kind == "collection":
        for index, element in enumerate(literal.collection.literals):
            validate_literal(element, f"{field}[{index}]")
    elif kind == "map":
        for name, element in literal.map.literals.items():
            validate_literal(element, f"{field}[{name}]")
    elif kind is None:
        raise InvalidArgument.missing(f"value of {field}")


def _why_unexpected(name: str, parameters: Mapping[str, core.Parameter], fixed: core.LiteralMap) -> str:
    if name in fixed.literals:
        return "the launch plan fixes it"
    return f"expected are {', '.join(sorted(parameters))}" if parameters else "no inputs are expected"


def _chosen(name: str, given: core.LiteralMap, parameter: core.Parameter) -> core.Literal:
    if name in given.literals:
        check_type(name, given.literals[name], parameter.var.type)
        return given.literals[name]
    if parameter.WhichOneof("behavior") != "default":
        raise InvalidArgument(f"expected_inputs {name} missing")
    return parameter.default


def _check_known(names: Mapping[str, object], variables: Mapping[str, core.Variable], kind: str) -> None:
    if names and not variables:
        raise InvalidArgument(f"invalid {kind}s: {len(names)} given, but the workflow has no inputs")
    for name in sorted(names):
        if name not in variables:
            raise InvalidArgument(f"unexpected {kind} {name}: the workflow's inputs are {', '.join(sorted(variables))}")


def _check_fixed(name: str, literal: core.Literal, default_inputs: core.ParameterMap, variable: core.Variable) -> None:
    if name in default_inputs.parameters:
        raise InvalidArgument(f"invalid fixed_input {name}: it has a default as well, and cannot have both")
    given = known_type(name, literal)
    if not castable(given, variable.type):
        raise _wrong_type("fixed_input", name, given, variable.type)


def _check_default(name: str, parameter: core.Parameter, variable: core.Variable) -> None:
    if not castable(parameter.var.type, variable.type):
        raise _wrong_type("default_input", name, parameter.var.type, variable.type)


def _validate_parameter(name: str, parameter: core.Parameter, field: str) -> None:
    if parameter.var.type.WhichOneof("type") is None:
        raise InvalidArgument.missing(f"{field}.var.type")
    behavior = parameter.WhichOneof("behavior")
    if behavior == "default":
        validate_literal(parameter.default, f"{field}.default")
        given = known_type(name, parameter.default)
        if not castable(given, parameter.var.type):
            raise _wrong_type("default_input", name, given, parameter.var.type)
    elif behavior in ("artifact_query", "artifact_id"):
        raise InvalidArgument(f"artifact mode not enabled: {field} names an artifact as its default")
    elif not parameter.required:
        raise InvalidArgument(f"missing {field}.default: an input without a default must be required")


def _required(variable: core.Variable) -> core.Parameter:
    return core.Parameter(var=core.Variable(type=variable.type, description=variable.description), required=True)


def _wrong_type(kind: str, name: str, given: core.LiteralType, expected: core.LiteralType) -> InvalidArgument:
    return InvalidArgument(f"invalid {kind} {name}: expected type {describe(expected)}, but got {describe(given)}")


def _validate_scalar(scalar: core.Scalar, field: str) -> None:
    kind = scalar.WhichOneof("value")
    if kind == "primitive":
        _validate_primitive(scalar.primitive, field)
    elif kind == "union":
        validate_literal(scalar.union.value, field)
    elif kind is None:
        raise InvalidArgument.missing(f"value of {field}")


def _validate_primitive(primitive: core.Primitive, field: str) -> None:
    kind = primitive.WhichOneof("value")
    if kind is None:
        raise InvalidArgument.missing(f"value of {field}")
    if kind in ("datetime", "duration"):
        value = primitive.datetime if kind == "datetime" else primitive.duration
        try:
            value.ToJsonString()
        except ValueError as error:
            shown = f"{value.seconds} s, {value.nanos} ns"
            raise InvalidArgument.invalid(field, shown, f"not a {kind}: {error}") from None
