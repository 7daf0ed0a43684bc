"""Admin's services: every RPC with what it answers.

The world has task `t`, workflow and launch plan `w`, `live`, which is active, execution `x`, whose node `n0` runs, and
`done` and `failed`, which have ended. Launch plan `full` is at its concurrency limit; task `told` has a description.
"""

from __future__ import annotations

from typing import Any

from tests.compatibility.cases import (
    EXISTS,
    INVALID,
    MISSING,
    PLACE,
    PRECONDITION,
    UNIMPLEMENTED,
    Case,
    Json,
    Rpc,
    Service,
    attempt,
    entity,
    execution,
    node,
)

INTEGER = {"type": {"simple": "INTEGER"}}
TIME = "2026-01-02T03:04:05Z"


def task_spec(name: str, outputs: Json) -> dict[str, Any]:
    return {
        "template": {
            "id": entity("TASK", name),
            "type": "python-task",
            "metadata": {"runtime": {"type": "FLYTE_SDK", "version": "1.16", "flavor": "python"}},
            "interface": {"inputs": {"variables": {"a": INTEGER}}, "outputs": {"variables": outputs}},
            "container": {"image": "image:1", "args": ["run"]},
        }
    }


def workflow_spec(name: str, task: str = "t", bound: str = "a") -> dict[str, Any]:
    promise = {"promise": {"nodeId": "start-node", "var": bound}}
    return {
        "template": {
            "id": entity("WORKFLOW", name),
            "interface": {"inputs": {"variables": {"a": INTEGER}}, "outputs": {"variables": {}}},
            "nodes": [
                {
                    "id": "n0",
                    "metadata": {"name": task},
                    "inputs": [{"var": "a", "binding": promise}],
                    "taskNode": {"referenceId": entity("TASK", task)},
                }
            ],
        }
    }


def create(kind: str, name: str, spec: Json, **changes: str) -> dict[str, Any]:
    return {"id": entity(kind, name, **changes), "spec": spec}


def plan_spec(workflow: str, **changes: Any) -> dict[str, Any]:
    return {"workflowId": entity("WORKFLOW", workflow), **changes}


def launch(name: str, plan: str = "w", value: Any = 1, **changes: Any) -> dict[str, Any]:
    inputs = {"literals": {"a": {"scalar": {"primitive": {"integer": str(value)}}}}} if value is not None else {}
    spec = {"launchPlan": entity("LAUNCH_PLAN", plan), "metadata": {}}
    return {**PLACE, "name": name, "spec": spec, "inputs": inputs, **changes}


def page(name: str = "", **changes: Any) -> dict[str, Any]:
    return {"id": {**PLACE, "name": name}, "limit": 10, **changes}


def gets(kind: str, name: str) -> tuple[Case, ...]:
    return (
        Case("one that exists", {"id": entity(kind, name)}),
        Case("one that does not exist", {"id": entity(kind, "absent")}, MISSING, "absent"),
        Case("no version", {"id": entity(kind, name, "")}, INVALID, "version"),
        Case("no identifier", {}, INVALID, "missing"),
    )


def ids() -> tuple[Case, ...]:
    return (
        Case("a page", {**PLACE, "limit": 10}),
        Case("no limit", dict(PLACE), INVALID, "limit"),
        Case("no project", {"domain": "development", "limit": 10}, INVALID, "project"),
        Case("a token that is none", {**PLACE, "limit": 10, "token": "x"}, INVALID, "token"),
    )


def lists() -> tuple[Case, ...]:
    return (
        Case("a page", page()),
        Case("of one name, sorted", page("w", sortBy={"key": "created_at", "direction": "ASCENDING"})),
        Case("with a filter", page(filters="ne(version,v9)")),
        Case("no limit", page(limit=0), INVALID, "limit"),
        Case("no project", {"id": {"domain": "development"}, "limit": 1}, INVALID, "project"),
        Case("a filter that is none", page(filters="nonsense"), INVALID),
        Case("an unknown column", page(filters="eq(nonsense,1)"), INVALID, "nonsense"),
        Case("an unknown sort key", page(sortBy={"key": "nonsense"}), INVALID, "nonsense"),
        Case("a token that is none", page(token="x"), INVALID, "token"),
    )


