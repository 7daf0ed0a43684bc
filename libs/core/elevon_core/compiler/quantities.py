"""Kubernetes quantities: amounts such as `500m`, `1.5Gi`, `2e3`."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from elevon_core.errors import InvalidArgument

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,3}))?"
)
_LONGEST: Final = 64
_RULE: Final = (
    "must be a number with an exponent or one of the suffixes n u m k M G T P E Ki Mi Gi Ti Pi Ei, or without"
)

_LARGEST: Final = Decimal(2**63)
_ASKED_RULE: Final = "must be neither negative nor more than 8Ei"

_FACTORS: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


def parse(text: str, field: str = "quantity") -> Decimal:
    """The amount in base units (cores, bytes, devices).

    InvalidArgument for anything else; at most 64 characters and exponents of three digits are read.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidArgument.invalid(field, text, _RULE)
    number = Decimal(match["number"])
    if match["exponent"]:
        return number.scaleb(int(match["exponent"]))
    return number * _FACTORS[match["suffix"]] if match["suffix"] else number


def amount(text: str, field: str = "quantity") -> Decimal:
    """As `parse`, for what can be asked for: InvalidArgument also below zero and above 8Ei, where Kubernetes ends."""
    return _asked(parse(text, field), text, field)


def amount_of(number: float, field: str = "quantity") -> Decimal:
    """As `amount`, for one that is written as a number; InvalidArgument also for NaN and the infinities."""
    if not math.isfinite(number):
        raise InvalidArgument.invalid(field, number, "must be a finite number")
    return _asked(Decimal(str(number)), number, field)


def _asked(found: Decimal, written: object, field: str) -> Decimal:
    if not 0 <= found <= _LARGEST:
        raise InvalidArgument.invalid(field, written, _ASKED_RULE)
    return found
