"""What admin answers about tasks, workflows and launch plans."""

from __future__ import annotations

from typing import Any

from tests.compatibility.admin_words import (
    DATETIME,
    INTEGER,
    asking,
    container,
    create,
    elsewhere,
    gets,
    integer,
    launch,
    literals,
    named_ids,
    paged,
    plan_spec,
    pod,
    task_node,
    task_spec,
    text,
    told_of,
    unnamed,
    versions,
    workflow_spec,
)
from tests.compatibility.cases import EXISTS, INVALID, MISSING, PLACE, Case, Json, Rpc, entity

REASON = "flyteidl.admin.CreateWorkflowFailureReason"
"""The detail of a workflow that is refused because its version is taken."""


def bad_task(title: str, spec: Json | None, words: str) -> Case:
    return Case(title, create("TASK", "n", spec), INVALID, words)


def bad_workflow(title: str, spec: Json | None, words: str) -> Case:
    return Case(title, create("WORKFLOW", "n", spec), INVALID, words)


def bad_plan(title: str, words: str, **spec: Any) -> Case:
    return Case(title, create("LAUNCH_PLAN", "n", plan_spec(**spec)), INVALID, words)


def scheduled(**schedule: Any) -> dict[str, Any]:
    return {"schedule": schedule}


def defaulted(name: str = "a", **parameter: Any) -> dict[str, Any]:
    return {"parameters": {name: {"var": INTEGER, **parameter}}}


DAILY = {"rate": {"value": 1, "unit": "DAY"}}
PER_DAY = {"cronSchedule": {"schedule": "0 12 * * *"}}

TASKS = (
    Rpc(
        "CreateTask",
        (
            Case("a new one", create("TASK", "new", task_spec({"o0": INTEGER})), again=EXISTS),
            Case(
                "one without a container",
                create("TASK", "sensor", task_spec(container=None, type="sensor")),
                again=EXISTS,
            ),
            Case("one that is a pod", create("TASK", "pod", pod(requests={"cpu": "1"})), again=EXISTS),
            Case("the same again", create("TASK", "t", task_spec({"o0": INTEGER})), EXISTS, "identical structure"),
            Case(
                "another one of the same version",
                create("TASK", "t", task_spec()),
                INVALID,
                "task with different structure already exists. (Please register a new version of the task):",
            ),
            *unnamed("TASK", create("TASK", "n", task_spec())),
            *elsewhere(create("TASK", "n", task_spec())),
            bad_task("no spec", None, "missing spec"),
            bad_task("no template", {}, "missing"),
            bad_task("no type", task_spec(type=None), "missing type"),
            bad_task("a type that is restricted", task_spec(type="sparkonk8s"), "task type must be whitelisted"),
            bad_task("no metadata", task_spec(metadata=None), "missing metadata"),
            bad_task("a runtime without a version", task_spec(metadata={"runtime": {}}), "missing runtime version"),
            bad_task("no interface", task_spec(interface=None), "missing typed interface"),
            bad_task("no image", task_spec(container={"args": ["run"]}), "missing image"),
            bad_task(
                "a variable without a name",
                task_spec(container=container(env=[{"value": "v"}])),
                "missing container.env[0].key",
            ),
            bad_task("less than nothing", asking([("CPU", "-1")]), "must be neither negative"),
            bad_task("nothing to run", task_spec(container={"image": "image:1"}), "command"),
            bad_task("an amount that is none", asking([("CPU", "many")]), "many"),
            bad_task("an amount twice", asking([("CPU", "1"), ("CPU", "1")]), "more than once"),
            bad_task("more than its own limit", asking([("CPU", "2")], [("CPU", "1")]), "greater than its own limit"),
            bad_task("more than the platform's limit", asking([("MEMORY", "2Ti")]), "platform limit"),
            bad_task("a limit beyond the platform's", asking([("CPU", "1")], [("CPU", "99")]), "platform limit"),
            bad_task("a part of a device", asking([("GPU", "0.5")]), "whole number"),
            bad_task("fewer devices than the limit", asking([("GPU", "1")], [("GPU", "2")]), "must equal its limit"),
            bad_task("a pod without a specification", task_spec(container=None, k8sPod={}), "pod_spec"),
            bad_task("a pod whose container has a wrong name", pod("Not A Name"), "Not A Name"),
            bad_task("a pod that asks for too much", pod(requests={"nvidia.com/gpu": "9"}), "platform limit"),
        ),
        alone=True,
        better="The answer names every difference to what is registered. Lengths are limited to 255 characters, and "
        "resources are compared as they are, not rounded up; GPUs of pods too.",
    ),
    Rpc(
        "GetTask",
        gets(
            "TASK",
            "t",
            {"id": entity("TASK", "t"), "closure": {"compiledTask": {"template": {"type": "python-task"}}}},
        ),
    ),
    Rpc("ListTaskIds", named_ids({"entities": [{**PLACE, "name": "t"}, {**PLACE, "name": "told"}]})),
    Rpc("ListTasks", versions("t", "tasks")),
)

