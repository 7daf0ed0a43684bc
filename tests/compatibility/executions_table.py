"""What admin answers about executions."""

from __future__ import annotations

from typing import Any

from tests.compatibility.admin_words import (
    INACTIVE,
    LONG,
    filtered,
    integer,
    launch,
    literals,
    page,
    paged,
    text,
    told_of,
)
from tests.compatibility.cases import (
    EXISTS,
    INVALID,
    MISSING,
    PLACE,
    PRECONDITION,
    Case,
    Json,
    Rpc,
    entity,
    execution,
    node,
)

ENDED = "flyteidl.admin.EventFailureReason"
"""The detail of what comes after the end."""

NO_EXECUTION = "missing entity of type execution with identifier"


def ended(phase: str) -> tuple[str, Json]:
    return ENDED, {"alreadyInTerminalState": {"currentPhase": phase}}


def bad(title: str, words: str, **changes: Any) -> Case:
    """A launch that is refused; `changes` are fields of the spec."""
    return Case(title, launch("n", **changes), INVALID, words)


def elsewhere(title: str, words: str, **changes: Any) -> Case:
    """A launch that is refused; `changes` are fields of the request."""
    return Case(title, {**launch("n"), **changes}, INVALID, words)


def unidentified(request: Json, *, missing: str = "missing") -> tuple[Case, ...]:
    """Refusals of a request whose `id` is not that of an execution."""
    without = {name: value for name, value in request.items() if name != "id"}
    return (
        Case("no identifier", without, INVALID, missing),
        *(
            Case(f"no {part}", {**request, "id": execution(**{"name": "x", part: ""})}, INVALID, part)
            for part in ("project", "domain", "name")
        ),
    )


def again(rpc: str, source: str) -> tuple[Case, ...]:
    """Launching once more what an earlier execution had."""
    return (
        Case(
            "with a name",
            {"id": execution(source), "name": f"{rpc}-named"},
            again=EXISTS,
            answer={"id": execution(f"{rpc}-named")},
        ),
        Case("without a name", {"id": execution(source)}, answer={"id": dict(PLACE)}),
        Case("of one that runs", {"id": execution("x"), "name": f"{rpc}-early"}, again=EXISTS),
        Case("a name that is taken", {"id": execution(source), "name": "x"}, EXISTS, ":x already exists"),
        Case("a name that is none", {"id": execution(source), "name": "Not A Name"}, INVALID, "invalid value for name"),
        Case("of what does not exist", {"id": execution("absent")}, MISSING, NO_EXECUTION),
        Case(
            "in an archived project",
            {"id": execution("early", project="closed")},
            INVALID,
            "project [closed] is not active",
            detail=INACTIVE,
        ),
        *unidentified({}),
    )


