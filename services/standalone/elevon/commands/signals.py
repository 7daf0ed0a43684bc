"""`elevon signal`: what gates wait for."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

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
    run,
)
from elevon.commands.printing import Format, Output, escaped, readable, show_list

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

application = typer.Typer(name="signal", help="See and set what executions wait for.", no_args_is_help=True)

SignalId = Annotated[str, typer.Argument(metavar="SIGNAL", help="Id of the signal.")]

MOST = 1000
"""Most signals of an execution that are read."""


@application.command("list")
def list_signals(
    execution: Execution,
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List the signals of an execution, with their values where they are set."""
    from elevon_core.types import describe

    key = execution_id(execution, project, domain)
    found = run(target, lambda client: _signals(client, key))
    rows = (
        (escaped(signal.id.signal_id), escaped(describe(signal.type)), readable_or_waiting(signal)) for signal in found
    )
    show_list(found, output, ("signal", "type", "value"), rows)


def readable_or_waiting(signal: admin.Signal) -> str:
    """The value of a signal, or that it has none."""
    return escaped(readable(signal.value)) if signal.value.ByteSize() else "[yellow]not set[/]"


@application.command("set")
def set_signal(
    execution: Execution,
    signal: SignalId,
    value: Annotated[str, typer.Argument(help="Read as the type that the signal has.")],
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
) -> None:
    """Give a signal its value."""
    _set(execution, signal, value, project, domain, target)


@application.command()
def approve(
    execution: Execution, signal: SignalId, project: Project = PROJECT, domain: Domain = DOMAIN, target: Target = ""
) -> None:
    """Approve what a gate asks to be approved."""
    _set(execution, signal, "true", project, domain, target)


@application.command()
def reject(
    execution: Execution, signal: SignalId, project: Project = PROJECT, domain: Domain = DOMAIN, target: Target = ""
) -> None:
    """Reject what a gate asks to be approved: its node fails."""
    _set(execution, signal, "false", project, domain, target)


def _set(execution: str, signal: str, value: str, project: str, domain: str, target: str) -> None:
    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> None:
        from elevon_idl.admin import v1 as admin

        known = {found.id.signal_id: found for found in await _signals(client, key)}
        if signal not in known:
            there = ", ".join(sorted(known)) or "none so far"
            raise CommandFailed(f"execution {key.name} has no signal {signal!r}; there are: {there}")
        found = known[signal]
        await client.signals.SetSignal(admin.SignalSetRequest(id=found.id, value=literal(value, found.type)))
        typer.echo(f"{signal}: set to {value}")

    run(target, ask)


async def _signals(client: Client, key: core.WorkflowExecutionIdentifier) -> list[admin.Signal]:
    from elevon_idl.admin import v1 as admin

    await client.execution(key)  # a name that does not exist is an error, not an empty list
    request = admin.SignalListRequest(workflow_execution_id=key, limit=MOST)
    return list((await client.signals.ListSignals(request)).signals)


def literal(text: str, expected: core.LiteralType) -> core.Literal:
    """A value typed at a terminal as the literal that a signal wants. Raises CommandFailed when it is none."""
    from elevon_core import literals
    from elevon_core.errors import InvalidArgument
    from elevon_core.types import describe
    from elevon_idl.core import v1 as core

    makers = {
        core.INTEGER: lambda: literals.integer(int(text)),
        core.FLOAT: lambda: literals.float_(_float(text)),
        core.STRING: lambda: literals.string(text),
        core.BOOLEAN: lambda: literals.boolean(_boolean(text)),
        core.DATETIME: lambda: literals.datetime_(datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)),
    }
    maker = makers.get(expected.simple) if expected.WhichOneof("type") == "simple" else None
    if maker is None:
        raise CommandFailed(f"a value of type {describe(expected)} cannot be typed here: set it from a program")
    try:
        return maker()
    except (InvalidArgument, OverflowError):
        raise CommandFailed(f"{text!r} is out of the range of type {describe(expected)}") from None
    except ValueError:
        raise CommandFailed(f"{text!r} is not of type {describe(expected)}") from None


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():  # Python's answer to a number that is too large
        raise OverflowError(text)
    return value


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"