WORKFLOWS = (
    Rpc(
        "CreateWorkflow",
        (
            Case("a new one", create("WORKFLOW", "new", workflow_spec("new")), again=EXISTS),
            Case(
                "the same again",
                create("WORKFLOW", "w", workflow_spec("w")),
                EXISTS,
                "identical structure",
                detail=(REASON, {"existsIdenticalStructure": {"id": entity("WORKFLOW", "w")}}),
            ),
            Case(
                "another one of the same version",
                create("WORKFLOW", "w", workflow_spec("w", task_node(), task_node("n1"))),
                INVALID,
                "workflow with different structure already exists",
                detail=(REASON, {"existsDifferentStructure": {"id": entity("WORKFLOW", "w")}}),
            ),
            *unnamed("WORKFLOW", create("WORKFLOW", "n", workflow_spec("n"))),
            *elsewhere(create("WORKFLOW", "n", workflow_spec("n"))),
            bad_workflow("no spec", None, "missing spec"),
            bad_workflow("no template", {}, "missing"),
            bad_workflow("one of an unknown task", workflow_spec("n", task_node(task="absent")), "absent"),
            bad_workflow("one that does not compile", workflow_spec("n", task_node(bound="z")), "failed to compile"),
            bad_workflow(
                "one whose nodes have one id",
                workflow_spec("n", task_node(), task_node()),
                "Code: DuplicateId, Node Id: n0",
            ),
            bad_workflow(
                "a circle",
                workflow_spec("n", task_node("n0", upstream="n1"), task_node("n1", upstream="n0")),
                "CycleDetected",
            ),
            bad_workflow(
                "too many nodes", workflow_spec("n", *(task_node(f"n{each}") for each in range(5))), "the limit is 4"
            ),
        ),
        alone=True,
        better="Told to be the same before anything is compiled; all findings of the compiler in one answer; what "
        "differs is listed node by node.",
    ),
    Rpc(
        "GetWorkflow",
        gets(
            "WORKFLOW",
            "w",
            {
                "id": entity("WORKFLOW", "w"),
                "closure": {"compiledWorkflow": {"primary": {"template": {"id": entity("WORKFLOW", "w")}}}},
            },
        ),
    ),
    Rpc("ListWorkflowIds", named_ids({"entities": [{**PLACE, "name": "timed"}, {**PLACE, "name": "w"}]})),
    Rpc("ListWorkflows", versions("w", "workflows")),
)