def attributes(scope: Json) -> dict[str, Any]:
    return {
        "attributes": {
            **scope,
            "matchingAttributes": {"clusterResourceAttributes": {"attributes": {"quota": "4"}}},
        }
    }


def update_attributes(scope: Json) -> tuple[Case, ...]:
    wrong = {"attributes": {**scope, "project": "absent"}}
    return (
        Case("set", attributes(scope), twice=True),
        Case("an unknown project", {"attributes": {**attributes(scope)["attributes"], "project": "absent"}}, INVALID),
        Case("nothing to set", {"attributes": dict(scope)}, INVALID),
        Case("no attributes", {}, INVALID),
        Case("nothing to set, elsewhere", wrong, INVALID),
    )


def get_attributes(scope: Json) -> tuple[Case, ...]:
    return (
        Case("what nobody set", {**scope, "resourceType": "EXECUTION_QUEUE"}, MISSING),
        Case("an unknown project", {**scope, "project": "absent", "resourceType": "TASK_RESOURCE"}, INVALID),
        Case("no project", {**scope, "project": "", "resourceType": "TASK_RESOURCE"}, INVALID, "project"),
    )


def delete_attributes(scope: Json) -> tuple[Case, ...]:
    return (
        Case("what nobody set", {**scope, "resourceType": "EXECUTION_QUEUE"}, twice=True),
        Case("no project", {**scope, "project": "", "resourceType": "TASK_RESOURCE"}, INVALID, "project"),
    )


def event_cases(identified: Json, phase: str, ended: Json, absent: Json) -> tuple[Case, ...]:
    change = {"event": {**identified, "phase": phase, "occurredAt": TIME}}
    elsewhere = {"event": {**identified, "phase": "FAILED", "occurredAt": TIME, "producerId": "another"}}
    return (
        Case("a change", change),
        Case("the same again", change, EXISTS),
        Case("of what has ended", {"event": {**ended, "phase": "RUNNING", "occurredAt": TIME}}, PRECONDITION),
        Case("of another cluster", elsewhere, PRECONDITION, "another"),
        Case("of what does not exist", {"event": {**absent, "phase": phase, "occurredAt": TIME}}, MISSING),
        Case("no event", {}, INVALID, "missing"),
    )


def integer_literal(value: int) -> dict[str, Any]:
    return {"scalar": {"primitive": {"integer": str(value)}}}


def text_input() -> dict[str, Any]:
    return {"literals": {"a": {"scalar": {"primitive": {"stringValue": "x"}}}}}


def every_day() -> dict[str, Any]:
    return {"rate": {"value": 1, "unit": "DAY"}}


def told_of(phase: str) -> dict[str, Any]:
    return {"phases": [phase], "email": {"recipientsEmail": ["team@example.com"]}}


def limited() -> dict[str, Any]:
    return {"max": 1, "behavior": "CONCURRENCY_LIMIT_BEHAVIOR_SKIP"}


PROJECT_ONLY = {"project": "flytesnacks"}
WORKFLOW_SCOPE = {**PLACE, "workflow": "w"}

