"""What the commands make of what is typed and of what is answered."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Awaitable, Callable, Sequence

import pytest
import typer
from elevon.commands import execution_tree, get, printing, retention, signals
from elevon.commands.connection import Address, CommandFailed, address, execution_id, run
from elevon.commands.printing import LONG_TEXT, readable, seconds
from elevon_core import literals
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration
from rich.console import Console


@pytest.mark.parametrize(
    ("given", "variable", "expected"),
    [
        ("", None, "localhost:30080"),
        ("", "http://host:81/", "host:81"),
        ("dns:///other:82", "host:81", "other:82"),
        ("localhost", None, "localhost:30080"),
        ("", "https://host/", "TLS host:443"),
        ("http://host", None, "host:80"),
        ("HTTPS://[fe80::1%eth0]/", None, "TLS [fe80::1%eth0]:443"),
        ("https://host:81", None, "TLS host:81"),
        ("Dns:///host:82", None, "host:82"),
        ("dns:///host", None, "host:30080"),
        ("host:", None, "host:30080"),
        ("[::1]:", None, "[::1]:30080"),
        ("fe80::1%eth0", None, "[fe80::1%eth0]:30080"),
        ("[fe80::1%eth0]:80", None, "[fe80::1%eth0]:80"),
        ("::", None, "[::]:30080"),
        ("[::1]", None, "[::1]:30080"),
        ("::1", None, "[::1]:30080"),
        ("[::1]:80", None, "[::1]:80"),
        ("unix:/run/elevon", None, "unix:/run/elevon"),
        ("unix:///run/elevon", None, "unix:///run/elevon"),
        ("ipv4:127.0.0.1:80", None, "ipv4:127.0.0.1:80"),
    ],
)
def test_the_target(given: str, variable: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYTE_PLATFORM_URL", raising=False)
    if variable is not None:
        monkeypatch.setenv("FLYTE_PLATFORM_URL", variable)
    assert address(given) == Address(expected.removeprefix("TLS "), tls=expected.startswith("TLS "))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("http://", "names no host"),
        ("dns:///", "names no host"),
        (":80", "names no host"),
        ("ftp://host", "begins with neither http://, https:// nor dns:///"),
        ("https://host/console", "has more than a host and a port"),
        ("host/console", "has more than a host and a port"),
        ("http://user@host", "has more than a host and a port"),
    ],
)
def test_no_target(given: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        run(given, interrupted)
    assert capsys.readouterr().err == f"elevon: the address {given!r} {why}\n"


@pytest.mark.parametrize("text", ["q/s/e", "q:s:e"])
def test_an_execution_elsewhere(text: str) -> None:
    expected = core.WorkflowExecutionIdentifier(project="q", domain="s", name="e")
    assert execution_id(text, "p", "d") == expected
    assert execution_id("e", "q", "s") == expected


@pytest.mark.parametrize("text", ["a/b", "a//b", "a/b/c/d", ""])
def test_no_execution(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="neither NAME nor PROJECT/DOMAIN/NAME"):
        execution_id(text, "p", "d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("phase:asc", ("phase", admin.Sort.ASCENDING)), ("phase", ("phase", admin.Sort.DESCENDING))],
)
def test_sorting(text: str, expected: tuple[str, int]) -> None:
    sort = get.sort_by(text)
    assert (sort.key, sort.direction) == expected


@pytest.mark.parametrize("text", ["", ":asc", "phase:up"])
def test_no_sorting(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not FIELD:asc or FIELD:desc"):
        get.sort_by(text)


def test_schedules() -> None:
    rate = admin.Schedule(rate=admin.FixedRate(value=5, unit=admin.MINUTE))
    assert get.schedule(rate) == "every 5 minute(s)"
    assert get.schedule(admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@daily"))) == "@daily"
    assert get.schedule(admin.Schedule()) == ""


@pytest.mark.parametrize(
    ("text", "simple", "expected"),
    [
        ("5", core.INTEGER, literals.integer(5)),
        ("5", core.FLOAT, literals.float_(5.0)),
        ("5", core.STRING, literals.string("5")),
        ("True", core.BOOLEAN, literals.boolean(True)),
    ],
)
def test_typed_values(text: str, simple: core.SimpleType.ValueType, expected: core.Literal) -> None:
    assert signals.literal(text, core.LiteralType(simple=simple)) == expected


def test_an_infinity_is_typed_by_name() -> None:
    value = signals.literal("-Infinity", core.LiteralType(simple=core.FLOAT))
    assert value.scalar.primitive.float_value == float("-inf")


def test_a_typed_time_is_utc() -> None:
    value = signals.literal("2026-01-02T03:04:05+01:00", core.LiteralType(simple=core.DATETIME))
    assert value.scalar.primitive.datetime.ToJsonString() == "2026-01-02T02:04:05Z"


@pytest.mark.parametrize(
    ("text", "expected", "message"),
    [
        ("x", core.LiteralType(simple=core.INTEGER), "'x' is not of type int"),
        ("yes", core.LiteralType(simple=core.BOOLEAN), "'yes' is not of type bool"),
        ("9" * 20, core.LiteralType(simple=core.INTEGER), "'9{20}' is out of the range of type int"),
        ("1" * 5000, core.LiteralType(simple=core.INTEGER), "is not of type int"),
        ("1e400", core.LiteralType(simple=core.FLOAT), "'1e400' is out of the range of type float"),
        ("0001-01-01T00:00:00+14:00", core.LiteralType(simple=core.DATETIME), "is out of the range of type datetime"),
        ("9999-12-31T23:59:59-14:00", core.LiteralType(simple=core.DATETIME), "is out of the range of type datetime"),
        ("x", core.LiteralType(collection_type=core.LiteralType(simple=core.STRING)), "cannot be typed here"),
    ],
)
def test_values_that_do_not_fit(text: str, expected: core.LiteralType, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        signals.literal(text, expected)


async def refused(_: object) -> None:
    raise InvalidArgument("that cannot be")


async def interrupted(_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)


@pytest.mark.parametrize(("work", "code", "said"), [(refused, 1, "elevon: that cannot be\n"), (interrupted, 130, "")])
def test_what_ends_a_command(
    work: Callable[[object], Awaitable[None]], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        run("localhost:1", work)
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("text", ["FAILED", "failed", "Failed"])
def test_phases(text: str) -> None:
    assert get.phase_name(text) == "FAILED"


@pytest.mark.parametrize("text", ["BOGUS", "failed,running"])
def test_no_phases(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"'{text}' is no phase; there are: .*RUNNING.*TIMED_OUT"):
        get.phase_name(text)


def node(name: str, phase: core.NodeExecution.Phase.ValueType = core.NodeExecution.SUCCEEDED) -> admin.NodeExecution:
    return admin.NodeExecution(
        id=core.NodeExecutionIdentifier(node_id=name), closure=admin.NodeExecutionClosure(phase=phase)
    )


def test_nodes_are_counted() -> None:
    names = ["dn10", "start-node", "dn2", "dn1-dn10", "dn1-dn9", "dn1", "a"]
    expected = ["a", "dn1", "dn1-dn9", "dn1-dn10", "dn2", "dn10", "start-node"]
    assert [found.id.node_id for found in execution_tree.in_order(map(node, names))] == expected
    assert execution_tree.node_names(names) == expected[:-1]


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        (
            core.GateNode(signal=core.SignalCondition(signal_id="title", type=core.LiteralType(simple=core.STRING))),
            "waits for signal title (str)",
        ),
        (core.GateNode(approve=core.ApproveCondition(signal_id="ok")), "waits for approval of ok"),
        (core.GateNode(sleep=core.SleepCondition(duration=Duration(seconds=5))), "sleeps 5.0 s"),
        (core.GateNode(), ""),
    ],
)
def test_what_gates_wait_for(gate: core.GateNode, told: str) -> None:
    assert execution_tree.gate_reason(gate) == told


def printed(renderable: object, width: int) -> list[str]:
    terminal = Console(file=io.StringIO(), width=width, highlight=False)
    terminal.print(renderable)
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue().splitlines()


def test_a_tree_taller_than_the_screen_leaves_what_matters() -> None:
    phases = {7: core.NodeExecution.FAILED, 8: core.NodeExecution.RUNNING, 3: core.NodeExecution.QUEUED}
    nodes = [
        execution_tree.NodeView(node(f"n{number}", phases.get(number, core.NodeExecution.SUCCEEDED)), "long " * 20)
        for number in range(20)
    ]
    view = execution_tree.ExecutionView(admin.Execution(id=core.WorkflowExecutionIdentifier(name="it")), nodes)
    whole = printed(execution_tree.drawn_within(view, Console(width=200, height=50)), 200)
    assert len(whole) == 21
    assert "├── long" in whole[1]
    cropped = printed(execution_tree.drawn_within(view, Console(width=200, height=8)), 200)
    assert [line.split()[20] for line in cropped[1:4]] == ["n7", "n8", "n3"]
    assert (len(cropped), cropped[-1]) == (7, "… 15 more")
    narrow = printed(execution_tree.drawn_within(view, Console(width=40, height=8)), 40)
    assert len(narrow) == 7


def test_what_is_too_much_to_look_at_is_counted() -> None:
    ended, waits = node("n8"), node("n9")
    ended.closure.phase, waits.closure.phase = core.NodeExecution.SUCCEEDED, core.NodeExecution.QUEUED
    for each in (ended, waits):
        each.id.execution_id.CopyFrom(core.WorkflowExecutionIdentifier(project="p", domain="d", name="e"))
    parent = execution_tree.NodeView(ended, "parent", left_out=[ended, waits])
    view = execution_tree.ExecutionView(admin.Execution(), [parent], left_out=[waits])
    assert view.progress() == (2, 4)
    lines = printed(execution_tree.drawn(view), 200)
    assert "… 2 more nodes, 1 of them ended: elevon get nodes p/d/e --parent n8 lists them" in lines[2]
    assert "… 1 more nodes, 0 of them ended: elevon get nodes p/d/e lists them" in lines[3]
    assert [printed(told, 200) for told in execution_tree.not_shown(view)] == [[lines[2][8:]], [lines[3][4:]]]
    assert execution_tree.has_ended(ended)
    assert not execution_tree.has_ended(waits)


def listed(width: int, names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    terminal = Console(file=io.StringIO(), width=width, highlight=False)
    monkeypatch.setattr(printing, "console", lambda: terminal)
    header = ("execution", "phase", "workflow", "took")
    rows = [(name, "[green]SUCCEEDED[/]", "module.workflow", "1.0 s") for name in names]
    printing.show_list([], printing.Format.TABLE, header, rows, ("took", "workflow"))
    assert isinstance(terminal.file, io.StringIO)
    return [line.rstrip() for line in terminal.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, "a22q7cffpqxcrabcdefg  SUCCEEDED  module.workflow  1.0 s"),
        (50, "a22q7cffpqxcrabcdefg  SUCCEEDED  module.workflow"),
        (40, "a22q7cffpqxcrabcdefg  SUCCEEDED"),
    ],
)
def test_names_stay_whole_and_columns_go(width: int, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(width, ["a22q7cffpqxcrabcdefg"], monkeypatch)[1] == shown


def test_a_name_wider_than_the_terminal_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "".join(map(str, range(30)))
    lines = listed(20, [name], monkeypatch)[1:]
    assert "".join(line.split(" ")[0] for line in lines) == name


def test_lines_of_a_pipe_are_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    view = execution_tree.ExecutionView(admin.Execution(), [execution_tree.NodeView(node("n0"), "x " * 500)])
    printing.console().print(execution_tree.drawn(view))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_lines_of_a_piped_table_end_with_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", "short"), ("b", "long " * 9), ("c", "")]
    printing.show_list([], printing.Format.TABLE, ("name", "error"), rows)
    assert capsys.readouterr().out.splitlines() == ["name  error", "a     short", "b     " + "long " * 8 + "long", "c"]


@pytest.mark.parametrize("width", range(38, 90))
def test_no_word_is_broken_in_what_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), width=width, highlight=False)
    monkeypatch.setattr(printing, "console", lambda: terminal)
    row = ["flytesnacks", "much longer than it needs to be " * 2, "[green]x[/]", "development"]
    printing.show_list([], printing.Format.TABLE, ("a b", "c", "d e f g", "h"), [row])
    assert isinstance(terminal.file, io.StringIO)
    said = terminal.file.getvalue()
    assert all(len(line) <= width for line in said.splitlines())
    assert {"flytesnacks", "development", "longer"} <= set(said.split())


def test_what_nodes_hold() -> None:
    def named(name: str) -> core.Node:
        return core.Node(id=name)

    sub = core.Identifier(name="sub")
    closure = core.CompiledWorkflowClosure(
        sub_workflows=[core.CompiledWorkflow(template=core.WorkflowTemplate(id=sub, nodes=[named("a"), named("b")]))]
    )
    choice = core.IfElseBlock(
        case=core.IfBlock(then_node=named("then")),
        other=[core.IfBlock(then_node=named("elif"))],
        else_node=named("else"),
    )
    nodes = {
        "a b": core.Node(workflow_node=core.WorkflowNode(sub_workflow_ref=sub)),
        "then elif else": core.Node(branch_node=core.BranchNode(if_else=choice)),
        "element": core.Node(array_node=core.ArrayNode(node=named("element"))),
        "": core.Node(task_node=core.TaskNode()),
    }
    for expected, node in nodes.items():
        assert " ".join(found.id for found in execution_tree.inside(node, closure)) == expected


def test_the_line_of_an_error() -> None:
    assert execution_tree.first_line("Trace:\n\n  long\n\nMessage:\n\n  ValueError: no\n") == "ValueError: no"
    assert execution_tree.first_line("Message:\n\n  KeyError: Message:\n") == "KeyError:"
    assert execution_tree.first_line("\n plain\nmore") == "plain"
    assert execution_tree.first_line("") == ""


@pytest.mark.parametrize(
    ("length", "text"), [(0.25, "0.2 s"), (119.9, "119.9 s"), (125, "2 min 05 s"), (7384, "2 h 03 min")]
)
def test_durations(length: float, text: str) -> None:
    duration = Duration()
    duration.FromNanoseconds(round(length * 1e9))
    assert seconds(duration) == text
    assert seconds(Duration()) == ""


@pytest.mark.parametrize(("text", "length"), [("90m", 5400), ("30d", 2_592_000), ("2w", 1_209_600), ("45s", 45)])
def test_ages(text: str, length: int) -> None:
    assert retention.age(text) == length
    assert retention.age(retention.days(length)) == length


@pytest.mark.parametrize("text", ["0d", "d", "1y", "-1d", "1.5h"])
def test_no_ages(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no age"):
        retention.age(text)


def test_long_and_unreadable_values() -> None:
    assert readable(literals.string("x" * 1000)) == "x" * LONG_TEXT + "…"
    assert readable(core.Literal()).startswith("(a literal without a value")