PLANS = (
    Rpc(
        "CreateLaunchPlan",
        (
            Case("a new one", create("LAUNCH_PLAN", "new", plan_spec()), again=EXISTS),
            Case(
                "one that is scheduled",
                create(
                    "LAUNCH_PLAN",
                    "daily",
                    plan_spec(fixedInputs=literals(a=integer()), entityMetadata=scheduled(**PER_DAY)),
                ),
                again=EXISTS,
            ),
            Case("the same again", create("LAUNCH_PLAN", "w", plan_spec()), EXISTS, "identical structure"),
            Case(
                "another one of the same version",
                create("LAUNCH_PLAN", "w", plan_spec(maxParallelism=3)),
                INVALID,
                "launch plan with different structure already exists",
            ),
            Case(
                "of an unknown workflow",
                create("LAUNCH_PLAN", "n", plan_spec("absent")),
                MISSING,
                "missing entity of type WORKFLOW with identifier",
            ),
            *unnamed("LAUNCH_PLAN", create("LAUNCH_PLAN", "n", plan_spec())),
            *elsewhere(create("LAUNCH_PLAN", "n", plan_spec())),
            Case("no spec", create("LAUNCH_PLAN", "n", None), INVALID, "missing"),
            Case("no workflow", create("LAUNCH_PLAN", "n", {}), INVALID, "missing"),
            bad_plan("a label that is none", "invalid label key [a b]", labels={"values": {"a b": "c"}}),
            bad_plan("too many labels", "label", labels={"values": {f"l{each}": "x" for each in range(17)}}),
            bad_plan(
                "a fixed input of the wrong type",
                "invalid fixed_input a: expected type int, but got str",
                fixedInputs=literals(a=text()),
            ),
            bad_plan("a fixed input without a value", "missing value of fixed_inputs[a]", fixedInputs=literals(a={})),
            bad_plan(
                "a fixed input without a name", "missing key of fixed_inputs", fixedInputs={"literals": {"": integer()}}
            ),
            bad_plan(
                "a fixed input that nobody expects", "unexpected fixed_input z", fixedInputs=literals(z=integer())
            ),
            bad_plan(
                "a default that nobody expects",
                "unexpected default_input z",
                defaultInputs=defaulted("z", required=True),
            ),
            bad_plan(
                "a default of the wrong type",
                "invalid default_input a: expected type int, but got str",
                defaultInputs=defaulted(default=text()),
            ),
            bad_plan("a default without type", "type", defaultInputs={"parameters": {"a": {"required": True}}}),
            bad_plan("a default that is neither given nor required", "default", defaultInputs=defaulted()),
            bad_plan(
                "a default from an artifact", "artifact mode not enabled", defaultInputs=defaulted(artifactQuery={})
            ),
            bad_plan(
                "an input both fixed and defaulted",
                "invalid fixed_input a: it has a default as well",
                fixedInputs=literals(a=integer()),
                defaultInputs=defaulted(default=integer()),
            ),
            bad_plan("a schedule and a required input", "unbound required input: a", entityMetadata=scheduled(**DAILY)),
            bad_plan(
                "a kickoff argument that is no time",
                "kickoff_time_input_arg",
                entityMetadata=scheduled(**DAILY, kickoffTimeInputArg="a"),
            ),
            bad_plan(
                "a kickoff argument that nobody expects",
                "kickoff_time_input_arg",
                fixedInputs=literals(a=integer()),
                entityMetadata=scheduled(**DAILY, kickoffTimeInputArg="z"),
            ),
            bad_plan(
                "a cron text that is none",
                "Invalid cron expression",
                fixedInputs=literals(a=integer()),
                entityMetadata=scheduled(cronSchedule={"schedule": "soon"}),
            ),
            bad_plan(
                "a notification of a phase that does not end",
                "phase",
                entityMetadata={"notifications": [told_of("RUNNING")]},
            ),
            bad_plan(
                "a notification of nobody",
                "recipients",
                entityMetadata={"notifications": [told_of("FAILED", email={})]},
            ),
            bad_plan(
                "a notification by no means",
                "notification type",
                entityMetadata={"notifications": [{"phases": ["FAILED"]}]},
            ),
            bad_plan("a variable whose name is none", "a name must not hold =", envs={"values": [{"key": "A=B"}]}),
            bad_plan("less than no parallelism", "max_parallelism", maxParallelism=-1),
            bad_plan("launch conditions", "launch_conditions", entityMetadata={"launchConditions": {}}),
        ),
        alone=True,
        better="What could never run is refused: an input both fixed and defaulted, a schedule that does not parse.",
    ),
    Rpc(
        "GetLaunchPlan",
        gets(
            "LAUNCH_PLAN",
            "w",
            {
                "id": entity("LAUNCH_PLAN", "w"),
                "closure": {"expectedInputs": {"parameters": {"a": {"var": INTEGER, "required": True}}}},
            },
        ),
    ),
    Rpc(
        "GetActiveLaunchPlan",
        (
            Case(
                "one that is active",
                {"id": {**PLACE, "name": "live"}},
                answer={"id": entity("LAUNCH_PLAN", "live"), "closure": {"state": "ACTIVE"}},
            ),
            Case(
                "none is active",
                {"id": {**PLACE, "name": "w"}},
                MISSING,
                "No active launch plan could be found: flytesnacks:development:w",
            ),
            Case("no identifier", {}, INVALID, "missing id"),
            Case("no project", {"id": {"domain": "development", "name": "w"}}, INVALID, "missing project"),
            Case("no name", {"id": dict(PLACE)}, INVALID, "missing name"),
        ),
    ),
    Rpc(
        "ListActiveLaunchPlans",
        (
            Case("all", {**PLACE, "limit": 10}, answer={"launchPlans": [{"id": entity("LAUNCH_PLAN", "live")}]}),
            Case("no project", {"domain": "development", "limit": 10}, INVALID, "missing project"),
            Case("no domain", {"project": "flytesnacks", "limit": 10}, INVALID, "missing domain"),
            Case(
                "an unknown sort key", {**PLACE, "limit": 10, "sortBy": {"key": "x"}}, INVALID, "invalid sort key 'x'"
            ),
            *paged({**PLACE, "limit": 10}),
        ),
    ),
    Rpc(
        "ListLaunchPlanIds",
        named_ids({"entities": [{**PLACE, "name": name} for name in ("full", "live", "timed", "w")]}),
    ),
    Rpc("ListLaunchPlans", versions("w", "launchPlans")),
    Rpc(
        "UpdateLaunchPlan",
        (
            Case("activate", {"id": entity("LAUNCH_PLAN", "w"), "state": "ACTIVE"}),
            Case("activate another version", {"id": entity("LAUNCH_PLAN", "live", "v2"), "state": "ACTIVE"}),
            Case("deactivate", {"id": entity("LAUNCH_PLAN", "live", "v2"), "state": "INACTIVE"}),
            Case("one that is not active", {"id": entity("LAUNCH_PLAN", "live"), "state": "INACTIVE"}),
            Case(
                "one that does not exist",
                {"id": entity("LAUNCH_PLAN", "absent"), "state": "ACTIVE"},
                MISSING,
                "missing entity of type LAUNCH_PLAN with identifier",
            ),
            Case("a state that is none", {"id": entity("LAUNCH_PLAN", "w"), "state": 9}, INVALID, "state"),
            *unnamed("LAUNCH_PLAN", {"state": "ACTIVE"}),
        ),
        alone=True,
        better="State and schedule change in one transaction; there is never a second active version.",
    ),
)

