"""What admin answers about node executions, task executions, and the events that make them."""

from __future__ import annotations

from typing import Any

from tests.compatibility.admin_words import TIME, filtered, integer, literals, paged
from tests.compatibility.cases import (
    EXHAUSTED,
    EXISTS,
    INVALID,
    MISSING,
    PRECONDITION,
    Case,
    Json,
    Rpc,
    attempt,
    entity,
    execution,
    node,
)
from tests.compatibility.executions_table import ENDED, NO_EXECUTION, ended

NO_NODE = "missing entity of type node execution with identifier"
NO_ATTEMPT = "missing entity of type task execution with identifier"
LARGE = literals(o0={"scalar": {"primitive": {"stringValue": "x" * 5000}}})
"""More than the world's admin takes within an event."""


def unidentified_node(request: Json, field: str = "id") -> tuple[Case, ...]:
    """Refusals of a request whose identifier is not that of a node execution."""
    without = {name: value for name, value in request.items() if name != field}
    nameless = {"executionId": execution(""), "nodeId": "n0"}
    return (
        Case("no identifier", without, INVALID, "missing"),
        Case("no execution", {**request, field: {"nodeId": "n0"}}, INVALID, "execution_id"),
        Case("an execution without a name", {**request, field: nameless}, INVALID, "name"),
        Case("no node", {**request, field: {"executionId": execution("x")}}, INVALID, "node_id"),
    )


def unidentified_attempt(request: Json, field: str = "id") -> tuple[Case, ...]:
    """Refusals of a request whose identifier is not that of a task execution."""
    without = {name: value for name, value in request.items() if name != field}
    whole = attempt("x")
    return (
        Case("no identifier", without, INVALID, "missing"),
        Case("no task", {**request, field: {"nodeExecutionId": whole["nodeExecutionId"]}}, INVALID, "task_id"),
        Case("no node", {**request, field: {"taskId": whole["taskId"]}}, INVALID, "node_execution_id"),
        Case(
            "a task without a version",
            {**request, field: {**whole, "taskId": entity("TASK", "t", "")}},
            INVALID,
            "version",
        ),
    )


def event(identified: Json, phase: str | int, **changes: Any) -> dict[str, Any]:
    return {"event": {**identified, "phase": phase, "occurredAt": TIME, **changes}}


def event_cases(identified: Json, phase: str, over: tuple[Json, str], absent: tuple[Json, str]) -> tuple[Case, ...]:
    """What becomes of events of one kind; `over` has ended in a phase, `absent` does not exist, with what is said."""
    finished, its_phase = over
    nobody, words = absent
    return (
        Case("a change", event(identified, phase), again=EXISTS),
        Case("the same again", event(identified, phase), EXISTS, "already recorded"),
        Case("of what has ended", event(finished, "RUNNING"), PRECONDITION, detail=ended(its_phase)),
        Case("the end once more", event(finished, its_phase), EXISTS, "already recorded"),
        Case(
            "of another cluster",
            event(identified, "FAILED", producerId="another"),
            PRECONDITION,
            "another",
            detail=(ENDED, {"incompatibleCluster": {"cluster": "another"}}),
        ),
        Case("of what does not exist", event(nobody, phase), MISSING, words),
        Case("with more than it may carry", event(identified, "SUCCEEDED", outputData=LARGE), EXHAUSTED, "bytes"),
        Case("no event", {}, INVALID, "missing event"),
        Case("a phase that is none", event(identified, 99), INVALID, "phase"),
    )


TASK_EVENT = {"taskId": entity("TASK", "t"), "parentNodeExecutionId": node("x"), "retryAttempt": 1}

