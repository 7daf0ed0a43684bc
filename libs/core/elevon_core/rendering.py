"""Literals as text in the commands of tasks.

What the original renders, reads the same here, down to durations as `seconds:10` and msgpack structs as `map[k:v]`:
commands depend on it. What it refuses (maps, structs, none, errors) is rendered as JSON, unions as the value they hold,
structured datasets as their address.
"""

from __future__ import annotations

import base64
import decimal
import json
import math
from collections.abc import Mapping
from typing import Any

from elevon_idl.core import v1 as core

from elevon_core import binaries, structs
from elevon_core.errors import InvalidArgument, OffloadedLiteral


def render(literal: core.Literal) -> str:
    """The literal as it stands in a command.

    InvalidArgument for a literal without a value or in an unknown encoding; OffloadedLiteral if it must be loaded.
    """
    try:
        return _rendered(literal)
    except RecursionError:
        raise InvalidArgument("a literal nested this deep cannot be rendered") from None


def _rendered(literal: core.Literal) -> str:
    kind = literal.WhichOneof("value")
    if kind == "scalar":
        return _scalar(literal.scalar)
    if kind == "collection":
        return f"[{','.join(map(_rendered, literal.collection.literals))}]"
    return _json(_plain(literal))


def _scalar(scalar: core.Scalar) -> str:
    kind = scalar.WhichOneof("value")
    if kind == "primitive":
        return _primitive(scalar.primitive)
    if kind == "union":
        return _rendered(scalar.union.value)
    if kind == "binary":
        return _printed(binaries.decode(scalar.binary))
    plain = _plain_scalar(scalar)
    return plain if kind in _ADDRESSED else _json(plain)


_ADDRESSED = ("blob", "schema", "structured_dataset")


def _primitive(primitive: core.Primitive) -> str:
    kind = primitive.WhichOneof("value")
    if kind == "float_value":
        return _float(primitive.float_value)
    if kind == "boolean":
        return _boolean(primitive.boolean)
    if kind == "datetime":
        return _datetime(primitive)
    if kind == "duration":
        return _duration(primitive)
    return str(_set_value(primitive, kind))


def _datetime(primitive: core.Primitive) -> str:
    try:
        stamp = primitive.datetime.ToJsonString()
    except ValueError as error:
        raise InvalidArgument.invalid("datetime", primitive.datetime, str(error)) from None
    whole, dot, fraction = stamp.removesuffix("Z").partition(".")
    return f"{whole}{dot}{fraction.rstrip('0')}Z"


def _duration(primitive: core.Primitive) -> str:
    return " ".join(f"{field.name}:{value}" for field, value in primitive.duration.ListFields())


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _float(value: float) -> str:
    """Shortest digits that read back as the same number; with an exponent up to 1e-05 and from 1e+06 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign = "-" if value < 0 else ""
    digits, exponent = _digits(abs(value))
    if -4 <= exponent < 6:
        return sign + _fixed(digits, exponent)
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"


def _digits(value: float) -> tuple[str, int]:
    """Significant digits without zeros at the end, and the decimal exponent of the first."""
    number = decimal.Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, number.digits))
    return digits.rstrip("0"), int(number.exponent) + len(digits) - 1


def _fixed(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole


def _printed(value: Any) -> str:
    """A decoded msgpack value in the form that commands know: `map[k:v]`, `[a b]`, `<nil>`."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return _boolean(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        entries = sorted(value.items(), key=lambda entry: (not isinstance(entry[0], str), str(entry[0])))
        return f"map[{' '.join(f'{_printed(name)}:{_printed(item)}' for name, item in entries)}]"
    if isinstance(value, list | bytes):
        return f"[{' '.join(map(_printed, value))}]"
    return str(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)


def _plain(literal: core.Literal) -> Any:
    """The literal as a JSON value."""
    kind = literal.WhichOneof("value")
    if kind == "scalar":
        return _plain_scalar(literal.scalar)
    if kind == "collection":
        return [_plain(element) for element in literal.collection.literals]
    if kind == "map":
        return {name: _plain(literal.map.literals[name]) for name in sorted(literal.map.literals)}
    if kind == "offloaded_metadata":
        raise OffloadedLiteral(literal.offloaded_metadata.uri, literal.offloaded_metadata.size_bytes)
    raise InvalidArgument("a literal without a value cannot be rendered")


def _plain_scalar(scalar: core.Scalar) -> Any:
    kind = scalar.WhichOneof("value")
    if kind == "primitive":
        return _plain_primitive(scalar.primitive)
    if kind == "union":
        return _plain(scalar.union.value)
    if kind == "binary":
        return _jsonable(binaries.decode(scalar.binary))
    if kind == "generic":
        return _jsonable(structs.plain(scalar.generic))
    if kind == "error":
        return {"failedNodeId": scalar.error.failed_node_id, "message": scalar.error.message}
    if kind == "none_type":
        return None
    if kind in _ADDRESSED:
        return getattr(scalar, kind).uri
    raise InvalidArgument("a scalar without a value cannot be rendered")


def _plain_primitive(primitive: core.Primitive) -> Any:
    kind = primitive.WhichOneof("value")
    if kind in ("datetime", "duration"):
        return _primitive(primitive)
    value = _set_value(primitive, kind)
    return _number(value) if isinstance(value, float) else value


def _set_value(primitive: core.Primitive, kind: str | None) -> Any:
    if kind is None:
        raise InvalidArgument("a primitive without a value cannot be rendered")
    return getattr(primitive, kind)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _jsonable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float | int | str:
    """Whole numbers without a fraction; what JSON has no number for is told by name."""
    if not math.isfinite(value):
        return _float(value)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