CREATION = Rpc(
    "CreateExecution",
    (
        Case("of a launch plan", launch("new"), again=EXISTS, answer={"id": execution("new")}),
        Case("without a name", launch(""), answer={"id": dict(PLACE)}),
        Case(
            "of a task",
            launch("single", launchPlan=entity("TASK", "t")),
            again=EXISTS,
            answer={"id": execution("single")},
        ),
        Case(
            "with inputs where old clients put them",
            {**launch("old", inputs={}), "spec": {**launch("old")["spec"], "inputs": literals(a=integer())}},
            again=EXISTS,
        ),
        Case("in another project", {**launch("far"), "project": "flytetester"}, again=EXISTS),
        Case("below a node", launch("child", metadata={"parentNodeExecution": node("x")}), again=EXISTS),
        Case("of a plan that is not active", launch("resting", "live"), again=EXISTS),
        Case("a name that is taken", launch("x"), EXISTS, "execution flytesnacks:development:x already exists"),
        Case(
            "one too many of a launch plan",
            launch("n", "full"),
            EXISTS,
            "concurrency limit (1) reached for launch plan full; skipping execution",
        ),
        elsewhere("no project", "missing project", project=""),
        elsewhere("no domain", "missing domain", domain=""),
        elsewhere("an unknown project", "absent", project="absent"),
        elsewhere("an unknown domain", "domain [absent] is unrecognized by system", domain="absent"),
        Case(
            "an archived project",
            {**launch("n"), "project": "closed"},
            INVALID,
            "project [closed] is not active",
            detail=INACTIVE,
        ),
        elsewhere("a name that is none", "invalid value for name", name="Not A Name"),
        elsewhere("a name with capitals", "invalid value for name", name="Capital"),
        elsewhere("a name that is too long", "invalid value for name", name="x" * 64),
        Case("no spec", {**PLACE, "name": "n"}, INVALID, "missing spec"),
        elsewhere("nothing to launch", "Invalid reference entity resource type", spec={}),
        bad(
            "something that cannot be launched",
            "Invalid reference entity resource type [WORKFLOW]",
            launchPlan=entity("WORKFLOW", "w"),
        ),
        bad("a launch plan without a version", "missing version", launchPlan=entity("LAUNCH_PLAN", "w", "")),
        Case(
            "an unknown launch plan",
            launch("n", "absent"),
            MISSING,
            "missing entity of type LAUNCH_PLAN with identifier",
        ),
        Case(
            "an unknown task",
            launch("n", launchPlan=entity("TASK", "absent")),
            MISSING,
            "missing entity of type TASK with identifier",
        ),
        bad("an input that is missing", "expected_inputs a missing", inputs=literals()),
        bad("an input of another type", "invalid a input wrong type. Expected", inputs=literals(a=text())),
        bad("an input without a value", "missing value of inputs[a]", inputs=literals(a={})),
        bad("an input that nobody expects", "invalid input z", inputs=literals(a=integer(), z=integer())),
        bad("an input without a name", "missing key of inputs", inputs={"literals": {"a": integer(), "": integer()}}),
        bad(
            "a notification of a phase that does not end",
            "phase",
            notifications={"notifications": [told_of("RUNNING")]},
        ),
        bad("a notification of nobody", "recipients", notifications={"notifications": [told_of("FAILED", email={})]}),
        bad("a label that is none", "invalid label key [a b]", labels={"values": {"a b": "c"}}),
        bad(
            "too many labels",
            "labels has too many entries [3 > 2]",
            labels={"values": {f"l{each}": "x" for each in range(3)}},
        ),
        bad(
            "too many annotations",
            "annotations has too many entries [3 > 2]",
            annotations={"values": {f"l{each}": "x" for each in range(3)}},
        ),
        bad("less than no parallelism", "max_parallelism", maxParallelism=-1),
        bad("a variable without a name", "missing envs[0].key", envs={"values": [{"value": "v"}]}),
        bad("a variable whose name is none", "a name must not hold =", envs={"values": [{"key": "A=B"}]}),
        bad("a tag that is too long", "at most 255 characters", tags=[LONG]),
        bad("a mode that is none", "mode", metadata={"mode": 99}),
        bad("a cluster of many", "execution_cluster_label", executionClusterLabel={"value": "east"}),
        Case(
            "below a node that does not exist",
            launch("n", metadata={"parentNodeExecution": node("x", "absent")}),
            MISSING,
            "missing entity of type node execution with identifier",
        ),
    ),
    alone=True,
    better="Committed with its hand-over in one transaction: an engine that is away loses nothing. Nothing is written "
    "for a name that is taken. Concurrency policies that wait or replace, and never too many at once.",
)

