"""Short ways to write down what admin is asked, in proto3 JSON, for the tables of its services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.compatibility.cases import INVALID, MISSING, PLACE, Case, Json, entity

INTEGER = {"type": {"simple": "INTEGER"}}
DATETIME = {"type": {"simple": "DATETIME"}}
TIME = "2026-01-02T03:04:05Z"
LONG = "x" * 256
"""One character more than a part of an identifier may have."""

INACTIVE = ("flyteidl.admin.InactiveProject", {"id": "closed"})
"""The detail of what is refused in the archived project `closed`."""


def container(**changes: Any) -> dict[str, Any]:
    """A container that runs something."""
    return {"image": "image:1", "args": ["run"], **changes}


def task_spec(outputs: Json | None = None, inputs: Json | None = None, **changes: Any) -> dict[str, Any]:
    """A Python task from integer `a` to the outputs; `changes` are fields of the template, None takes one away."""
    template = {
        "type": "python-task",
        "metadata": {"runtime": {"type": "FLYTE_SDK", "version": "1.16", "flavor": "python"}},
        "interface": {
            "inputs": {"variables": {"a": INTEGER} if inputs is None else dict(inputs)},
            "outputs": {"variables": dict(outputs or {})},
        },
        "container": container(),
        **changes,
    }
    return {"template": {name: value for name, value in template.items() if value is not None}}


def asking(requests: Sequence[tuple[str, str]] = (), limits: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """A task whose container asks for resources."""
    entries = {
        kind: [{"name": name, "value": value} for name, value in listed]
        for kind, listed in (("requests", requests), ("limits", limits))
    }
    return task_spec(container=container(resources=entries))


def pod(name: str = "primary", **resources: Any) -> dict[str, Any]:
    """A task that is a pod of one container."""
    one = {"name": name, "image": "image:1", **({"resources": resources} if resources else {})}
    return task_spec(container=None, k8sPod={"podSpec": {"containers": [one]}})


def task_node(node_id: str = "n0", task: str = "t", bound: str = "a", upstream: str = "") -> dict[str, Any]:
    """A node that gives input `bound` of the workflow, or output `o0` of a node upstream, to a task."""
    promise = {"nodeId": upstream or "start-node", "var": "o0" if upstream else bound}
    return {
        "id": node_id,
        "metadata": {"name": task},
        "inputs": [{"var": "a", "binding": {"promise": promise}}],
        "taskNode": {"referenceId": entity("TASK", task)},
    }


def workflow_spec(name: str, *nodes: Json, inputs: Json | None = None) -> dict[str, Any]:
    """A workflow from integer `a` to nothing, of the nodes, or of one that calls task `t`."""
    return {
        "template": {
            "id": entity("WORKFLOW", name),
            "interface": {
                "inputs": {"variables": {"a": INTEGER} if inputs is None else dict(inputs)},
                "outputs": {"variables": {}},
            },
            "nodes": [dict(node) for node in nodes or (task_node(),)],
        }
    }


def create(kind: str, name: str, spec: Json | None, **changes: str) -> dict[str, Any]:
    """A request to register something; no spec leaves it out."""
    return {"id": entity(kind, name, **changes), **({} if spec is None else {"spec": spec})}


def plan_spec(workflow: str = "w", **changes: Any) -> dict[str, Any]:
    """A launch plan of a workflow."""
    return {"workflowId": entity("WORKFLOW", workflow), **changes}


def integer(value: int = 1) -> dict[str, Any]:
    """An integer."""
    return {"scalar": {"primitive": {"integer": str(value)}}}


def text(value: str = "x") -> dict[str, Any]:
    """A string."""
    return {"scalar": {"primitive": {"stringValue": value}}}


def literals(**values: Json) -> dict[str, Any]:
    """Values by name."""
    return {"literals": values}


def launch(name: str, plan: str = "w", *, inputs: Json | None = None, **spec: Any) -> dict[str, Any]:
    """A request to launch a plan, with 1 for `a`; `spec` are further fields of the spec."""
    whole = {"launchPlan": entity("LAUNCH_PLAN", plan), "metadata": {}, **spec}
    return {**PLACE, "name": name, "spec": whole, "inputs": literals(a=integer()) if inputs is None else inputs}


def told_of(*phases: str, **changes: Any) -> dict[str, Any]:
    """A notification by mail."""
    return {"phases": list(phases), "email": {"recipientsEmail": ["team@example.com"]}, **changes}


def page(name: str = "", **changes: Any) -> dict[str, Any]:
    """A page of ten rows of what has a name, or of all in the project and domain."""
    return {"id": {**PLACE, "name": name}, "limit": 10, **changes}


def unnamed(kind: str, request: Json) -> tuple[Case, ...]:
    """Refusals of a request whose `id` is not that of a version of a kind."""
    parts = ("project", "domain", "name", "version")
    wrong = {"TASK": "WORKFLOW", "WORKFLOW": "TASK", "LAUNCH_PLAN": "TASK"}[kind]
    return (
        Case("no identifier", {name: value for name, value in request.items() if name != "id"}, INVALID, "missing id"),
        Case("an identifier of something else", {**request, "id": entity(wrong, "n")}, INVALID, "resource type"),
        *(
            Case(f"no {part}", {**request, "id": entity(kind, **{"name": "n", part: ""})}, INVALID, part)
            for part in parts
        ),
        Case("a name that is too long", {**request, "id": entity(kind, LONG)}, INVALID, "at most 255 characters"),
        Case("a name with control characters", {**request, "id": entity(kind, "a\nb")}, INVALID, "control characters"),
    )


def elsewhere(request: Json) -> tuple[Case, ...]:
    """Refusals of registering something where nothing can be."""
    return (
        Case("an unknown project", {**request, "id": {**request["id"], "project": "absent"}}, INVALID, "absent"),
        Case(
            "an archived project",
            {**request, "id": {**request["id"], "project": "closed"}},
            INVALID,
            "project [closed] is not active",
            detail=INACTIVE,
        ),
        Case(
            "an unknown domain",
            {**request, "id": {**request["id"], "domain": "absent"}},
            INVALID,
            "domain [absent] is unrecognized by system",
        ),
    )


def gets(kind: str, name: str, answer: Json) -> tuple[Case, ...]:
    """Reading one version."""
    return (
        Case("one that exists", {"id": entity(kind, name)}, answer=answer),
        Case("without saying its kind", {"id": {**entity(kind, name), "resourceType": "UNSPECIFIED"}}, answer=answer),
        Case(
            "one that does not exist",
            {"id": entity(kind, "absent")},
            MISSING,
            f"missing entity of type {kind} with identifier",
        ),
        *unnamed(kind, {}),
    )


def paged(request: Json, limit: str = "limit") -> tuple[Case, ...]:
    """Refusals of a list whose page is none; the request has a limit."""
    return (
        Case("no limit", {**request, limit: 0}, INVALID, "invalid value for limit"),
        Case("a token that is none", {**request, "token": "x"}, INVALID, "invalid pagination token x"),
        Case("a token below zero", {**request, "token": "-1"}, INVALID, "invalid pagination token -1"),
    )


def filtered(request: Json, *, foreign: str = "signal.signal_id") -> tuple[Case, ...]:
    """Refusals of a list whose filters or order are none."""
    return (
        Case("a filter that is none", {**request, "filters": "nonsense"}, INVALID, "invalid value for filters"),
        Case("an unknown function", {**request, "filters": "like(phase,x)"}, INVALID, "unrecognized filter function"),
        Case("an unknown column", {**request, "filters": "eq(nonsense,1)"}, INVALID, "is invalid filter"),
        Case(
            "an entity that is not joined",
            {**request, "filters": f"eq({foreign},x)"},
            INVALID,
            "entity is not allowed in filters",
        ),
        Case(
            "two expressions that are not joined",
            {**request, "filters": "eq(id,1) eq(id,1)"},
            INVALID,
            "invalid value for filters",
        ),
        Case("several values for one", {**request, "filters": "eq(created_at,a;b)"}, INVALID, "filters"),
        Case("a time that is none", {**request, "filters": "gt(created_at,yesterday)"}, INVALID, "yesterday"),
        Case("an unknown sort key", {**request, "sortBy": {"key": "nonsense"}}, INVALID, "invalid sort key 'nonsense'"),
        Case("an order without a key", {**request, "sortBy": {"direction": "ASCENDING"}}, INVALID, "invalid sort key"),
    )


def named_ids(answer: Json) -> tuple[Case, ...]:
    """Listing the names of a kind."""
    request = {**PLACE, "limit": 10}
    return (
        Case("all", request, answer=answer),
        Case("in order", {**request, "sortBy": {"key": "name", "direction": "ASCENDING"}}, answer=answer),
        Case("a page", {**request, "limit": 1}, answer={"token": "1"}),
        Case("beyond the end", {**request, "token": "1000"}, answer={}),
        Case("no project", {**request, "project": ""}, INVALID, "missing project"),
        Case("no domain", {**request, "domain": ""}, INVALID, "missing domain"),
        Case("an unknown sort key", {**request, "sortBy": {"key": "version"}}, INVALID, "invalid sort key 'version'"),
        *paged(request),
    )


def versions(name: str, listed: str) -> tuple[Case, ...]:
    """Listing the versions of a kind; `listed` names the rows of the answer, `name` has one version."""
    one: Json = {listed: [{"id": {"name": name, "version": "v1"}}]}
    ascending = {"key": "created_at", "direction": "ASCENDING"}
    return (
        Case("of one name, sorted", page(name, sortBy=ascending), answer=one),
        Case("with filters", page(filters=f"eq(name, {name})+ne(version,v9)+value_in(name,{name};x)"), answer=one),
        Case("a page", page(limit=1), answer={"token": "1"}),
        Case("beyond the end", page(token="1000"), answer={}),
        Case("no identifier", {"limit": 1}, INVALID, "missing id"),
        Case("no project", {"id": {"domain": "development"}, "limit": 1}, INVALID, "missing project"),
        Case("no domain", {"id": {"project": "flytesnacks"}, "limit": 1}, INVALID, "missing domain"),
        *paged(page()),
        *filtered(page()),
    )
