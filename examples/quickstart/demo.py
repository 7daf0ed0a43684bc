"""Start a control plane, register the project beside this file, run it twice, and show what happened.

    python examples/quickstart/demo.py [--port 30080] [--data-dir .elevon/demo]

Exit code 0 means that both executions succeeded and that the second took its models from the cache.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from elevon_client import Client, is_terminal
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TASKS = ROOT / ".flytekit-venv" / "bin"
PROJECT, DOMAIN = "flytesnacks", "development"
COLOURS = {"SUCCEEDED": "green", "FAILED": "red", "RUNNING": "cyan", "QUEUED": "yellow", "ABORTED": "red"}
ENOUGH_SECONDS = 300

console = Console(highlight=False)


class DemoFailed(Exception):
    """The demonstration did not show what it promises."""


async def main() -> int:
    options = parse_arguments()
    target = f"localhost:{options.port}"
    try:
        async with control_plane(options.port, options.data_dir), Client(target) as client:
            await register(target)
            plan = await latest_launch_plan(client)
            names = await node_names(client, plan)
            for number in (1, 2):
                console.rule(f"[bold]execution {number} of 2")
                execution, nodes = await run(client, plan, names)
                await show_outputs(client, execution)
                show_times(execution, nodes, names)
            check_cached(nodes)
            show_next_steps(options.data_dir, execution)
    except DemoFailed as failure:
        console.print(f"[bold red]The demonstration failed:[/] {failure}")
        return 1
    console.print("[bold green]Both executions succeeded; the second took its models from the cache.")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=30080, help="where the control plane listens")
    parser.add_argument("--data-dir", type=Path, default=ROOT / ".elevon" / "demo", help="where it keeps its data")
    return parser.parse_args()


@asynccontextmanager
async def control_plane(port: int, data_dir: Path) -> AsyncIterator[None]:
    """Run `elevon up` for as long as the block lasts."""
    began = time.monotonic()
    command = [sys.executable, "-m", "elevon", "up", "--port", str(port), "--data-dir", str(data_dir)]
    command += ["--python", str(TASKS / "python"), "--config", str(HERE / "elevon.yaml")]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    drained = None
    try:
        async for raw in process.stdout:
            if raw.startswith(b"ready"):
                break
        else:
            raise DemoFailed(f"`{' '.join(command)}` ended with code {await process.wait()}")
        drained = asyncio.create_task(process.stdout.read())
        console.print(f"[bold]control plane[/] ready on localhost:{port} after {time.monotonic() - began:.1f} s")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        if drained is not None:
            await drained


async def register(target: str) -> None:
    """Register the project as any user would, with pyflyte."""
    began = time.monotonic()
    environment = {
        **os.environ,
        "FLYTE_PLATFORM_URL": target,
        "FLYTE_PLATFORM_INSECURE": "true",
        "PATH": f"{TASKS}{os.pathsep}{os.environ['PATH']}",
    }
    process = await asyncio.create_subprocess_exec(
        str(TASKS / "pyflyte"),
        *("register", "--project", PROJECT, "--domain", DOMAIN, "workflows.py"),
        cwd=HERE,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    if process.returncode != 0:
        raise DemoFailed(f"pyflyte register failed:\n{printed.decode(errors='replace')}")
    console.print(f"[bold]pyflyte register[/] took {time.monotonic() - began:.1f} s")


async def latest_launch_plan(client: Client) -> core.Identifier:
    answer = await client.admin.ListLaunchPlans(
        admin.ResourceListRequest(
            id=admin.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name="workflows.flowers"),
            limit=1,
            sort_by=admin.Sort(key="created_at", direction=admin.Sort.DESCENDING),
        )
    )
    plan_id: core.Identifier = answer.launch_plans[0].id
    return plan_id


async def node_names(client: Client, plan: core.Identifier) -> dict[str, str]:
    """The task name of each node id of the workflow."""
    workflow_id = core.Identifier()
    workflow_id.CopyFrom(plan)
    workflow_id.resource_type = core.WORKFLOW
    workflow = await client.admin.GetWorkflow(admin.ObjectGetRequest(id=workflow_id))
    return {node.id: node.metadata.name for node in workflow.closure.compiled_workflow.primary.template.nodes}


async def run(
    client: Client, plan: core.Identifier, names: dict[str, str]
) -> tuple[admin.Execution, list[admin.NodeExecution]]:
    """Launch, follow every node until the end, and return the execution with its nodes."""
    spec = admin.ExecutionSpec(launch_plan=plan, metadata=admin.ExecutionMetadata())
    created = await client.admin.CreateExecution(
        admin.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, spec=spec)
    )
    console.print(f"launched [bold]{created.id.name}")
    began = time.monotonic()
    seen: dict[str, str] = {}
    while True:
        execution = await client.execution(created.id)
        nodes = [node async for node in client.node_executions(created.id)]
        show_changes(nodes, names, seen, began)
        if is_terminal(execution):
            break
        if time.monotonic() - began > ENOUGH_SECONDS:
            raise DemoFailed(f"execution {created.id.name} did not end within {ENOUGH_SECONDS} s")
        await asyncio.sleep(0.1)
    phase = core.WorkflowExecution.Phase.Name(execution.closure.phase)
    if execution.closure.phase != core.WorkflowExecution.SUCCEEDED:
        raise DemoFailed(f"execution {created.id.name} ended {phase}: {execution.closure.error.message}")
    return execution, nodes


def show_changes(nodes: list[admin.NodeExecution], names: dict[str, str], seen: dict[str, str], began: float) -> None:
    for node in nodes:
        if node.id.node_id in ("start-node", "end-node"):
            continue
        phase = core.NodeExecution.Phase.Name(node.closure.phase)
        shown = f"{phase} from the cache" if is_hit(node) else phase
        if seen.get(node.id.node_id) != shown:
            seen[node.id.node_id] = shown
            name, colour = names.get(node.id.node_id, node.id.node_id), COLOURS.get(phase, "white")
            console.print(f"  {time.monotonic() - began:6.2f} s  {name:10} [{colour}]{shown}[/]")


async def show_outputs(client: Client, execution: admin.Execution) -> None:
    data = await client.admin.GetExecutionData(admin.WorkflowExecutionGetDataRequest(id=execution.id))
    if not data.full_outputs.literals:
        raise DemoFailed("the execution succeeded without outputs")
    for name, literal in sorted(data.full_outputs.literals.items()):
        console.print(f"  output [bold]{name}[/] = {readable(literal)}")


def readable(literal: core.Literal) -> str:
    if literal.scalar.HasField("blob"):
        return literal.scalar.blob.uri
    if literal.scalar.HasField("binary"):
        import msgpack

        return str(msgpack.unpackb(literal.scalar.binary.value))
    return str(MessageToDict(literal))


def show_times(execution: admin.Execution, nodes: list[admin.NodeExecution], names: dict[str, str]) -> None:
    table = Table("node", "task", "waited", "ran", "cache", title="where the time went", title_justify="left")
    for node in nodes:
        if node.id.node_id in ("start-node", "end-node"):
            continue
        closure = node.closure
        waited = seconds_between(closure.created_at, closure.started_at) if closure.HasField("started_at") else 0.0
        ran = closure.duration.ToTimedelta().total_seconds()
        cache = "hit" if is_hit(node) else ""
        table.add_row(node.id.node_id, names.get(node.id.node_id, ""), f"{waited:.3f} s", f"{ran:.3f} s", cache)
    console.print(table)
    total = execution.closure.duration.ToTimedelta().total_seconds()
    console.print(f"  the whole execution took {total:.2f} s")


def seconds_between(first: Timestamp, second: Timestamp) -> float:
    return float((second.ToDatetime() - first.ToDatetime()).total_seconds())


def is_hit(node: admin.NodeExecution) -> bool:
    return bool(node.closure.task_node_metadata.cache_status == core.CACHE_HIT)


def check_cached(nodes: list[admin.NodeExecution]) -> None:
    hits = sum(is_hit(node) for node in nodes)
    if hits != 3:
        raise DemoFailed(f"three nodes should have come from the cache in the second execution, {hits} did")


def show_next_steps(data_dir: Path, execution: admin.Execution) -> None:
    console.rule("look further")
    console.print("  make up                      # the control plane, to stay; then, in another shell:")
    console.print("  export FLYTE_PLATFORM_URL=localhost:30080 FLYTE_PLATFORM_INSECURE=true")
    console.print(
        "  pyflyte run --remote --wait --poll-interval 1 examples/quickstart/workflows.py flowers --count 300"
    )
    console.print(f"  ls {data_dir}    # the data of this demonstration; its last execution was {execution.id.name}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