RPCS = (
    Rpc(
        "CreateTask",
        (
            Case("a new one", create("TASK", "new", task_spec("new", {"o0": INTEGER}))),
            Case("the same again", create("TASK", "t", task_spec("t", {"o0": INTEGER})), EXISTS, "identical"),
            Case(
                "another one of the same version",
                create("TASK", "t", task_spec("t", {})),
                INVALID,
                "different structure",
            ),
            Case("an unknown project", create("TASK", "t", task_spec("t", {}), project="absent"), INVALID, "absent"),
            Case("no name", create("TASK", "", task_spec("", {})), INVALID, "name"),
            Case("an identifier of something else", create("WORKFLOW", "n", task_spec("n", {})), INVALID, "task"),
            Case("an unknown domain", create("TASK", "n", task_spec("n", {}), domain="absent"), INVALID, "absent"),
            Case("no template", {"id": entity("TASK", "n")}, INVALID),
        ),
        better="The answer names every difference to what is registered.",
    ),
    Rpc("GetTask", gets("TASK", "t")),
    Rpc("ListTaskIds", ids()),
    Rpc("ListTasks", lists()),
    Rpc(
        "CreateWorkflow",
        (
            Case("a new one", create("WORKFLOW", "new", workflow_spec("new"))),
            Case("the same again", create("WORKFLOW", "w", workflow_spec("w")), EXISTS, "identical"),
            Case(
                "another one of the same version",
                create("WORKFLOW", "w", {"template": {**workflow_spec("w")["template"], "nodes": []}}),
                INVALID,
            ),
            Case(
                "an unknown project", create("WORKFLOW", "n", workflow_spec("n"), project="absent"), INVALID, "absent"
            ),
            Case("no name", create("WORKFLOW", "", workflow_spec("")), INVALID, "name"),
            Case("one of an unknown task", create("WORKFLOW", "n", workflow_spec("n", "absent")), INVALID, "absent"),
            Case("one that does not compile", create("WORKFLOW", "n", workflow_spec("n", bound="z")), INVALID, "z"),
            Case("no template", {"id": entity("WORKFLOW", "n")}, INVALID),
        ),
        better="Told to be the same before anything is compiled; all findings of the compiler in one answer.",
    ),
    Rpc("GetWorkflow", gets("WORKFLOW", "w")),
    Rpc("ListWorkflowIds", ids()),
    Rpc("ListWorkflows", lists()),
    Rpc(
        "CreateLaunchPlan",
        (
            Case("a new one", create("LAUNCH_PLAN", "new", plan_spec("w"))),
            Case("the same again", create("LAUNCH_PLAN", "w", plan_spec("w")), EXISTS, "identical"),
            Case("of an unknown workflow", create("LAUNCH_PLAN", "n", plan_spec("absent")), MISSING, "absent"),
            Case(
                "a fixed input of the wrong type",
                create(
                    "LAUNCH_PLAN",
                    "n",
                    plan_spec("w", fixedInputs={"literals": {"a": {"scalar": {"primitive": {"stringValue": "x"}}}}}),
                ),
                INVALID,
            ),
            Case(
                "another one of the same version",
                create("LAUNCH_PLAN", "w", plan_spec("w", maxParallelism=3)),
                INVALID,
                "different structure",
            ),
            Case(
                "an input that the workflow does not have",
                create("LAUNCH_PLAN", "n", plan_spec("w", fixedInputs={"literals": {"z": integer_literal(1)}})),
                INVALID,
                "unexpected fixed_input z",
            ),
            Case(
                "a schedule and a required input",
                create("LAUNCH_PLAN", "n", plan_spec("w", entityMetadata={"schedule": every_day()})),
                INVALID,
                "unbound required input: a",
            ),
            Case(
                "a notification about a phase that does not end",
                create("LAUNCH_PLAN", "n", plan_spec("w", entityMetadata={"notifications": [told_of("RUNNING")]})),
                INVALID,
                "phase",
            ),
            Case("an unknown project", create("LAUNCH_PLAN", "n", plan_spec("w"), project="absent"), INVALID, "absent"),
            Case("no workflow", {"id": entity("LAUNCH_PLAN", "n"), "spec": {}}, INVALID),
        ),
    ),
    Rpc("GetLaunchPlan", gets("LAUNCH_PLAN", "w")),
    Rpc(
        "GetActiveLaunchPlan",
        (
            Case("one that is active", {"id": {**PLACE, "name": "live"}}),
            Case("none is active", {"id": {**PLACE, "name": "w"}}, MISSING, "w"),
            Case("no name", {"id": dict(PLACE)}, INVALID, "name"),
        ),
    ),
    Rpc("ListActiveLaunchPlans", ids()),
    Rpc("ListLaunchPlanIds", ids()),
    Rpc("ListLaunchPlans", lists()),
    Rpc(
        "UpdateLaunchPlan",
        (
            Case("activate", {"id": entity("LAUNCH_PLAN", "w"), "state": "ACTIVE"}, twice=True),
            Case("deactivate", {"id": entity("LAUNCH_PLAN", "live"), "state": "INACTIVE"}, twice=True),
            Case("one that does not exist", {"id": entity("LAUNCH_PLAN", "absent"), "state": "ACTIVE"}, MISSING),
            Case("a state that is none", {"id": entity("LAUNCH_PLAN", "w"), "state": 9}, INVALID, "state"),
            Case("no identifier", {"state": "ACTIVE"}, INVALID),
        ),
        alone=True,
    ),
    Rpc(
        "CreateExecution",
        (
            Case("of a launch plan", launch("new")),
            Case("without a name", launch("")),
            Case(
                "of a task",
                launch("single", spec={"launchPlan": entity("TASK", "t"), "metadata": {}}),
            ),
            Case("a name that is taken", launch("x"), EXISTS, "x"),
            Case("one too many of a launch plan", launch("n", "full"), EXISTS, "concurrency limit (1) reached"),
            Case("an input of another type", launch("n", value=None, inputs=text_input()), INVALID, "wrong type"),
            Case(
                "an input that nobody expects",
                launch("n", inputs={"literals": {"a": integer_literal(1), "z": integer_literal(1)}}),
                INVALID,
                "invalid input z",
            ),
            Case(
                "of something that cannot be launched",
                launch("n", spec={"launchPlan": entity("WORKFLOW", "w"), "metadata": {}}),
                INVALID,
                "Invalid reference entity resource type",
            ),
            Case(
                "below a node that does not exist",
                launch(
                    "n",
                    spec={
                        "launchPlan": entity("LAUNCH_PLAN", "w"),
                        "metadata": {"parentNodeExecution": node("x", "absent")},
                    },
                ),
                MISSING,
                "node execution",
            ),
            Case("no spec", {**PLACE, "name": "n"}, INVALID, "spec"),
            Case("an input that is missing", launch("n", value=None), INVALID, "a"),
            Case("an unknown launch plan", launch("n", "absent"), MISSING, "absent"),
            Case("a name that is none", launch("Not A Name"), INVALID, "name"),
            Case("an unknown project", launch("n", project="absent"), INVALID, "absent"),
        ),
        better="Committed with its hand-over in one transaction: an engine that is away loses nothing. "
        "Concurrency policies that wait or replace, and never too many at once.",
    ),
    Rpc(
        "RelaunchExecution",
        (
            Case("again", {"id": execution("done"), "name": "again"}),
            Case("a name that is taken", {"id": execution("done"), "name": "x"}, EXISTS),
            Case("of what does not exist", {"id": execution("absent")}, MISSING, "absent"),
            Case("no identifier", {}, INVALID),
        ),
    ),
    Rpc(
        "RecoverExecution",
        (
            Case("of one that has failed", {"id": execution("failed"), "name": "recovered"}),
            Case("a name that is taken", {"id": execution("failed"), "name": "x"}, EXISTS),
            Case("of what does not exist", {"id": execution("absent")}, MISSING, "absent"),
            Case("no identifier", {}, INVALID),
        ),
        better="Arrays that were half done and child executions that failed are continued, not begun anew.",
    ),
    Rpc(
        "GetExecution",
        (
            Case("one that exists", {"id": execution("x")}),
            Case("one that does not exist", {"id": execution("absent")}, MISSING, "absent"),
            Case("no name", {"id": dict(PLACE)}, INVALID, "name"),
        ),
    ),
    Rpc(
        "UpdateExecution",
        (
            Case("archive", {"id": execution("done"), "state": "EXECUTION_ARCHIVED"}, twice=True),
            Case("what does not exist", {"id": execution("absent"), "state": "EXECUTION_ARCHIVED"}, MISSING),
            Case("a state that is none", {"id": execution("done"), "state": 9}, INVALID, "state"),
            Case("no identifier", {"state": "EXECUTION_ARCHIVED"}, INVALID),
        ),
        alone=True,
    ),
    Rpc(
        "GetExecutionData",
        (
            Case("of one that exists", {"id": execution("x")}),
            Case("of one that does not exist", {"id": execution("absent")}, MISSING),
            Case("no identifier", {}, INVALID),
        ),
    ),
    Rpc(
        "ListExecutions",
        (
            Case("a page", page()),
            Case("with a filter and a sort", page(filters="eq(phase,RUNNING)", sortBy={"key": "created_at"})),
            Case("no limit", page(limit=0), INVALID, "limit"),
            Case("by launch plan and tag", page(filters="eq(launch_plan.name,w)+eq(execution_tag.key,a)")),
            Case("no project", {"id": {"domain": "development"}, "limit": 1}, INVALID, "project"),
            Case("a filter that is none", page(filters="nonsense"), INVALID),
            Case("an unknown function", page(filters="like(phase,RUNNING)"), INVALID, "like"),
            Case(
                "an entity that is not joined", page(filters="eq(signal.signal_id,x)"), INVALID, "entity is not allowed"
            ),
            Case("an unknown column", page(filters="eq(nonsense,1)"), INVALID, "nonsense"),
            Case("an unknown sort key", page(sortBy={"key": "nonsense"}), INVALID, "nonsense"),
            Case("a token that is none", page(token="x"), INVALID, "token"),
        ),
    ),
    Rpc(
        "TerminateExecution",
        (
            Case("one that runs", {"id": execution("x"), "cause": "enough"}, twice=True),
            Case("one that has ended", {"id": execution("done"), "cause": "enough"}, PRECONDITION),
            Case("one that does not exist", {"id": execution("absent"), "cause": "enough"}, MISSING),
            Case("no identifier", {}, INVALID),
        ),
        alone=True,
    ),
    Rpc(
        "GetNodeExecution",
        (
            Case("one that exists", {"id": node("x")}),
            Case("one that does not exist", {"id": node("x", "absent")}, MISSING),
            Case("no node", {"id": {"executionId": execution("x")}}, INVALID, "node_id"),
        ),
    ),
    Rpc(
        "GetDynamicNodeWorkflow",
        (
            Case("of a node that is not dynamic", {"id": node("x")}, MISSING, "dynamic"),
            Case("of a node that does not exist", {"id": node("x", "absent")}, MISSING),
            Case("no node", {"id": {"executionId": execution("x")}}, INVALID, "node_id"),
        ),
    ),
    Rpc(
        "ListNodeExecutions",
        (
            Case("a page", {"workflowExecutionId": execution("x"), "limit": 10}),
            Case("below a node", {"workflowExecutionId": execution("x"), "limit": 10, "uniqueParentId": "n0"}),
            Case(
                "below a node that does not exist",
                {"workflowExecutionId": execution("x"), "limit": 10, "uniqueParentId": "absent"},
                MISSING,
            ),
            Case("no limit", {"workflowExecutionId": execution("x")}, INVALID, "limit"),
            Case("no execution", {"limit": 10}, INVALID),
            Case(
                "an unknown column",
                {"workflowExecutionId": execution("x"), "limit": 10, "filters": "eq(nonsense,1)"},
                INVALID,
                "nonsense",
            ),
        ),
    ),
    Rpc(
        "ListNodeExecutionsForTask",
        (
            Case("a page", {"taskExecutionId": attempt("x"), "limit": 10}),
            Case("of an attempt that does not exist", {"taskExecutionId": attempt("x", 9), "limit": 10}, MISSING),
            Case("no limit", {"taskExecutionId": attempt("x")}, INVALID, "limit"),
            Case("no attempt", {"limit": 10}, INVALID),
        ),
    ),
    Rpc(
        "GetNodeExecutionData",
        (
            Case("of one that exists", {"id": node("x")}),
            Case("of one that does not exist", {"id": node("x", "absent")}, MISSING),
            Case("no identifier", {}, INVALID),
        ),
    ),
    Rpc(
        "RegisterProject",
        (
            Case("a new one", {"project": {"id": "new", "name": "New"}}),
            Case("one that exists", {"project": {"id": "flytesnacks", "name": "x"}}, EXISTS),
            Case("an id that is none", {"project": {"id": "Not An Id", "name": "x"}}, INVALID),
            Case("no name", {"project": {"id": "nameless"}}, INVALID, "project_name"),
            Case(
                "a bad label", {"project": {"id": "n", "name": "n", "labels": {"values": {"a b": "c"}}}}, INVALID, "a b"
            ),
            Case("domains of its own", {"project": {"id": "n", "name": "n", "domains": [{"id": "d"}]}}, INVALID),
            Case("nothing", {}, INVALID),
        ),
    ),
    Rpc(
        "UpdateProject",
        (
            Case("a description", {"id": "flytesnacks", "description": "tests"}, twice=True),
            Case("one that does not exist", {"id": "absent", "description": "x"}, MISSING),
            Case("a bad label", {"id": "flytesnacks", "labels": {"values": {"a b": "c"}}}, INVALID, "a b"),
        ),
    ),
    Rpc(
        "GetProject",
        (
            Case("one that exists", {"id": "flytesnacks"}),
            Case("one that does not exist", {"id": "absent"}, MISSING, "absent"),
        ),
    ),
    Rpc(
        "ListProjects",
        (
            Case("all", {}),
            Case("with a filter", {"limit": 10, "filters": "eq(identifier,flytesnacks)"}),
            Case("an unknown column", {"limit": 10, "filters": "eq(nonsense,1)"}, INVALID, "nonsense"),
            Case("a token that is none", {"limit": 10, "token": "x"}, INVALID, "token"),
        ),
    ),
    Rpc("GetDomains", (Case("all", {}),)),
    Rpc(
        "CreateWorkflowEvent",
        event_cases(
            {"executionId": execution("x")},
            "SUCCEEDING",
            {"executionId": execution("done")},
            {"executionId": execution("absent")},
        ),
        better="Batches of events in one call through EventService; repeated events are told from new ones.",
        alone=True,
    ),
    Rpc(
        "CreateNodeEvent",
        event_cases({"id": node("x")}, "FAILING", {"id": node("done")}, {"id": node("absent")}),
        alone=True,
    ),
    Rpc(
        "CreateTaskEvent",
        (
            *event_cases(
                {"taskId": entity("TASK", "t"), "parentNodeExecutionId": node("x"), "retryAttempt": 1},
                "QUEUED",
                {"taskId": entity("TASK", "t"), "parentNodeExecutionId": node("done")},
                {"taskId": entity("TASK", "t"), "parentNodeExecutionId": node("x", "absent")},
            ),
            Case(
                "no time",
                {
                    "event": {
                        "taskId": entity("TASK", "t"),
                        "parentNodeExecutionId": node("x"),
                        "retryAttempt": 1,
                        "phase": "FAILED",
                    }
                },
                INVALID,
                "occurred_at",
            ),
        ),
        alone=True,
    ),
    Rpc(
        "GetTaskExecution",
        (
            Case("one that exists", {"id": attempt("x")}),
            Case("one that does not exist", {"id": attempt("x", 9)}, MISSING),
            Case("no identifier", {}, INVALID),
        ),
    ),
    Rpc(
        "ListTaskExecutions",
        (
            Case("a page", {"nodeExecutionId": node("x"), "limit": 10}),
            Case("no limit", {"nodeExecutionId": node("x")}, INVALID, "limit"),
            Case("no node", {"limit": 10}, INVALID),
            Case(
                "an unknown column",
                {"nodeExecutionId": node("x"), "limit": 10, "filters": "eq(nonsense,1)"},
                INVALID,
                "nonsense",
            ),
        ),
    ),
    Rpc(
        "GetTaskExecutionData",
        (
            Case("of one that exists", {"id": attempt("x")}),
            Case("of one that does not exist", {"id": attempt("x", 9)}, MISSING),
            Case("no identifier", {}, INVALID),
        ),
    ),
    Rpc("UpdateProjectDomainAttributes", update_attributes(PLACE)),
    Rpc("GetProjectDomainAttributes", get_attributes(PLACE)),
    Rpc("DeleteProjectDomainAttributes", delete_attributes(PLACE)),
    Rpc("UpdateProjectAttributes", update_attributes(PROJECT_ONLY)),
    Rpc("GetProjectAttributes", get_attributes(PROJECT_ONLY)),
    Rpc("DeleteProjectAttributes", delete_attributes(PROJECT_ONLY)),
    Rpc("UpdateWorkflowAttributes", update_attributes(WORKFLOW_SCOPE)),
    Rpc("GetWorkflowAttributes", get_attributes(WORKFLOW_SCOPE)),
    Rpc("DeleteWorkflowAttributes", delete_attributes(WORKFLOW_SCOPE)),
    Rpc(
        "ListMatchableAttributes",
        (
            Case("of one kind", {"resourceType": "TASK_RESOURCE"}),
            Case("a kind that is none", {"resourceType": 99}, INVALID, "resource_type"),
        ),
    ),
    Rpc(
        "ListNamedEntities",
        (
            Case("a page", {"resourceType": "WORKFLOW", **PLACE, "limit": 10}),
            Case("no kind", {**PLACE, "limit": 10}, INVALID),
            Case("a token that is none", {"resourceType": "WORKFLOW", **PLACE, "limit": 10, "token": "x"}, INVALID),
            Case("no limit", {"resourceType": "WORKFLOW", **PLACE}, INVALID, "limit"),
        ),
    ),
    Rpc(
        "GetNamedEntity",
        (
            Case("one that exists", {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "w"}}),
            Case("one that does not exist", {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "absent"}}, MISSING),
            Case("no name", {"resourceType": "WORKFLOW", "id": dict(PLACE)}, INVALID, "name"),
        ),
    ),
    Rpc(
        "UpdateNamedEntity",
        (
            Case(
                "a description",
                {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "w"}, "metadata": {"description": "x"}},
                twice=True,
            ),
            Case(
                "what does not exist",
                {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "absent"}, "metadata": {"description": "x"}},
                MISSING,
            ),
            Case("no metadata", {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "w"}}, INVALID, "metadata"),
            Case("no kind", {"id": {**PLACE, "name": "w"}, "metadata": {}}, INVALID),
        ),
    ),
    Rpc("GetVersion", (Case("the version", {}),)),
    Rpc(
        "GetDescriptionEntity",
        (
            Case("one that exists", {"id": entity("TASK", "told")}),
            Case("of the same name and another kind", {"id": entity("WORKFLOW", "told")}, MISSING),
            Case("one that does not exist", {"id": entity("WORKFLOW", "absent")}, MISSING),
            Case("no name", {"id": {**PLACE, "resourceType": "WORKFLOW"}}, INVALID, "name"),
        ),
    ),
    Rpc(
        "ListDescriptionEntities",
        (
            Case("a page", {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "w"}, "limit": 10}),
            Case("no limit", {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "w"}}, INVALID, "limit"),
            Case("no kind", {"id": {**PLACE, "name": "w"}, "limit": 10}, INVALID),
        ),
    ),
    Rpc(
        "GetExecutionMetrics",
        (
            Case("of one that exists", {"id": execution("done"), "depth": 10}),
            Case("of one that does not exist", {"id": execution("absent"), "depth": 10}, MISSING),
            Case("no identifier", {"depth": 10}, INVALID),
        ),
    ),
)