EVENTS = (
    Rpc(
        "CreateWorkflowEvent",
        (
            *event_cases(
                {"executionId": execution("x")},
                "SUCCEEDING",
                ({"executionId": execution("done")}, "SUCCEEDED"),
                ({"executionId": execution("absent")}, NO_EXECUTION),
            ),
            Case("of no execution", event({}, "RUNNING"), INVALID, "execution_id"),
            Case("no time", {"event": {"executionId": execution("y"), "phase": "FAILED"}}, INVALID, "occurred_at"),
            Case(
                "queued after it ran",
                event({"executionId": execution("y")}, "QUEUED"),
                PRECONDITION,
                "QUEUED cannot follow",
            ),
            Case(
                "anything but an end of an abort",
                event({"executionId": execution("ending")}, "RUNNING"),
                PRECONDITION,
                "RUNNING cannot follow",
            ),
            Case("the end of an abort", event({"executionId": execution("ending")}, "ABORTED"), again=EXISTS),
        ),
        better="Batches of events in one call through EventService; repeated events are told from new ones.",
        alone=True,
    ),
    Rpc(
        "CreateNodeEvent",
        (
            *event_cases(
                {"id": node("x")},
                "FAILING",
                ({"id": node("done")}, "SUCCEEDED"),
                ({"id": node("absent")}, NO_EXECUTION),
            ),
            Case("a new node", event({"id": node("x", "n9")}, "QUEUED"), again=EXISTS),
            Case(
                "below a node that does not exist",
                event({"id": node("x", "n10")}, "QUEUED", parentNodeMetadata={"nodeId": "absent"}),
                MISSING,
                NO_NODE,
            ),
            Case(
                "below an attempt that does not exist",
                event({"id": node("x", "n10")}, "QUEUED", parentTaskMetadata={"id": attempt("x", 9)}),
                MISSING,
                NO_ATTEMPT,
            ),
            Case(
                "of a child that does not exist",
                event({"id": node("x", "n9")}, "RUNNING", workflowNodeMetadata={"executionId": execution("absent")}),
                MISSING,
                NO_EXECUTION,
            ),
            Case("of no node", event({"id": {"executionId": execution("x")}}, "RUNNING"), INVALID, "node_id"),
            Case("of nothing", event({}, "RUNNING"), INVALID, "missing id"),
            Case("no time", {"event": {"id": node("x"), "phase": "FAILED"}}, INVALID, "missing occurred_at"),
        ),
        alone=True,
        better="The detail of a refusal names the recorded phase, not that of the event.",
    ),
    Rpc(
        "CreateTaskEvent",
        (
            *event_cases(
                TASK_EVENT,
                "QUEUED",
                ({"taskId": entity("TASK", "t"), "parentNodeExecutionId": node("done")}, "SUCCEEDED"),
                ({"taskId": entity("TASK", "t"), "parentNodeExecutionId": node("absent")}, NO_EXECUTION),
            ),
            Case("a later version of a phase", event(TASK_EVENT, "QUEUED", phaseVersion=1), again=EXISTS),
            Case(
                "of a node that does not exist",
                event({**TASK_EVENT, "parentNodeExecutionId": node("x", "absent")}, "QUEUED"),
                MISSING,
                NO_NODE,
            ),
            Case("no time", {"event": {**TASK_EVENT, "phase": "FAILED"}}, INVALID, "missing occurred_at"),
            Case("of no task", event({**TASK_EVENT, "taskId": {}}, "QUEUED"), INVALID, "missing"),
            Case("of no node", event({**TASK_EVENT, "parentNodeExecutionId": {}}, "QUEUED"), INVALID, "missing"),
        ),
        alone=True,
        better="A version of 0 counts after a change of phase; first events are told to receivers too.",
    ),
)

