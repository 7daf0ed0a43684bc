"""How answers are laid out: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from elevon_idl.core import v1 as core
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp
    from rich.console import Console
    from rich.table import Table

COLOURS = {
    "SUCCEEDED": "green",
    "RECOVERED": "green",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "ABORTED": "magenta",
    "RUNNING": "cyan",
    "DYNAMIC_RUNNING": "cyan",
    "QUEUED": "yellow",
}
PIPE_WIDTH = 1_000_000
"""Columns of what is no terminal: more than any line has."""

LONG_TEXT = 400
"""Longest value shown in a table, in characters."""


class Format(Enum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print.", case_sensitive=False)]


def console() -> Console:
    """The terminal; wide when it is none, so that lines of a pipe are not folded."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def as_data(message: Message) -> dict[str, Any]:
    """The message as proto3 JSON in the names of the protos."""
    from google.protobuf.json_format import MessageToDict

    return dict(MessageToDict(message, preserving_proto_field_name=True))


def show_data(data: object, output: Format) -> None:
    """Print for programs."""
    if output is Format.YAML:
        import yaml

        typer.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)
    else:
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def show_list(
    messages: Sequence[Message],
    output: Format,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    optional: Sequence[str] = (),
) -> None:
    """Print many: a table for people, a list of messages for programs.

    The first column names what is listed and stays whole; `optional` columns go where there is no room, in that order.
    """
    if output is not Format.TABLE:
        show_data([as_data(message) for message in messages], output)
        return
    terminal, shown, every = console(), list(header), list(rows)
    whole = fits(terminal, table([0], header, every, whole=True))
    for title in (*optional, None):
        drawn = table([header.index(name) for name in shown], header, every, whole)
        if title is None or fits(terminal, drawn):
            break
        shown.remove(title)
    if title is not None or fits(terminal, drawn):
        keep_words_whole(terminal, drawn)
    show_table(terminal, drawn)


def table(columns: Sequence[int], header: Sequence[str], rows: Iterable[Sequence[str]], whole: bool) -> Table:
    """Some columns of rows as a table that cuts nothing: what is too long for its column goes on below.

    With `whole` the first column has all the room it needs.
    """
    from rich.table import Table

    made = Table(box=None, header_style="bold", pad_edge=False)
    for place in columns:
        made.add_column(header[place], no_wrap=whole and place == 0, overflow="fold")
    for row in rows:
        made.add_row(*(row[place] for place in columns))
    return made


def fits(terminal: Console, drawn: Table) -> bool:
    """Whether a table has room without breaking a word."""
    from rich.measure import Measurement

    unlimited = terminal.options.update(width=PIPE_WIDTH)
    return Measurement.get(terminal, unlimited, drawn).minimum <= terminal.width


def keep_words_whole(terminal: Console, drawn: Table) -> None:
    """Set the widths of a table that fits: left alone, rich narrows all columns alike, whatever their words need."""
    from rich.measure import Measurement

    unlimited = terminal.options.update(width=PIPE_WIDTH)
    spare = terminal.width - Measurement.get(terminal, unlimited, drawn).minimum
    least, missing = list[int](), list[int]()
    for column in drawn.columns:
        cells = [Measurement.get(terminal, unlimited, cell) for cell in (column.header, *column.cells)]
        most = max(cell.maximum for cell in cells)
        least.append(most if column.no_wrap else max(cell.minimum for cell in cells))
        missing.append(most - least[-1])
    for done, place in enumerate(sorted(range(len(least)), key=missing.__getitem__)):
        given = min(missing[place], spare // (len(least) - done))
        drawn.columns[place].width = least[place] + given
        spare -= given


def show_table(terminal: Console, drawn: Table) -> None:
    """Print a table; lines of a pipe end with what they say."""
    if terminal.is_terminal:
        terminal.print(drawn)
        return
    with terminal.capture() as captured:
        terminal.print(drawn)
    lines = captured.get().removesuffix("\n").split("\n")
    typer.echo("\n".join(line.rstrip(" ") for line in lines), file=terminal.file)


def coloured(phase: str) -> str:
    """The name of a phase in its colour."""
    colour = COLOURS.get(phase)
    return f"[{colour}]{phase}[/]" if colour else phase


def moment(timestamp: Timestamp) -> str:
    """A time in UTC to the second; empty when it is not set."""
    return timestamp.ToDatetime().strftime("%Y-%m-%d %H:%M:%S") if timestamp.ByteSize() else ""


def seconds(duration: Duration) -> str:
    """A duration for people; empty when it is not set."""
    if not duration.ByteSize():
        return ""
    length = duration.seconds + duration.nanos / 1e9
    if length < 120:
        return f"{length:.1f} s"
    minutes, rest = divmod(round(length), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def escaped(text: str) -> str:
    """The text as it is: nothing in it is taken for markup."""
    from rich.markup import escape

    return escape(text)


def readable(literal: core.Literal) -> str:
    """A literal in one line of text, cut where it is long."""
    from elevon_core.errors import InvalidArgument
    from elevon_core.rendering import render

    try:
        text = render(literal)
    except InvalidArgument as error:
        return f"({error.message})"
    return text if len(text) <= LONG_TEXT else f"{text[:LONG_TEXT]}…"