WORLD: tuple[tuple[str, Json], ...] = (
    ("CreateTask", create("TASK", "t", task_spec("t", {"o0": INTEGER}))),
    ("CreateWorkflow", create("WORKFLOW", "w", workflow_spec("w"))),
    ("CreateLaunchPlan", create("LAUNCH_PLAN", "w", plan_spec("w"))),
    ("CreateLaunchPlan", create("LAUNCH_PLAN", "live", plan_spec("w"))),
    ("UpdateLaunchPlan", {"id": entity("LAUNCH_PLAN", "live"), "state": "ACTIVE"}),
    ("CreateTask", create("TASK", "told", {**task_spec("told", {}), "description": {"shortDescription": "A task"}})),
    ("CreateLaunchPlan", create("LAUNCH_PLAN", "full", plan_spec("w", concurrencyPolicy=limited()))),
    ("CreateExecution", launch("occupies", "full")),
)
"""What is registered before each RPC's cases."""

GO: Json = {"id": {"executionId": execution("x"), "signalId": "go"}, "type": {"simple": "BOOLEAN"}}
"""The signal that execution `x` waits for."""

ADMIN = Service("flyteidl.service.AdminService", RPCS)

SIGNALS = Service(
    "flyteidl.service.SignalService",
    (
        Rpc(
            "GetOrCreateSignal",
            (
                Case(
                    "a new one",
                    {"id": {"executionId": execution("x"), "signalId": "new"}, "type": {"simple": "BOOLEAN"}},
                    twice=True,
                ),
                Case(
                    "in what does not exist",
                    {"id": {"executionId": execution("absent"), "signalId": "s"}, "type": {"simple": "BOOLEAN"}},
                    MISSING,
                ),
                Case("no type", {"id": {"executionId": execution("x"), "signalId": "s"}}, INVALID),
            ),
        ),
        Rpc(
            "ListSignals",
            (
                Case("a page", {"workflowExecutionId": execution("x"), "limit": 10}),
                Case("no limit", {"workflowExecutionId": execution("x")}, INVALID, "limit"),
                Case("no execution", {"limit": 10}, INVALID),
            ),
        ),
        Rpc(
            "SetSignal",
            (
                Case(
                    "a value",
                    {
                        "id": {"executionId": execution("x"), "signalId": "go"},
                        "value": {"scalar": {"primitive": {"boolean": True}}},
                    },
                    twice=True,
                ),
                Case("no value", {"id": {"executionId": execution("x"), "signalId": "go"}}, INVALID, "value"),
                Case(
                    "a value of another type",
                    {
                        "id": {"executionId": execution("x"), "signalId": "go"},
                        "value": {"scalar": {"primitive": {"integer": "1"}}},
                    },
                    INVALID,
                ),
                Case(
                    "one that does not exist",
                    {
                        "id": {"executionId": execution("x"), "signalId": "absent"},
                        "value": {"scalar": {"primitive": {"boolean": True}}},
                    },
                    INVALID,
                    "absent",
                ),
            ),
            better="The value is pushed to the gate, which does not poll.",
        ),
    ),
)

