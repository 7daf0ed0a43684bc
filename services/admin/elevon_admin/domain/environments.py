"""Environment variables that tasks are given."""

from __future__ import annotations

from collections.abc import Iterable

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

from elevon_admin.domain.stored_text import check_text


def check_environment(variables: Iterable[core.KeyValuePair], field: str = "envs") -> None:
    """Raise InvalidArgument for a variable that no process can have: without a name, or with `=` or NUL in it."""
    for index, variable in enumerate(variables):
        if not variable.key:
            raise InvalidArgument.missing(f"{field}[{index}].key")
        if "=" in variable.key:
            raise InvalidArgument.invalid(f"{field}[{index}].key", variable.key, "a name must not hold =")
        check_text(f"{field}[{index}].key", variable.key)
        check_text(f"{field}[{index}].value", variable.value)
