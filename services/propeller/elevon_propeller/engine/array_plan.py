"""What an array node asks of its elements, worked out once: how many must succeed."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

SIGNIFICANT_DIGITS = 9
"""So many decimal digits tell every single-precision number apart."""

COMMON_DENOMINATOR = 1_000
"""Of fractions with denominators up to this, never do two have the same single-precision value."""


def exact_ratio(ratio: float) -> Fraction:
    """The ratio as it was written: a fraction of small numbers if there is one, else the shortest decimal.

    Computing with the single-precision value would ask for 7 successes of 10 where someone wrote 0.6. Raises
    InvalidArgument for what is not from 0 to 1.
    """
    if not 0 <= ratio <= 1:
        raise InvalidArgument.invalid("array_node.min_success_ratio", ratio, "must be from 0 to 1")
    simple = Fraction(ratio).limit_denominator(COMMON_DENOMINATOR)
    if _single(simple) == ratio:
        return simple
    decimals = (Fraction(f"{ratio:.{digits}g}") for digits in range(1, SIGNIFICANT_DIGITS))
    return next((found for found in decimals if _single(found) == ratio), Fraction(f"{ratio:.{SIGNIFICANT_DIGITS}g}"))


def _single(ratio: Fraction) -> float:
    (value,) = struct.unpack("f", struct.pack("f", float(ratio)))
    return float(value)


def required_successes(array: core.ArrayNode) -> tuple[int | None, Fraction]:
    """How many elements must succeed: a number if there is one, else a part of all."""
    criterion = array.WhichOneof("success_criteria")
    if criterion == "min_successes":
        return array.min_successes, Fraction(1)
    if criterion == "min_success_ratio":
        return None, exact_ratio(array.min_success_ratio)
    return None, Fraction(1)


def minimum_of(required: tuple[int | None, Fraction], size: int) -> int:
    """How many of `size` elements must succeed."""
    number, ratio = required
    return math.ceil(ratio * size) if number is None else number
