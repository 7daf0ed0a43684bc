"""The tree of errors: each has a kind, a message for people and details for programs."""

from __future__ import annotations

import pytest
from elevon_core import errors
from elevon_idl.core import v1 as core


def _all(root: type[errors.ElevonError]) -> list[type[errors.ElevonError]]:
    return [root, *(found for child in root.__subclasses__() for found in _all(child))]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = str(errors.__doc__)
    for error in _all(errors.ElevonError):
        if error.__module__ == errors.__name__:
            assert error.__name__ in drawn


def test_every_kind_has_an_error() -> None:
    assert {error.kind for error in _all(errors.ElevonError)} == set(errors.ErrorKind)


def test_errors_carry_details() -> None:
    error = errors.NotFound("no such task", details=[core.Identifier(name="n")])
    assert (error.message, str(error), error.details) == ("no such task", "no such task", (core.Identifier(name="n"),))


def test_long_values_are_cut() -> None:
    error = errors.InvalidArgument.invalid("name", "x" * 500, "too long")
    assert error.message == f"invalid value for name: {'x' * 200 + '…'!r}: too long"


def test_findings_are_sorted_and_merged() -> None:
    first = errors.Finding("CycleDetected", "a cycle", "n1")
    second = errors.Finding("CycleDetected", "a cycle", "n0")
    third = errors.Finding("NoNodesFound", "no nodes")
    error = errors.CompilationError([third, first, second, first], prefix="failed: ")
    assert error.findings == (second, first, third)
    assert error.message == (
        "failed: Collected Errors: 3\n"
        "\tError 0: Code: CycleDetected, Node Id: n0, Description: a cycle\n"
        "\tError 1: Code: CycleDetected, Node Id: n1, Description: a cycle\n"
        "\tError 2: Code: NoNodesFound, Node Id: , Description: no nodes"
    )
    with pytest.raises(errors.InvalidArgument):
        raise error
