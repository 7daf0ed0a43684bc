"""The `elevon` command against a control plane: what it lists, shows, follows, ends and refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from flyteidl.core.literals_pb2 import Literal, LiteralCollection, LiteralMap

from tests.e2e.harness import Id, Plane, integer, string, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "commands"


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("nested", VERSION)
    plane.register("basics", VERSION)


def elevon(plane: Plane, *arguments: str, code: int = 0) -> str:
    """What the command prints, to either place."""
    done = subprocess.run(
        [sys.executable, "-m", "elevon", *arguments],
        env={**os.environ, "ELEVON_TARGET": plane.target},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def fan(plane: Plane) -> Id:
    """An execution of nested dynamic tasks that has succeeded."""
    inputs = LiteralMap(literals={"count": integer(2)})
    execution = plane.launch("nested.fan_of_fans_wf", VERSION, inputs)
    plane.wait(execution)
    return execution


@pytest.fixture(scope="module")
def failed(plane: Plane) -> Id:
    """An execution whose child has failed."""
    execution = plane.launch("nested.parent_of_failure", VERSION)
    plane.wait(execution)
    return execution


def test_lists(plane: Plane, fan: Id, failed: Id) -> None:
    listed = elevon(plane, "get", "executions", "--limit", "100")
    assert fan.name in listed
    assert failed.name in listed
    found = json.loads(elevon(plane, "get", "executions", "--phase", "failed", "-o", "json"))
    assert failed.name in {execution["id"]["name"] for execution in found}
    assert {execution["closure"]["phase"] for execution in found} == {"FAILED"}
    versions = yaml.safe_load(elevon(plane, "get", "tasks", "nested.double", "-o", "yaml"))
    assert VERSION in {task["id"]["version"] for task in versions}
    assert "nested.fan_wf" in elevon(plane, "get", "workflows", "--limit", "1000")
    assert "INACTIVE" in elevon(plane, "get", "launch-plans", "nested.fan_wf")
    assert "development, staging, production" in elevon(plane, "get", "projects")
    assert "n0" in elevon(plane, "get", "nodes", fan.name)
    for what, column in (
        ("schedules", "catch-up"),
        ("ticks", "status"),
        ("receivers", "waiting"),
        ("deliveries", "state"),
    ):
        assert column in elevon(plane, "get", what)
        assert isinstance(json.loads(elevon(plane, "get", what, "-o", "json")), list)


def test_a_tree_with_the_names_of_the_author(plane: Plane, fan: Id) -> None:
    shown = elevon(plane, "describe", fan.name)
    assert "fan_of_fans n0" in shown
    assert "├── fan n0-0-dn0  SUCCEEDED" in shown
    assert "double n0-0-dn1-0-dn0  SUCCEEDED" in shown
    assert "count = 2" in shown
    described = json.loads(elevon(plane, "describe", fan.name, "-o", "json"))
    assert described["outputs"]["literals"]["o0"]["scalar"]["primitive"]["integer"]
    assert "n0-0-dn1-0-dn0" in {node["id"]["node_id"] for node in described["nodes"]}


def test_the_error_is_shown_where_it_happened(plane: Plane, failed: Id) -> None:
    shown = elevon(plane, "describe", failed.name)
    assert "ValueError: 3 is no good" in shown.splitlines()[1]
    assert "Traceback" in shown
    child = plane.launch("nested.failing_plan", VERSION, LiteralMap(literals={"a": integer(3)}))
    plane.wait(child)
    listed = elevon(plane, "get", "nodes", child.name)
    assert "ValueError: 3 is no good" in listed
    assert "Trace:" not in listed


def test_following_to_the_end(plane: Plane, failed: Id, fan: Id) -> None:
    assert f"{failed.name}  FAILED" in elevon(plane, "watch", failed.name, code=1)
    assert f"{fan.name}  SUCCEEDED" in elevon(plane, "watch", fan.name)
    name = elevon(plane, "relaunch", fan.name, "--watch").splitlines()
    assert name[-1] == f"{name[0]}  SUCCEEDED"


@pytest.mark.parametrize("command", ["relaunch", "recover"])
def test_interrupting_what_follows(plane: Plane, tmp_path: Path, command: str) -> None:
    inputs = LiteralMap(literals={"witness": string(str(tmp_path)), "seconds": integer(300)})
    execution = plane.launch("basics.long_wf", VERSION, inputs)
    elevon(plane, "terminate", execution.name)
    plane.wait(execution)
    following = subprocess.Popen(
        [sys.executable, "-m", "elevon", command, execution.name, "--watch"],
        env={**os.environ, "ELEVON_TARGET": plane.target, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    name = following.stdout.readline().strip()
    following.stdout.readline()  # it follows
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=30)
    assert following.returncode == 130
    elevon(plane, "terminate", name)


def test_what_an_open_gate_waits_for(plane: Plane) -> None:
    plane.register("gates", VERSION)
    execution = plane.launch("gates.publish", VERSION, LiteralMap(literals={"body": string("b")}))
    until(lambda: "RUNNING  waits for signal title (str)" in elevon(plane, "describe", execution.name), 60, "the gate")
    elevon(plane, "signal", "set", execution.name, "title", "t")
    until(lambda: "waits for approval of review" in elevon(plane, "describe", execution.name), 60, "the next gate")
    elevon(plane, "terminate", execution.name)


def test_logs(plane: Plane, tmp_path: Path) -> None:
    inputs = LiteralMap(literals={"witness": string(str(tmp_path)), "seconds": integer(1)})
    execution = plane.launch("basics.long_wf", VERSION, inputs)
    followed = elevon(plane, "logs", execution.name, "--follow")
    assert "── n0, attempt 0" in followed
    assert "has no node 'n9'; there are: n0\n" in elevon(plane, "logs", execution.name, "n9", code=1)
    assert "has no attempt 7; there are: 0\n" in elevon(plane, "logs", execution.name, "--attempt", "7", code=1)
    assert "has no node 'n9'" in elevon(plane, "get", "nodes", execution.name, "--parent", "n9", code=1)


def test_a_node_that_has_logged_nothing(plane: Plane, failed: Id) -> None:
    said = elevon(plane, "logs", failed.name, "start-node")
    assert said == "node start-node has logged nothing\n"


def test_terminating(plane: Plane, tmp_path: Path) -> None:
    inputs = LiteralMap(literals={"witness": string(str(tmp_path)), "seconds": integer(300)})
    execution = plane.launch("basics.long_wf", VERSION, inputs)
    assert elevon(plane, "terminate", execution.name, "--cause", "no need") == f"{execution.name}: aborting\n"
    plane.wait(execution)
    assert "aborted because no need" in elevon(plane, "describe", execution.name)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("describe", "absent"), 1, "elevon: missing entity of type execution"),
        (("get", "nodes", "absent"), 1, "elevon: missing entity of type execution"),
        (("describe", "a/b"), 2, "'a/b' is neither NAME nor PROJECT/DOMAIN/NAME"),
        (("get", "executions", "--filter", "nonsense"), 1, "elevon: "),
        (("get", "executions", "--sort", "phase:up"), 2, "is not FIELD:asc or FIELD:desc"),
        (("get", "executions", "--target", "localhost:1"), 1, "no control plane answers on localhost:1"),
        (("signal", "list", "absent"), 1, "elevon: missing entity of type execution"),
    ],
)
def test_what_cannot_be_done_is_said(plane: Plane, arguments: tuple[str, ...], code: int, message: str) -> None:
    said = elevon(plane, *arguments, code=code)
    assert message in said
    assert "Traceback" not in said


def test_a_signal_that_is_not_there(plane: Plane, fan: Id) -> None:
    said = elevon(plane, "signal", "approve", fan.name, "review", code=1)
    assert said == f"elevon: execution {fan.name} has no signal 'review'; there are: none so far\n"


@pytest.fixture(scope="module")
def kept(plane: Plane) -> list[Id]:
    """Executions of a cached task: twice the same input, then another one, then another cache version."""
    plane.register("caching", VERSION)
    executions = []
    for name, n in (("unique", 501), ("unique", 501), ("unique", 502)):
        execution = plane.launch(f"caching.{name}_wf", VERSION, LiteralMap(literals={"n": integer(n)}))
        plane.wait(execution)
        executions.append(execution)
    return executions


def test_why_a_task_hit_or_missed(plane: Plane, kept: list[Id]) -> None:
    first, second, other = (elevon(plane, "cache", "explain", execution.name, "n0") for execution in kept)
    assert first.startswith("CACHE_POPULATED  Nothing was found for these inputs; the task ran")
    assert f"CACHE_HIT  The outputs were found: node n0 of execution {kept[0].name} had kept them." in second
    assert "flyte_task-caching.unique  version 1-" in second
    assert f"• {kept[0].name} n0, " in other
    assert "input n: 502 here, 501 there" in other
    told = json.loads(elevon(plane, "cache", "explain", kept[2].name, "n0", "-o", "json"))
    assert told["nearby"][0]["differences"] == [
        {"kind": "KIND_INPUT_VALUE", "name": "n", "here": "502", "there": "501"}
    ]


def test_a_task_that_is_not_cached(plane: Plane, fan: Id) -> None:
    assert elevon(plane, "cache", "explain", fan.name, "n1").startswith("CACHE_DISABLED  The task is not cached")
    assert "is not cached: there is no entry to evict" in elevon(plane, "cache", "evict", fan.name, "n1", code=1)
    assert elevon(plane, "cache", "evict", fan.name) == "no node of this execution is cached\n"
    assert "missing entity of type node execution" in elevon(plane, "cache", "explain", fan.name, "n9", code=1)


def test_evicting(plane: Plane, kept: list[Id]) -> None:
    before = plane.outputs(kept[1])["o0"]
    assert elevon(plane, "cache", "evict", kept[1].name) == "n0: evicted\n"
    assert elevon(plane, "cache", "evict", kept[1].name, "n0") == "n0: nothing was there any more\n"
    assert "The entry is gone since." in elevon(plane, "cache", "explain", kept[1].name, "n0")
    again = plane.launch("caching.unique_wf", VERSION, LiteralMap(literals={"n": integer(501)}))
    plane.wait(again)
    assert plane.outputs(again)["o0"] != before


def test_nodes_below_branches(plane: Plane, kept: list[Id]) -> None:
    execution = plane.launch("caching.choosing_wf", VERSION, LiteralMap(literals={"n": integer(505)}))
    plane.wait(execution)
    (chosen,) = re.findall(r"unique (n0\S+)  SUCCEEDED", elevon(plane, "describe", execution.name))
    assert elevon(plane, "cache", "evict", execution.name) == f"{chosen}: evicted\n"
    assert "has no node" not in elevon(plane, "logs", execution.name, chosen)


def numbers(*given: int) -> Literal:
    return Literal(collection=LiteralCollection(literals=[integer(number) for number in given]))


def launched(plane: Plane, name: str, **inputs: Literal) -> str:
    """The name of an execution that has succeeded."""
    execution = plane.launch(f"caching.{name}", VERSION, LiteralMap(literals=inputs))
    plane.wait(execution)
    return str(execution.name)


def test_elements_are_explained_and_evicted_one_by_one(plane: Plane, kept: list[Id]) -> None:
    factors = numbers(2, 3)
    first = launched(plane, "scaled_wf", numbers=numbers(1, 2), factors=factors)
    second = launched(plane, "scaled_wf", numbers=numbers(2, 3, 1), factors=factors)
    assert "by itself: 2 populated." in elevon(plane, "cache", "explain", first, "n0")
    assert "by itself: 2 hit, 1 populated." in elevon(plane, "cache", "explain", second, "n0")
    hit = elevon(plane, "cache", "explain", second, "n0", "--element", "0")
    assert hit.startswith(f"CACHE_HIT  The outputs were found: node n0-0-n1 of execution {first} had kept them.")
    made = elevon(plane, "cache", "explain", second, "n0", "--element", "1")
    assert made.startswith("CACHE_POPULATED  Nothing was found for these inputs; the task ran")
    assert f"• {first} n0-0-n1, " in made
    assert "input n: 3 here, 2 there" in made
    assert "factors" not in made
    assert "has no element 3: it has 3" in elevon(plane, "cache", "explain", second, "n0", "--element", "3", code=1)
    assert elevon(plane, "cache", "evict", first, "n0", "--element", "0") == "n0[0]: evicted\n"
    assert "The entry is gone since." in elevon(plane, "cache", "explain", second, "n0", "--element", "2")
    assert elevon(plane, "cache", "evict", second) == "n0: 2 of 3 elements evicted\n"
    assert elevon(plane, "cache", "evict", second, "n0") == "n0: 0 of 3 elements evicted\n"
    again = launched(plane, "scaled_wf", numbers=numbers(2, 3, 1), factors=factors)
    assert "by itself: 3 populated." in elevon(plane, "cache", "explain", again, "n0")
    assert "is no array node" in elevon(plane, "cache", "explain", kept[0].name, "n0", "--element", "0", code=1)
    assert "needs the node" in elevon(plane, "cache", "evict", first, "--element", "0", code=2)


def test_parents_name_what_is_looked_up_below_them(plane: Plane, kept: list[Id]) -> None:
    name = launched(plane, "parents_wf", numbers=numbers(5, 6), factors=numbers(7), n=integer(504))
    shown = elevon(plane, "describe", name)
    (chosen,) = re.findall(r"unique (n\S+)  SUCCEEDED", shown)
    below = "The node is not looked up itself, but nodes below it are: "
    assert elevon(plane, "cache", "explain", name, "n0") == f"{below}n0-0-dn0.\n"
    assert elevon(plane, "cache", "explain", name, "n1") == f"{below}{chosen}.\n"
    element = elevon(plane, "cache", "explain", name, "n0-0-dn0", "--element", "1")
    assert element.startswith("CACHE_POPULATED  Nothing was found")
    assert f"{below}{chosen}." in elevon(plane, "cache", "evict", name, "n1", code=1)
    evicted = elevon(plane, "cache", "evict", name).splitlines()
    assert sorted(evicted) == ["n0-0-dn0: 2 of 2 elements evicted", f"{chosen}: evicted"]


def test_an_execution_that_overwrites_looks_for_nothing(plane: Plane, kept: list[Id]) -> None:
    name = elevon(plane, "relaunch", kept[2].name, "--overwrite-cache", "--watch").splitlines()[0]
    told = elevon(plane, "cache", "explain", name, "n0")
    assert "nothing was looked for; the task ran, and its outputs replaced what was there." in told
    assert "besides" not in told
    later = elevon(plane, "cache", "explain", kept[0].name, "n0")
    assert f"• {name} n0, " in later
    assert "written after this look-up" in later


def test_deleting(plane: Plane, kept: list[Id]) -> None:
    # Only there: folders of attempts beside it come and go.
    folder = plane.control.layout.work / "processes" / "logs"
    before = set(folder.glob("*.log"))
    execution = plane.launch("caching.unique_wf", VERSION, LiteralMap(literals={"n": integer(503)}))
    plane.wait(execution)
    written = [path for path in plane.control.layout.blobs.rglob("*") if execution.name in str(path)]
    assert written
    logs = set(folder.glob("*.log")) - before
    assert logs
    written += logs
    said = f"{execution.name}: would be deleted with 3 nodes and 1 cached results\n"
    assert elevon(plane, "delete", execution.name, "--dry-run") == said
    assert elevon(plane, "delete", execution.name) == said.replace("would be deleted", "deleted")
    assert [path for path in written if path.is_file()] == []
    assert "missing entity of type execution" in elevon(plane, "describe", execution.name, code=1)
    again = plane.launch("caching.unique_wf", VERSION, LiteralMap(literals={"n": integer(503)}))
    plane.wait(again)
    assert elevon(plane, "cache", "explain", again.name, "n0").startswith("CACHE_POPULATED")


def test_rules(plane: Plane) -> None:
    scope = ("-p", "flytetester", "-d", "staging")
    told = elevon(plane, "retention", "set", *scope, "--executions-age", "30d", "--cache-age", "12h")
    assert "`elevon retention apply -p flytetester -d staging --dry-run`" in told
    assert "30d" in elevon(plane, "retention", "list")
    (rule,) = json.loads(elevon(plane, "retention", "list", "-o", "json"))
    assert rule == {
        "project": "flytetester",
        "domain": "staging",
        "executions_max_age": "2592000s",
        "cache_max_age": "43200s",
    }
    nothing = "0 executions, the data of 0 more, 0 nodes, 0 cached results"
    assert elevon(plane, "retention", "apply", *scope, "--dry-run").startswith(f"would delete {nothing}")
    assert elevon(plane, "retention", "apply", *scope).startswith(f"deleted {nothing}")
    runs = elevon(plane, "retention", "runs", "--project", "flytetester")
    assert "staging" in runs
    assert "request" in runs
    assert "flytetester/staging has no rule of its own" in elevon(plane, "retention", "remove", *scope)
    assert json.loads(elevon(plane, "retention", "list", "-o", "json")) == []
    assert "has no retention policy" in elevon(plane, "retention", "apply", *scope, code=1)
    assert "'soon' is no age" in elevon(plane, "retention", "set", *scope, "--data-age", "soon", code=2)
