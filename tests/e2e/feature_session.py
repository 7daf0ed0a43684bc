"""Runs many executions at the same time with FlyteRemote and tells, as JSON, how each has ended.

Run by the tests inside the tasks' environment, with the platform in variables: `feature_session.py VERSION`, with
`{case: [kind, name, inputs]}` on the standard input, where kind is `plan` or `task`.
"""

import json
import os
import sys
import time
from typing import Any

from flytekit.configuration import Config
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.remote import FlyteNodeExecution, FlyteRemote, FlyteWorkflowExecution

DEADLINE_SECONDS = 240
TERMINAL = (
    WorkflowExecutionPhase.SUCCEEDED,
    WorkflowExecutionPhase.FAILED,
    WorkflowExecutionPhase.ABORTED,
    WorkflowExecutionPhase.TIMED_OUT,
)


def main() -> None:
    config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
    remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development")
    cases: dict[str, list[Any]] = json.load(sys.stdin)
    running = {case: launch(remote, *told) for case, told in cases.items()}
    deadline = time.monotonic() + DEADLINE_SECONDS
    ended: dict[str, dict[str, Any]] = {}
    while running and time.monotonic() < deadline:
        for case, execution in list(running.items()):
            if remote.client.get_execution(execution.id).closure.phase in TERMINAL:
                ended[case] = read(remote, running.pop(case))
        time.sleep(0.1)
    json.dump(
        ended | {case: {"phase": "too slow", **named(execution)} for case, execution in running.items()}, sys.stdout
    )


def launch(remote: FlyteRemote, kind: str, name: str, inputs: dict[str, Any]) -> FlyteWorkflowExecution:
    fetch = remote.fetch_launch_plan if kind == "plan" else remote.fetch_task
    return remote.execute(fetch(name=name, version=sys.argv[1]), inputs=inputs)


def named(execution: FlyteWorkflowExecution) -> dict[str, Any]:
    return {"name": execution.id.name}


def read(remote: FlyteRemote, execution: FlyteWorkflowExecution) -> dict[str, Any]:
    """What FlyteRemote knows of an execution after it has followed every node."""
    synced = remote.sync_execution(execution, sync_nodes=True)
    error = synced.closure.error
    outputs = None if error else synced.outputs
    return {
        **named(execution),
        "phase": WorkflowExecutionPhase.enum_to_string(synced.closure.phase),
        "outputs": {name: outputs[name] for name in outputs.literals} if outputs else {},
        "error": {"code": error.code, "message": error.message, "kind": error.kind} if error else None,
        "nodes": nodes(synced.node_executions),
    }


def nodes(found: dict[str, FlyteNodeExecution]) -> dict[str, Any]:
    told = {}
    for node_id, node in found.items():
        below = {**node.subworkflow_node_executions} if node.subworkflow_node_executions else {}
        told[node_id] = {
            "phase": node.closure.phase,
            "spec": node.metadata.spec_node_id,
            "tasks": [task.closure.phase for task in flat(node.task_executions)],
            "executions": [child.id.name for child in node.workflow_executions],
            "nodes": nodes(below),
        }
    return told


def flat(found: list[Any]) -> list[Any]:
    """FlyteRemote keeps the task executions below a dynamic node in lists within the list."""
    return [task for each in found for task in (flat(each) if isinstance(each, list) else [each])]


if __name__ == "__main__":
    main()
