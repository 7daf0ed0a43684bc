"""Write `foundation.json` anew: run the code of an early commit, leave executions behind, and keep what it has stored.

    .venv/bin/python -m tests.upgrades.make_foundation

The commit is the first one whose schemas are those that the migrations start with. Its code runs with the libraries
of today.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc
from elevon_idl.core import v1 as core

from tests.benchmarks import specs
from tests.upgrades.foundation import FIXTURE, SERVICES, padded

COMMIT = "0faaf52"
REPOSITORY = Path(__file__).parents[2]
SIGNAL = "go"
Phase = core.WorkflowExecution
Found = TypeVar("Found")


def main() -> None:
    """Make it."""
    folder = Path(tempfile.mkdtemp(prefix="elevon-"))
    code, root = folder / "code", padded(folder)
    subprocess.run(["git", "worktree", "add", "--detach", code, COMMIT], check=True, cwd=REPOSITORY)
    try:
        with_control_plane(code, root, populate)
        FIXTURE.write_text("\n".join(document(root)) + "\n", encoding="utf-8")
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", code], check=True, cwd=REPOSITORY)
        shutil.rmtree(folder)


def with_control_plane(code: Path, root: Path, work: Callable[[Any], None]) -> None:
    """Run the old control plane for as long as the work takes; executions that have not ended stay behind."""
    members = [*code.glob("libs/*"), *code.glob("services/*"), *code.glob("clients/*")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, members))}
    command = [sys.executable, "-m", "elevon", "up", "--port", "30099", "--data-dir", str(root)]
    with (code / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            with grpc.insecure_channel("localhost:30099") as channel:
                grpc.channel_ready_future(channel).result(60)
                work(admin_service_pb2_grpc.AdminServiceStub(channel))
        except BaseException:
            print((code / "log").read_text(errors="replace"), file=sys.stderr)
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def populate(stub: Any) -> None:
    """Register and run a little of everything."""
    stub.RegisterProject(admin.ProjectRegisterRequest(project=admin.Project(id="older", name="Older")))
    register(stub)
    attributes = admin.ProjectDomainAttributesUpdateRequest()
    attributes.attributes.project, attributes.attributes.domain = specs.PROJECT, specs.DOMAIN
    attributes.attributes.matching_attributes.task_resource_attributes.defaults.cpu = "1"
    stub.UpdateProjectDomainAttributes(attributes)
    launch(stub, "done", "steps", labels=admin.Labels(values={"team": "blue"}), tags=["nightly"])
    ended(stub, "done", Phase.SUCCEEDED)
    launch(stub, "from-cache", "steps")
    launch(stub, "failed", "failing")
    for name in ("gated-one", "gated-two", "gated-aborted"):
        launch(stub, name, "gated")
    launch(stub, "parent", "parent")
    ended(stub, "from-cache", Phase.SUCCEEDED)
    ended(stub, "failed", Phase.FAILED)
    for name in ("gated-one", "gated-two", "gated-aborted"):
        node_running(stub, name, "gate")
    node_running(stub, "parent", "child")
    child = only_child(stub)
    node_running(stub, child, "gate")
    stub.TerminateExecution(admin.ExecutionTerminateRequest(id=execution("gated-aborted"), cause="changed my mind"))
    ended(stub, "gated-aborted", Phase.ABORTED)


def register(stub: Any) -> None:
    """Tasks, workflows and launch plans."""
    echo, cached = specs.echo_task("echo"), specs.echo_task("cached", cached=True)
    unknown = specs.echo_task("failing")
    unknown.spec.template.type = "of-no-plugin"
    second = specs.echo_task("echo", version="v2")
    for task in (echo, cached, unknown, second):
        task.spec.description.short_description = "An early task"
        stub.CreateTask(task)
    steps = specs.chain("steps", echo.id, 2)
    steps.spec.template.nodes[0].task_node.reference_id.CopyFrom(cached.id)
    inner = specs.workflow(
        "gated",
        specs.variables(a=specs.INTEGER),
        specs.variables(o0=specs.INTEGER),
        gated(echo.id, cached.id),
        [out("last")],
    )
    nodes = [plan_node("child", "gated", specs.promise("", "a"))]
    outer = specs.workflow(
        "parent", specs.variables(a=specs.INTEGER), specs.variables(o0=specs.INTEGER), nodes, [out("child")]
    )
    for workflow in (steps, specs.chain("failing", unknown.id, 1), inner, outer):
        stub.CreateWorkflow(workflow)
        plan = specs.launch_plan(workflow.id, "a")
        stub.CreateLaunchPlan(plan)
    yearly = specs.launch_plan(steps.id)
    yearly.id.name = "yearly"
    yearly.spec.default_inputs.parameters["a"].default.CopyFrom(specs.integer(1))
    yearly.spec.default_inputs.parameters["a"].var.type.CopyFrom(specs.INTEGER)
    yearly.spec.entity_metadata.schedule.cron_schedule.schedule = "0 0 1 1 *"
    yearly.spec.annotations.values["elevon/catch-up"] = "none"
    stub.CreateLaunchPlan(yearly)
    stub.UpdateLaunchPlan(admin.LaunchPlanUpdateRequest(id=yearly.id, state=admin.ACTIVE))


def gated(echo: core.Identifier, cached: core.Identifier) -> list[core.Node]:
    """A cached task, a gate for a number, a task with that number, a child execution."""
    gate = core.Node(id="gate", metadata=core.NodeMetadata(name="gate"), upstream_node_ids=["first"])
    gate.gate_node.signal.signal_id = SIGNAL
    gate.gate_node.signal.type.CopyFrom(specs.INTEGER)
    gate.gate_node.signal.output_variable_name = "o0"
    return [
        specs.task_node("first", cached, a=specs.promise("", "a")),
        gate,
        specs.task_node("second", echo, a=specs.promise("gate", "o0")),
        plan_node("last", "steps", specs.promise("second", "o0")),
    ]


def plan_node(node: str, plan: str, value: core.BindingData) -> core.Node:
    """A node that launches a launch plan with `a`."""
    made = core.Node(id=node, metadata=core.NodeMetadata(name=node), inputs=[core.Binding(var="a", binding=value)])
    made.workflow_node.launchplan_ref.CopyFrom(specs.identifier(core.LAUNCH_PLAN, plan))
    return made


def out(node: str) -> core.Binding:
    """The workflow's output from a node's."""
    return core.Binding(var="o0", binding=specs.promise(node, "o0"))


def execution(name: str) -> core.WorkflowExecutionIdentifier:
    """An identifier."""
    return core.WorkflowExecutionIdentifier(project=specs.PROJECT, domain=specs.DOMAIN, name=name)


def launch(stub: Any, name: str, plan: str, **spec: Any) -> None:
    """Create an execution with `a` 5."""
    request = admin.ExecutionCreateRequest(project=specs.PROJECT, domain=specs.DOMAIN, name=name)
    request.spec.CopyFrom(
        admin.ExecutionSpec(
            launch_plan=specs.identifier(core.LAUNCH_PLAN, plan), metadata=admin.ExecutionMetadata(), **spec
        )
    )
    request.inputs.literals["a"].CopyFrom(specs.integer(5))
    stub.CreateExecution(request)


def ended(stub: Any, name: str, phase: int) -> None:
    """Wait for an execution's end."""
    request = admin.WorkflowExecutionGetRequest(id=execution(name))
    wait(lambda: stub.GetExecution(request).closure.phase == phase, f"{name} to end")