READING = (
    Rpc(
        "GetExecution",
        (
            Case(
                "one that runs",
                {"id": execution("x")},
                answer={"id": execution("x"), "closure": {"phase": "RUNNING", "workflowId": entity("WORKFLOW", "w")}},
            ),
            Case(
                "one that has ended",
                {"id": execution("failed")},
                answer={"closure": {"phase": "FAILED", "stateChangeDetails": ...}},
            ),
            Case("one that does not exist", {"id": execution("absent")}, MISSING, NO_EXECUTION),
            *unidentified({}),
        ),
    ),
    Rpc(
        "GetExecutionData",
        (
            Case(
                "of one that runs",
                {"id": execution("x")},
                answer={"inputs": {}, "outputs": {}, "fullInputs": literals(a=integer())},
            ),
            Case("of one that has ended", {"id": execution("done")}, answer={"fullInputs": literals(a=integer())}),
            Case("of one that does not exist", {"id": execution("absent")}, MISSING, NO_EXECUTION),
            *unidentified({}),
        ),
        better="What is too large for an answer is told as an address, which flytekit downloads from.",
    ),
    Rpc(
        "ListExecutions",
        (
            Case(
                "of one name",
                page("x"),
                answer={"executions": [{"id": execution("x"), "closure": {"phase": "RUNNING"}}]},
            ),
            Case(
                "in order, with filters",
                page(
                    filters="value_in(phase,SUCCEEDED;FAILED)+contains(execution.name, d)",
                    sortBy={"key": "execution_name", "direction": "ASCENDING"},
                ),
                answer={"executions": [{"id": {"name": "done"}}, {"id": {"name": "failed"}}]},
            ),
            Case(
                "by what was launched",
                page(filters="eq(launch_plan.name,w)+eq(workflow.name,w)+eq(name,x)"),
                answer={"executions": [{"id": {"name": "x"}}]},
            ),
            Case("by tag", page(filters="eq(execution_tag.key,blue)"), answer={"executions": [{"id": {"name": "x"}}]}),
            Case("those put away", page(filters="eq(state,1)"), answer={"executions": [{"id": {"name": "aside"}}]}),
            Case("a page", page(limit=1), answer={"token": "1"}),
            Case("beyond the end", page(token="1000"), answer={}),
            Case("no identifier", {"limit": 1}, INVALID, "missing id"),
            Case("no project", {"id": {"domain": "development"}, "limit": 1}, INVALID, "missing project"),
            Case("no domain", {"id": {"project": "flytesnacks"}, "limit": 1}, INVALID, "missing domain"),
            *paged(page()),
            *filtered(page()),
            Case(
                "a duration that is none", page(filters="gt(duration,long)"), INVALID, "Failed to parse duration [long]"
            ),
        ),
        better="Ordered always, so that no page repeats or loses a row; an execution with two matching tags is listed "
        "once. `name` and `execution.name` are accepted.",
    ),
    Rpc(
        "GetExecutionMetrics",
        (
            Case(
                "of one that has ended",
                {"id": execution("done"), "depth": 10},
                answer={"span": {"workflowId": execution("done")}},
            ),
            Case(
                "of all depths",
                {"id": execution("done"), "depth": -1},
                answer={"span": {"workflowId": execution("done")}},
            ),
            Case("of no depth", {"id": execution("done")}, answer={"span": {"workflowId": execution("done")}}),
            Case("of one that does not exist", {"id": execution("absent"), "depth": 10}, MISSING, NO_EXECUTION),
            *unidentified({"depth": 10}),
        ),
        better="Sub-workflows are looked up where they are compiled in, registered or not.",
    ),
)

CHANGING = (
    Rpc("RelaunchExecution", again("relaunch", "done"), alone=True),
    Rpc(
        "RecoverExecution",
        again("recover", "failed"),
        alone=True,
        better="Arrays that were half done and child executions that failed are gone on with.",
    ),
    Rpc(
        "UpdateExecution",
        (
            Case("archive", {"id": execution("done"), "state": "EXECUTION_ARCHIVED"}),
            Case("archive one that runs", {"id": execution("x"), "state": "EXECUTION_ARCHIVED"}),
            Case("restore", {"id": execution("aside"), "state": "EXECUTION_ACTIVE"}),
            Case(
                "what does not exist",
                {"id": execution("absent"), "state": "EXECUTION_ARCHIVED"},
                MISSING,
                NO_EXECUTION,
            ),
            Case("a state that is none", {"id": execution("done"), "state": 9}, INVALID, "state"),
            *unidentified({"state": "EXECUTION_ARCHIVED"}),
        ),
        alone=True,
    ),
    Rpc(
        "TerminateExecution",
        (
            Case("one that runs", {"id": execution("x"), "cause": "enough"}),
            Case("without a cause", {"id": execution("x")}),
            Case("in an archived project", {"id": execution("early", project="closed"), "cause": "enough"}),
            Case(
                "one that has ended",
                {"id": execution("done"), "cause": "enough"},
                PRECONDITION,
                detail=ended("SUCCEEDED"),
            ),
            Case("one that does not exist", {"id": execution("absent"), "cause": "enough"}, MISSING, NO_EXECUTION),
            *unidentified({"cause": "enough"}),
        ),
        alone=True,
        better="Never stays ABORTING: what the engine does not know is ABORTED.",
    ),
)

RPCS = (CREATION, *CHANGING[:2], *READING[:1], CHANGING[2], *READING[1:3], CHANGING[3], READING[3])
