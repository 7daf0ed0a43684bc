"""Texts that become columns."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument


def check_text(field: str, value: str) -> None:
    """Raise InvalidArgument for a text with a NUL character, which PostgreSQL does not store."""
    if "\0" in value:
        raise InvalidArgument.invalid(field, value, "holds a NUL character")