DATA = Service(
    "flyteidl.service.DataProxyService",
    (
        Rpc(
            "CreateUploadLocation",
            (
                Case("a file", {**PLACE, "filename": "f", "contentMd5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
                Case("an unknown place for it", {"domain": "development", "filename": "f"}, INVALID, "project"),
            ),
            better="Local folders need no object store: signed HTTP addresses of Elevon itself.",
        ),
        Rpc(
            "CreateDownloadLocation",
            (Case("a place outside of the store", {"nativeUrl": "s3://elsewhere/x"}, INVALID),),
        ),
        Rpc(
            "CreateDownloadLink",
            (Case("no source", {"artifactType": "ARTIFACT_TYPE_DECK"}, INVALID),),
        ),
        Rpc(
            "GetData",
            (
                Case("inputs of a node", {"flyteUrl": "flyte://v1/flytesnacks/development/x/n0/i"}),
                Case("an address that is none", {"flyteUrl": "flyte://v1/nonsense"}, INVALID),
            ),
        ),
    ),
)

IDENTITY = Service(
    "flyteidl.service.IdentityService", (Rpc("UserInfo", (Case("authentication is off", {}, UNIMPLEMENTED),)),)
)
AUTHENTICATION = Service(
    "flyteidl.service.AuthMetadataService",
    (
        Rpc("GetOAuth2Metadata", (Case("authentication is off", {}, UNIMPLEMENTED),)),
        Rpc("GetPublicClientConfig", (Case("authentication is off", {}, UNIMPLEMENTED),)),
    ),
)

SERVICES = (ADMIN, SIGNALS, DATA, IDENTITY, AUTHENTICATION)
