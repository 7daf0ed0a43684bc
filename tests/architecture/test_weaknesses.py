"""The table of weaknesses names tests that exist, and leaves nothing empty."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.architecture.test_house import ROOT, parsed

PAGE = ROOT / "docs" / "weaknesses.md"
HEADINGS = ("Weakness", "What Elevon does", "Shown by")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> list[tuple[str, ...]]:
    """The rows of all tables, headings among them."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|") and set(line) - set("|- ")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def findings() -> list[tuple[str, ...]]:
    return [row for row in rows() if row != HEADINGS]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = parsed((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_table_is_there() -> None:
    assert HEADINGS in rows()
    assert len(findings()) >= 45
    names = [row[0] for row in findings()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", findings(), ids=[row[0][:50] for row in findings()])
def test_every_row_is_whole_and_names_a_test_that_exists(row: tuple[str, ...]) -> None:
    assert len(row) == len(HEADINGS)
    assert all(row), "a cell is empty"
    shown = TEST.fullmatch(row[-1])
    assert shown is not None, f"{row[-1]} is not `tests/….py::test_…`"
    path, name = shown.groups()
    assert (ROOT / path).is_file(), path
    assert name in names_in(path), f"{path} has no {name}"