def node_running(stub: Any, name: str, node: str) -> None:
    """Wait until a node runs."""
    request = admin.NodeExecutionListRequest(workflow_execution_id=execution(name), limit=100)

    def runs() -> bool:
        phases = {found.id.node_id: found.closure.phase for found in stub.ListNodeExecutions(request).node_executions}
        return phases.get(node) == core.NodeExecution.RUNNING

    wait(runs, f"{node} of {name} to run")


def only_child(stub: Any) -> str:
    """The execution that `parent` has launched."""
    place = admin.NamedEntityIdentifier(project=specs.PROJECT, domain=specs.DOMAIN)
    request = admin.ResourceListRequest(id=place, limit=10, filters="eq(mode,4)")
    return str(wait(lambda: stub.ListExecutions(request).executions, "the child")[0].id.name)


def wait(condition: Callable[[], Found], what: str) -> Found:
    """The first answer that is true."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise SystemExit(f"waited in vain for {what}")


def document(root: Path) -> Iterator[str]:
    """The lines of the fixture: a row or a file each."""
    yield "{"
    yield f'"root": {json.dumps(str(root))},'
    yield '"databases": {'
    for service in SERVICES:
        yield from indented(
            database(root / f"{service}.sqlite", str(root)), "," if service != SERVICES[-1] else "", service
        )
    yield "},"
    yield '"files": {'
    files = [path for path in sorted((root / "blobs").rglob("*")) if path.is_file()]
    lines = [f"{json.dumps(str(path.relative_to(root)))}: {json.dumps(as_text(path.read_bytes()))}" for path in files]
    yield ",\n".join(lines)
    yield "}"
    yield "}"


def indented(lines: Iterable[str], comma: str, service: str) -> Iterator[str]:
    """A database under its service's name."""
    yield f'"{service}": {{'
    yield from lines
    yield f"}}{comma}"


def database(path: Path, root: str) -> Iterator[str]:
    """The tables of a database, without what is empty."""
    with sqlite3.connect(path) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        yield f'"revision": "{revision}",'
        yield '"tables": {'
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = []
        for (name,) in connection.execute(f"{names} AND name <> 'alembic_version' ORDER BY rowid").fetchall():
            found = connection.execute(f'SELECT * FROM "{name}"')
            columns = [column[0] for column in found.description]
            rows = [json.dumps([kept(value, root) for value in row]) for row in found.fetchall()]
            if rows:
                body = ",\n".join(rows)
                tables.append(f'"{name}": {{"columns": {json.dumps(columns)}, "rows": [\n{body}]}}')
        yield ",\n".join(tables)
        yield "}"


def kept(value: Any, root: str) -> Any:
    """A value as JSON has it; bytes are wrapped."""
    if not isinstance(value, bytes):
        return value
    if value[:2] == b"\1x":
        assert root.encode() not in zlib.decompress(value[1:]), "the data folder is named where it cannot be replaced"
    return {"base64": as_text(value)}


def as_text(value: bytes) -> str:
    """Base64."""
    return base64.b64encode(value).decode()


if __name__ == "__main__":
    main()
