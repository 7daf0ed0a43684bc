"""What following an execution leaves on a screen."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from elevon.commands import executions
from elevon.commands.execution_tree import ExecutionView, NodeView, drawn_within
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from rich.console import Console

Phase = core.NodeExecution

HEIGHT = 12
WIDTH = 40


class Screen:
    """A terminal that knows what rich sends: lines, colours, the cursor, erasing a line. What leaves the top stays."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0

    def show(self, text: str) -> list[str]:
        """All lines there are after the text, those that have left the screen among them."""
        for token in re.findall(r"\x1b\[[?0-9;]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", text):
            self._take(token)
        return [line.rstrip() for line in self.lines if line.strip()]

    def _take(self, token: str) -> None:
        if token == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif token.endswith("A") and token.startswith("\x1b"):
            top = max(len(self.lines) - HEIGHT, 0)
            self.row = max(self.row - int(token[2:-1] or 1), top)
        elif token == "\x1b[2K":
            self.lines[self.row] = ""
        elif token[0] not in "\x1b\r":
            self.lines[self.row] += token


def failed(number: int) -> NodeView:
    found = admin.NodeExecution(id=core.NodeExecutionIdentifier(node_id=f"n{number}"))
    found.closure.phase = Phase.FAILED
    found.closure.error.message = "so many words that they take more than the one line that there is " * 2
    return NodeView(found, "bad")


def running(number: int) -> NodeView:
    found = admin.NodeExecution(id=core.NodeExecutionIdentifier(node_id=f"n{number}"))
    found.closure.phase = Phase.RUNNING
    return NodeView(found, "busy")


def view(*nodes: NodeView) -> ExecutionView:
    return ExecutionView(admin.Execution(id=core.WorkflowExecutionIdentifier(name="it")), list(nodes))


def terminal(height: int = HEIGHT) -> Console:
    return Console(file=io.StringIO(), width=WIDTH, height=height, force_terminal=True, highlight=False)


def test_lines_count_and_not_nodes() -> None:
    shown, plain = view(*map(failed, range(4)), running(4)), Console(file=io.StringIO(), width=WIDTH, height=HEIGHT)
    plain.print(drawn_within(shown, plain))
    assert isinstance(plain.file, io.StringIO)
    lines = plain.file.getvalue().splitlines()
    assert len(lines) < HEIGHT
    assert any("busy n4" in line for line in lines)


async def followed(
    views: Sequence[ExecutionView], screen: Console, meanwhile: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    async def changes() -> AsyncIterator[ExecutionView]:
        for each in views:
            yield each
        meanwhile()

    monkeypatch.setattr(executions, "console", lambda: screen)
    await executions.live(changes())
    assert isinstance(screen.file, io.StringIO)
    return Screen().show(screen.file.getvalue())


async def test_the_tree_is_left_once(monkeypatch: pytest.MonkeyPatch) -> None:
    views = [view(running(0)), view(failed(0), running(1)), view(*map(failed, range(6)))]
    lines = await followed(views, terminal(), lambda: None, monkeypatch)
    assert sum(line.startswith("it ") for line in lines) == 1
    assert [word for line in lines for word in line.split() if re.fullmatch("n[0-9]", word)] == [
        f"n{number}" for number in range(6)
    ]


async def test_nothing_else_is_left_by_a_screen_that_has_become_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal()

    def becomes_lower() -> None:
        screen.height = 3

    lines = await followed([view(failed(0), running(1))], screen, becomes_lower, monkeypatch)
    assert sum(line.startswith("it ") for line in lines) == 1