WORLD: tuple[tuple[str, Json], ...] = (
    ("CreateTask", create("TASK", "t", task_spec({"o0": INTEGER}))),
    ("CreateTask", create("TASK", "told", {**task_spec(), "description": {"shortDescription": "A task"}})),
    ("CreateWorkflow", create("WORKFLOW", "w", workflow_spec("w"))),
    ("CreateWorkflow", create("WORKFLOW", "timed", workflow_spec("timed", inputs={"a": INTEGER, "when": DATETIME}))),
    ("CreateLaunchPlan", create("LAUNCH_PLAN", "w", plan_spec())),
    ("CreateLaunchPlan", create("LAUNCH_PLAN", "timed", plan_spec("timed"))),
    ("CreateLaunchPlan", create("LAUNCH_PLAN", "live", plan_spec())),
    ("CreateLaunchPlan", create("LAUNCH_PLAN", "live", plan_spec(), version="v2")),
    ("UpdateLaunchPlan", {"id": entity("LAUNCH_PLAN", "live"), "state": "ACTIVE"}),
    (
        "CreateLaunchPlan",
        create(
            "LAUNCH_PLAN",
            "full",
            plan_spec(concurrencyPolicy={"max": 1, "behavior": "CONCURRENCY_LIMIT_BEHAVIOR_SKIP"}),
        ),
    ),
    ("CreateExecution", launch("occupies", "full")),
)
"""What is registered before each RPC's cases."""

RPCS = (*TASKS, *WORKFLOWS, *PLANS)
