"""`elevon logs`: what the tasks of an execution printed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlparse

import typer

from elevon.commands.connection import (
    DOMAIN,
    PROJECT,
    CommandFailed,
    Domain,
    Execution,
    Project,
    Target,
    execution_id,
    named,
    run,
)
from elevon.commands.printing import console, escaped
from elevon.commands.walking import every_node

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

CHUNK = 256 * 1024
"""Bytes read of a log at a time."""

FOLLOW_SECONDS = 0.3
"""How often a followed log is looked at."""


def logs(
    execution: Execution,
    node: Annotated[str, typer.Argument(metavar="[NODE]", help="Id of a node; all of them when absent.")] = "",
    attempt: Annotated[int | None, typer.Option(min=0, help="Only this attempt, counted from 0.")] = None,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the execution ends.")] = False,
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
) -> None:
    """Print what the tasks of an execution wrote; logs that are kept elsewhere are named by their address."""
    key = execution_id(execution, project, domain)
    run(target, lambda client: Logs(client, key, node, attempt).print(following))


class Logs:
    """The logs of an execution, each printed once, however often it is looked at."""

    def __init__(self, client: Client, key: core.WorkflowExecutionIdentifier, node: str, attempt: int | None) -> None:
        self._client = client
        self._key = key
        self._node = node
        self._attempt = attempt
        self._read: dict[str, int] = {}
        self._nodes_seen: dict[str, bool] = {}
        self._attempts_seen = set[int]()
        self._hinted = False
        self._last = ""
        self._printed = False
        self._line_ended = True
        self._terminal = console()

    async def print(self, following: bool) -> None:
        """Print all that there is, and with `following` all that comes until the execution has ended."""
        from elevon_client import is_terminal

        while True:
            execution = await self._client.execution(self._key)
            last = not following or is_terminal(execution)
            async for title, uri in self._links():
                self._show(title, uri, last)
            if last:
                break
            self._hint()
            await asyncio.sleep(FOLLOW_SECONDS)
        if not self._printed:
            self._say_why_nothing(execution)

    def _hint(self) -> None:
        """Say once of what is waited for that it is not there: it may be still to come, or misspelt."""
        known = not self._node or any(self._nodes_seen.values())
        if not self._hinted and not (known and self._attempt in (None, *self._attempts_seen)):
            typer.echo(f"no attempt {self._attempt} so far" if known else f"no node {self._node} so far", err=True)
        self._hinted = True

    def _say_why_nothing(self, execution: admin.Execution) -> None:
        from elevon_client import is_terminal

        if is_terminal(execution) and not self._nodes_seen:
            raise CommandFailed(without_nodes(execution))
        self._check_names()
        asked = [f"attempt {self._attempt}"] if self._attempt is not None else []
        asked += [f"node {escaped(self._node)}"] if self._node else []
        self._terminal.print(f"[dim]{' of '.join(asked) or f'execution {escaped(self._key.name)}'} has logged nothing")

    def _check_names(self) -> None:
        """Raise CommandFailed when what was asked for is not there, which is not the same as nothing logged."""
        from elevon.commands.execution_tree import node_names

        where = f"execution {self._key.name}"
        if self._node and not any(self._nodes_seen.values()):
            raise CommandFailed(f"{where} has no node {self._node!r}; there are: {named(node_names(self._nodes_seen))}")
        if self._attempt is not None and self._attempt not in self._attempts_seen:
            attempts = named(map(str, sorted(self._attempts_seen)))
            of = f"node {self._node} of {where}" if self._node else where
            raise CommandFailed(f"{of} has no attempt {self._attempt}; there are: {attempts}")

    async def _links(self) -> AsyncIterator[tuple[str, str]]:
        async for node in every_node(self._client, self._key):
            asked = not self._node or self._node in (node.id.node_id, node.metadata.spec_node_id)
            self._nodes_seen[node.id.node_id] = asked
            if not asked:
                continue
            async for task in self._client.task_executions(node.id):
                for title, number, links in attempts_of(task):
                    self._attempts_seen.add(number)
                    if self._attempt in (None, number):
                        for link in links:
                            yield f"{title}, attempt {number}", link.uri

    def _show(self, title: str, uri: str, last: bool) -> None:
        address = urlparse(uri)
        path = Path(unquote(address.path))
        if address.scheme not in ("", "file"):
            self._name(title, uri)
            return
        if not path.is_file():
            if last:  # one that is followed may be named before it is begun
                self._name(title, f"{uri} is not there any more, or is on another machine")
            return
        with path.open("rb") as log:
            log.seek(self._read.setdefault(uri, 0))
            while chunk := log.read(CHUNK):
                self._head(title)
                self._read[uri] += len(chunk)
                self._line_ended = chunk.endswith(b"\n")
                typer.echo(chunk, nl=False)

    def _name(self, title: str, where: str) -> None:
        if where not in self._read:
            self._read[where] = 0
            self._print(f"[bold]{escaped(title)}[/] {escaped(where)}")

    def _head(self, title: str) -> None:
        if self._last != title:
            self._last = title
            self._print(f"[bold]── {escaped(title)}")

    def _print(self, line: str) -> None:
        """Print a line of its own, be the log before it cut off within one."""
        if not self._line_ended:
            typer.echo()
        self._printed = self._line_ended = True
        self._terminal.print(line, soft_wrap=True)


def attempts_of(task: admin.TaskExecution) -> Iterator[tuple[str, int, Sequence[core.TaskLog]]]:
    """What ran in an attempt, by its name, its number and its logs: it alone, or the attempts of an array's elements.

    The attempts of elements are counted by themselves: an array that never failed has elements with several.
    """
    node, number, resources = (
        task.id.node_execution_id.node_id,
        task.id.retry_attempt,
        task.closure.metadata.external_resources,
    )
    if task.closure.logs or not resources:
        yield node, number, task.closure.logs
    for resource in resources:
        yield f"{node}[{resource.index}]", resource.retry_attempt, resource.logs


def without_nodes(execution: admin.Execution) -> str:
    """What has become of an execution that has ended and of which no node is known."""
    from elevon_idl.core import v1 as core

    name = execution.id.name
    if execution.closure.phase == core.WorkflowExecution.SUCCEEDED:
        return f"the data of execution {name} was deleted: neither its nodes nor their logs are left"
    return f"execution {name} has no nodes: none had begun when it ended, or its data was deleted"