READING = (
    Rpc(
        "GetNodeExecution",
        (
            Case(
                "one that exists",
                {"id": node("x")},
                answer={"id": node("x"), "closure": {"phase": "RUNNING"}, "metadata": {"specNodeId": "n0"}},
            ),
            Case("one that does not exist", {"id": node("x", "absent")}, MISSING, NO_NODE),
            *unidentified_node({}),
        ),
    ),
    Rpc(
        "GetDynamicNodeWorkflow",
        (
            Case(
                "of a dynamic node",
                {"id": node("done", "dynamic")},
                answer={"compiledWorkflow": {"primary": {"template": {"id": entity("WORKFLOW", "made")}}}},
            ),
            Case("of another one", {"id": node("x")}, MISSING, "node does not contain dynamic workflow"),
            Case("of a node that does not exist", {"id": node("x", "absent")}, MISSING, NO_NODE),
            *unidentified_node({}),
        ),
    ),
    Rpc(
        "ListNodeExecutions",
        (
            Case(
                "the top level",
                {
                    "workflowExecutionId": execution("done"),
                    "limit": 10,
                    "sortBy": {"key": "node_id", "direction": "ASCENDING"},
                },
                answer={"nodeExecutions": [{"id": node("done", "dynamic")}, {"id": node("done")}]},
            ),
            Case(
                "below a node",
                {"workflowExecutionId": execution("done"), "limit": 10, "uniqueParentId": "dynamic"},
                answer={"nodeExecutions": [{"id": node("done", "dynamic-0-dn0")}]},
            ),
            Case(
                "with a filter",
                {
                    "workflowExecutionId": execution("x"),
                    "limit": 10,
                    "filters": "eq(phase,RUNNING)+eq(execution.phase,RUNNING)",
                },
                answer={"nodeExecutions": [{"id": node("x")}]},
            ),
            Case("a page", {"workflowExecutionId": execution("done"), "limit": 1}, answer={"token": "1"}),
            Case(
                "of an execution that does not exist",
                {"workflowExecutionId": execution("absent"), "limit": 10},
                answer={},
            ),
            Case(
                "below a node that does not exist",
                {"workflowExecutionId": execution("x"), "limit": 10, "uniqueParentId": "absent"},
                MISSING,
                NO_NODE,
            ),
            Case("no execution", {"limit": 10}, INVALID, "missing execution_id"),
            *paged({"workflowExecutionId": execution("x"), "limit": 10}),
            *filtered({"workflowExecutionId": execution("x"), "limit": 10}),
        ),
    ),
    Rpc(
        "ListNodeExecutionsForTask",
        (
            Case(
                "below an attempt",
                {"taskExecutionId": attempt("done"), "limit": 10},
                answer={"nodeExecutions": [{"id": node("done", "n0-child")}]},
            ),
            Case("below one that has none", {"taskExecutionId": attempt("x"), "limit": 10}, answer={}),
            Case(
                "of an attempt that does not exist",
                {"taskExecutionId": attempt("x", 9), "limit": 10},
                MISSING,
                NO_ATTEMPT,
            ),
            *unidentified_attempt({"limit": 10}, "taskExecutionId"),
            *paged({"taskExecutionId": attempt("x"), "limit": 10}),
            *filtered({"taskExecutionId": attempt("x"), "limit": 10}),
        ),
    ),
    Rpc(
        "GetNodeExecutionData",
        (
            Case(
                "of one that has ended",
                {"id": node("done")},
                answer={
                    "inputs": {},
                    "outputs": {},
                    "fullOutputs": literals(o0=integer(7)),
                    "flyteUrls": {
                        "inputs": "flyte://v1/flytesnacks/development/done/n0/i",
                        "outputs": "flyte://v1/flytesnacks/development/done/n0/o",
                        "deck": "flyte://v1/flytesnacks/development/done/n0/d",
                    },
                },
            ),
            Case(
                "of a dynamic node",
                {"id": node("done", "dynamic")},
                answer={"dynamicWorkflow": {"id": entity("WORKFLOW", "made")}},
            ),
            Case("of one that does not exist", {"id": node("x", "absent")}, MISSING, NO_NODE),
            *unidentified_node({}),
        ),
        better="What is too large for an answer is told as an address, which flytekit downloads from.",
    ),
    Rpc(
        "GetTaskExecution",
        (
            Case(
                "one that exists",
                {"id": attempt("x")},
                answer={
                    "id": {"taskId": entity("TASK", "t"), "nodeExecutionId": node("x")},
                    "closure": {"phase": "RUNNING"},
                },
            ),
            Case("one that has nodes below it", {"id": attempt("done")}, answer={"isParent": True}),
            Case(
                "without saying the task's kind",
                {"id": {**attempt("x"), "taskId": {**entity("TASK", "t"), "resourceType": "UNSPECIFIED"}}},
                answer={"closure": {"phase": "RUNNING"}},
            ),
            Case("one that does not exist", {"id": attempt("x", 9)}, MISSING, NO_ATTEMPT),
            *unidentified_attempt({}),
        ),
    ),
    Rpc(
        "ListTaskExecutions",
        (
            Case(
                "of a node",
                {"nodeExecutionId": node("x"), "limit": 10},
                answer={"taskExecutions": [{"closure": {"phase": "RUNNING"}}]},
            ),
            Case(
                "with filters",
                {
                    "nodeExecutionId": node("x"),
                    "limit": 10,
                    "filters": "eq(task.name,t)+value_in(phase, RUNNING;QUEUED)",
                },
                answer={"taskExecutions": [{"closure": {"phase": "RUNNING"}}]},
            ),
            Case(
                "a page",
                {"nodeExecutionId": node("failed"), "limit": 1},
                answer={"taskExecutions": [...], "token": "1"},
            ),
            Case("of a node that has none", {"nodeExecutionId": node("done", "dynamic"), "limit": 10}, answer={}),
            *unidentified_node({"limit": 10}, "nodeExecutionId"),
            *paged({"nodeExecutionId": node("x"), "limit": 10}),
            *filtered({"nodeExecutionId": node("x"), "limit": 10}),
        ),
    ),
    Rpc(
        "GetTaskExecutionData",
        (
            Case(
                "of one that has ended",
                {"id": attempt("done")},
                answer={
                    "inputs": {},
                    "outputs": {},
                    "fullOutputs": literals(o0=integer(7)),
                    "flyteUrls": {"outputs": "flyte://v1/flytesnacks/development/done/n0/0/o"},
                },
            ),
            Case("of one that does not exist", {"id": attempt("x", 9)}, MISSING, NO_ATTEMPT),
            *unidentified_attempt({}),
        ),
        better="What is too large for an answer is told as an address, which flytekit downloads from.",
    ),
)

RPCS = (*READING[:5], *EVENTS, *READING[5:])
