"""Admin's services: every RPC with what it answers.

The world has tasks `t` and `told`, which has a description, workflows `w` and `timed`, launch plans of both, `live`,
which is active, and `full`, which is at its concurrency limit. Of the executions `x` and `y` run, `ending` is being
aborted, `done` and `failed` have ended, `aside` is put away, and `early` runs in the archived project `closed`.
`done` has a node with a deck and outputs, one below its attempt, and a dynamic one.
"""

from __future__ import annotations

from typing import Any

from tests.compatibility import (
    attributes_table,
    executions_table,
    names_table,
    nodes_table,
    other_services_table,
    registry_table,
)
from tests.compatibility.admin_words import integer, launch, literals
from tests.compatibility.cases import Json, Service, attempt, entity, execution, node
from tests.compatibility.nodes_table import event

ADMIN = Service(
    "flyteidl.service.AdminService",
    (
        *registry_table.RPCS,
        *executions_table.RPCS,
        *nodes_table.RPCS,
        *attributes_table.RPCS,
        *names_table.RPCS,
    ),
)
SERVICES = (
    ADMIN,
    other_services_table.SIGNALS,
    other_services_table.DATA,
    other_services_table.IDENTITY,
    other_services_table.AUTHENTICATION,
)

SETTINGS: dict[str, Any] = {
    "registration": {"task_type_whitelist": {"sparkonk8s": [{"project": "flytetester"}]}, "max_workflow_nodes": 4},
    "task_resources": {"limits": {"cpu": "2", "memory": "1Gi", "gpu": "1"}},
    "executions": {"max_label_entries": 2, "max_annotation_entries": 2},
    "data": {"max_literal_bytes": 4096},
}
"""How the world's admin is set."""


def started(name: str, **place: str) -> list[tuple[str, Json]]:
    """An execution that runs."""
    created = {**launch(name, tags=["blue"] if name == "x" else []), **place}
    running = event({"executionId": execution(name, **place)}, "RUNNING")
    return [("AdminService.CreateExecution", created), ("AdminService.CreateWorkflowEvent", running)]


def one_node(name: str, phase: str, attempts: int = 1, **fields: Any) -> list[tuple[str, Json]]:
    """The first node of an execution and its attempts, first running, then in a phase."""
    task = {"taskId": entity("TASK", "t"), "parentNodeExecutionId": node(name)}
    outputs = {"outputData": literals(o0=integer(7))} if phase == "SUCCEEDED" else {}
    changes = [("NodeEvent", event({"id": node(name)}, "RUNNING", specNodeId="n0", eventVersion=1))]
    for number in range(attempts):
        changes.append(("TaskEvent", event({**task, "retryAttempt": number}, "RUNNING")))
        if phase != "RUNNING":
            changes.append(("TaskEvent", event({**task, "retryAttempt": number}, phase, **outputs)))
    if phase != "RUNNING":
        changes.append(("NodeEvent", event({"id": node(name)}, phase, **outputs, **fields)))
    return [(f"AdminService.Create{kind}", change) for kind, change in changes]


def ended_with(name: str, phase: str) -> tuple[str, Json]:
    """The end of an execution."""
    return "AdminService.CreateWorkflowEvent", event({"executionId": execution(name)}, phase)


def dynamic(name: str) -> list[tuple[str, Json]]:
    """A dynamic node with a node below it, and one below the first node's attempt."""
    made = {"primary": {"template": {"id": entity("WORKFLOW", "made")}}}
    workflow = {"id": entity("WORKFLOW", "made"), "compiledWorkflow": made}
    parent = event(
        {"id": node(name, "dynamic")},
        "DYNAMIC_RUNNING",
        isDynamic=True,
        isParent=True,
        specNodeId="n0",
        eventVersion=1,
        taskNodeMetadata={"dynamicWorkflow": workflow},
    )
    gone = event({"id": node(name, "dynamic")}, "SUCCEEDED", deckUri="{store}/absent.html")
    below = event({"id": node(name, "dynamic-0-dn0")}, "RUNNING", parentNodeMetadata={"nodeId": "dynamic"})
    of_attempt = event({"id": node(name, "n0-child")}, "RUNNING", parentTaskMetadata={"id": attempt(name)})
    return [("AdminService.CreateNodeEvent", change) for change in (parent, below, gone, of_attempt)]


WORLD: tuple[tuple[str, Json], ...] = (
    ("AdminService.RegisterProject", {"project": {"id": "closed", "name": "Closed"}}),
    *((f"AdminService.{rpc}", request) for rpc, request in (*registry_table.WORLD, *attributes_table.WORLD)),
    *started("x"),
    *one_node("x", "RUNNING"),
    *started("y"),
    *started("ending"),
    ("AdminService.TerminateExecution", {"id": execution("ending"), "cause": "enough"}),
    *started("done"),
    *one_node("done", "SUCCEEDED", deckUri="{store}/deck.html"),
    *dynamic("done"),
    ended_with("done", "SUCCEEDED"),
    *started("failed"),
    *one_node("failed", "FAILED", attempts=2),
    ended_with("failed", "FAILED"),
    *started("aside"),
    ("AdminService.UpdateExecution", {"id": execution("aside"), "state": "EXECUTION_ARCHIVED"}),
    *started("early", project="closed"),
    ("AdminService.UpdateProject", {"id": "closed", "state": "ARCHIVED"}),
    ("SignalService.GetOrCreateSignal", other_services_table.GO),
    *(
        ("SignalService.GetOrCreateSignal", other_services_table.signal(name, "failed", type={"simple": "BOOLEAN"}))
        for name in ("one", "two")
    ),
)
"""The calls that make the world; `{store}` stands for the folder that data is kept in."""

FILES = {
    "deck.html": b"<p>deck</p>",
    "flytesnacks/development/there/f": b"",
    "there/f": b"",
}
"""What is in that folder."""
