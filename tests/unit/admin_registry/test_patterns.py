"""LIKE in memory, against a definition that tries everything."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from elevon_admin.store.patterns import like
from hypothesis import example, given
from hypothesis import strategies as st


def defined(text: str, pattern: str) -> bool:
    """LIKE by trying everything; a backslash at the end of the pattern stands for itself."""
    if not pattern:
        return not text
    head, tail = pattern[0], pattern[1:]
    if head == "%":
        return any(defined(text[start:], tail) for start in range(len(text) + 1))
    if not text:
        return False
    if head == "\\":
        return text[0] == (tail[:1] or head) and defined(text[1:], tail[1:])
    return head in ("_", text[0]) and defined(text[1:], tail)


@given(text=st.text("ab%_\\\n", max_size=7), pattern=st.text("ab%_\\\n", max_size=7))
@example(text="ab", pattern="%%b")
@example(text="a%b", pattern="a\\%b")
@example(text="aab", pattern="%ab")
@example(text="\\", pattern="\\")
@example(text="", pattern="%%")
def test_it_is_the_definition(text: str, pattern: str) -> None:
    assert like(text, pattern) == defined(text, pattern)


@pytest.mark.parametrize(
    "pattern", ["%" * 1_000 + "x", "%A" * 1_000 + "x", "%_" * 1_000, "%U%D" * 1_000], ids=["run", "A", "any", "U_D"]
)
def test_steps_grow_with_the_length_of_the_pattern_only(pattern: str) -> None:
    assert lines_of(lambda: like("UNDEFINED" * 2, pattern)) < 10_000


def lines_of(work: Callable[[], object]) -> int:
    """How many lines of Python a call runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
