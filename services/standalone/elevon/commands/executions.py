"""`elevon describe`, `watch`, `terminate`, `recover`, `relaunch`: one execution at a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elevon.commands.connection import DOMAIN, PROJECT, Domain, Execution, Project, Target, execution_id, run
from elevon.commands.printing import Format, Output, as_data, coloured, console, escaped, moment, show_data

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from elevon_client import Client
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core
    from rich.console import Console

    from elevon.commands.execution_tree import ExecutionView

REFRESH_SECONDS = 0.1
"""What changes while this time passes is shown at once, and a control plane without streams is asked as often."""

PATIENCE_SECONDS = 60.0
"""How long a control plane may be away while it is watched."""

Interval = Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at least.")]
NewName = Annotated[str, typer.Option("--name", help="Name of the new execution; made up when empty.")]


def describe(
    execution: Execution,
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """Show an execution: its state, its tree of nodes, its inputs and outputs, its error."""
    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> tuple[ExecutionView, admin.WorkflowExecutionGetDataResponse]:
        from elevon.commands.execution_tree import ExecutionReader

        return await ExecutionReader(client, key).read(), await _values(client, key)

    if output is Format.TABLE:
        show(*run(target, ask))
    else:
        show_data(run(target, lambda client: everything(client, key)), output)


async def everything(client: Client, key: core.WorkflowExecutionIdentifier) -> dict[str, Any]:
    """What programs are told of an execution: it, every one of its nodes, its inputs and outputs."""
    from elevon.commands.execution_tree import is_hidden
    from elevon.commands.walking import all_whole, every_node

    execution = await client.execution(key)
    nodes = [node async for node in every_node(client, key) if not is_hidden(node)]
    data = await _values(client, key)
    return {
        "execution": as_data(execution),
        "nodes": [as_data(node) for node in await all_whole(client, nodes)],
        "inputs": as_data(data.full_inputs),
        "outputs": as_data(data.full_outputs),
    }


async def _values(client: Client, key: core.WorkflowExecutionIdentifier) -> admin.WorkflowExecutionGetDataResponse:
    from elevon_idl.admin import v1 as admin

    return await client.admin.GetExecutionData(admin.WorkflowExecutionGetDataRequest(id=key))


def show(view: ExecutionView, data: admin.WorkflowExecutionGetDataResponse) -> None:
    """Lay out what `describe` found."""
    from elevon.commands.execution_tree import drawn, literals

    terminal, closure = console(), view.execution.closure
    terminal.print(drawn(view))
    facts = [
        ("workflow", f"{closure.workflow_id.name} {closure.workflow_id.version}"),
        ("launched (UTC)", moment(closure.created_at)),
        ("ended (UTC)", moment(closure.updated_at) if closure.duration.ByteSize() else ""),
        ("by", view.execution.spec.metadata.principal),
        ("aborted because", closure.abort_metadata.cause),
    ]
    for title, text in facts:
        if text:
            terminal.print(f"[bold]{title:15}[/] {escaped(text)}")
    for title, values in (("inputs", data.full_inputs), ("outputs", data.full_outputs)):
        for name, text in literals(values):
            terminal.print(f"[bold]{title:15}[/] {escaped(name)} = {escaped(text)}", soft_wrap=True)
    show_error(terminal, closure)


def show_error(terminal: Console, closure: admin.ExecutionClosure) -> None:
    """Print why an execution failed."""
    if closure.HasField("error"):
        terminal.print(f"[bold red]{closure.error.code}[/]")
        terminal.print(escaped(closure.error.message.strip()), soft_wrap=True)


def watch(
    execution: Execution,
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
    interval: Interval = REFRESH_SECONDS,
) -> None:
    """Follow an execution until it ends; the exit code is 0 only when it succeeds."""
    key = execution_id(execution, project, domain)
    raise typer.Exit(0 if run(target, lambda client: follow(client, key, interval)) else 1)


async def follow(client: Client, key: core.WorkflowExecutionIdentifier, interval: float = REFRESH_SECONDS) -> bool:
    """Show every change until the end; True when the execution succeeds."""
    from elevon_idl.core import v1 as core

    from elevon.commands.following import views

    changes = views(client, key, interval, PATIENCE_SECONDS)
    view = await (live(changes) if sys.stdout.isatty() else _line_by_line(changes))
    show_error(console(), view.execution.closure)
    return view.execution.closure.phase == core.WorkflowExecution.SUCCEEDED


async def live(changes: AsyncIterator[ExecutionView]) -> ExecutionView:
    """Draw each view over the one before; in the end the whole tree of the last one, which is returned."""
    from rich.live import Live

    from elevon.commands.execution_tree import drawn, drawn_within

    view, terminal = await anext(changes), console()
    # What is taller than the screen cannot be drawn over again: it would be left in the history with each change.
    with Live(console=terminal, auto_refresh=False, vertical_overflow="crop") as screen:
        screen.update(drawn_within(view, terminal), refresh=True)
        async for view in changes:
            screen.update(drawn_within(view, terminal), refresh=True)
        # The whole tree takes its place; who interrupts keeps what was last seen. Live ends by drawing once more, be it
        # taller than the screen: nothing is left for it to draw.
        screen.update("", refresh=True)
        screen.transient = True
    terminal.print(drawn(view))
    return view


async def _line_by_line(changes: AsyncIterator[ExecutionView]) -> ExecutionView:
    from elevon.commands.execution_tree import line, not_shown, waiting_reason

    terminal, seen, waited = console(), dict[str, str](), ""
    async for view in changes:
        if (reason := waiting_reason(view.execution)) != waited:
            waited = reason
            terminal.print(escaped(reason or "starts"), soft_wrap=True)
        for node in (node for top in view.nodes for node in top.all()):
            if seen.get(node.execution.id.node_id) != node.phase:
                seen[node.execution.id.node_id] = node.phase
                terminal.print(line(node), soft_wrap=True)
    for told in not_shown(view):
        terminal.print(told, soft_wrap=True)
    terminal.print(f"{escaped(view.execution.id.name)}  {coloured(view.phase)}")
    return view


def terminate(
    executions: Annotated[list[str], typer.Argument(metavar="EXECUTION...", help="Names of executions.")],
    cause: Annotated[str, typer.Option(help="Why; everybody who looks at the execution reads it.")] = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
) -> None:
    """Abort executions and everything they have started."""
    keys = [execution_id(name, project, domain) for name in executions]

    async def ask(client: Client) -> None:
        from elevon_idl.admin import v1 as admin

        for key in keys:
            await client.admin.TerminateExecution(admin.ExecutionTerminateRequest(id=key, cause=cause))
            typer.echo(f"{key.name}: aborting")

    run(target, ask)


def recover(
    execution: Execution,
    name: NewName = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    wait: Annotated[bool, typer.Option("--watch", help="Follow the new execution until it ends.")] = False,
    target: Target = "",
) -> None:
    """Run again what failed of an execution; what succeeded is taken over."""
    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> bool:
        from elevon_idl.admin import v1 as admin

        return await _started(
            client, await client.admin.RecoverExecution(admin.ExecutionRecoverRequest(id=key, name=name)), wait
        )

    raise typer.Exit(0 if run(target, ask) else 1)


def relaunch(
    execution: Execution,
    name: NewName = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    overwrite_cache: Annotated[bool, typer.Option(help="Run cached tasks again and replace their entries.")] = False,
    wait: Annotated[bool, typer.Option("--watch", help="Follow the new execution until it ends.")] = False,
    target: Target = "",
) -> None:
    """Run an execution again from the start, with the same inputs."""
    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> bool:
        from elevon_idl.admin import v1 as admin

        return await _started(
            client,
            await client.admin.RelaunchExecution(
                admin.ExecutionRelaunchRequest(id=key, name=name, overwrite_cache=overwrite_cache)
            ),
            wait,
        )

    raise typer.Exit(0 if run(target, ask) else 1)


async def _started(client: Client, created: admin.ExecutionCreateResponse, wait: bool) -> bool:
    typer.echo(created.id.name)
    return not wait or await follow(client, created.id)
