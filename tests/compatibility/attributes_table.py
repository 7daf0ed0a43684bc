"""What admin answers about projects, domains and matchable attributes."""

from __future__ import annotations

from typing import Any

from tests.compatibility.admin_words import INACTIVE
from tests.compatibility.cases import EXISTS, INVALID, MISSING, PLACE, Case, Json, Rpc

PROJECT_ONLY: Json = {"project": "flytesnacks"}
WORKFLOW_SCOPE: Json = {**PLACE, "workflow": "w"}
RESOURCES = {"taskResourceAttributes": {"defaults": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi", "gpu": "1"}}}
QUEUES = {"executionQueueAttributes": {"tags": ["fast"]}}
UNREGISTERED = "project [absent] not found"


def setting(scope: Json, **matching: Any) -> dict[str, Any]:
    """A request to set something."""
    return {"attributes": {**scope, "matchingAttributes": matching}}


def within(scope: Json, **changes: str) -> dict[str, Any]:
    """The same scope elsewhere."""
    return {**scope, **changes}


def nowhere(scope: Json) -> list[tuple[str, Json, str]]:
    """Scopes in which nothing can be set, with what is said of them."""
    found: list[tuple[str, Json, str]] = [
        ("no project", within(scope, project=""), "missing project"),
        ("an unknown project", within(scope, project="absent"), UNREGISTERED),
        ("an archived project", within(scope, project="closed"), "project [closed] is not active"),
    ]
    if "domain" in scope:
        found.append(("no domain", within(scope, domain=""), "missing domain"))
        found.append(("an unknown domain", within(scope, domain="absent"), "domain [absent] is unrecognized by system"))
    if "workflow" in scope:
        found.append(("no workflow", within(scope, workflow=""), "missing workflow"))
    return found


def refusals(scope: Json, *, wrap: bool = False, **fields: Any) -> tuple[Case, ...]:
    """A request for each scope in which nothing can be set; wrapped as one that sets something."""
    return tuple(
        Case(
            title,
            setting(place, **QUEUES) if wrap else {**place, **fields},
            INVALID,
            words,
            detail=INACTIVE if "archived" in title else None,
        )
        for title, place, words in nowhere(scope)
    )


def update_attributes(scope: Json) -> tuple[Case, ...]:
    return (
        Case("set", setting(scope, clusterResourceAttributes={"attributes": {"quota": "4"}})),
        Case("replace", setting(scope, clusterResourceAttributes={"attributes": {"quota": "5"}})),
        Case("no attributes", {}, INVALID, "missing attributes"),
        Case("nothing to set", {"attributes": dict(scope)}, INVALID, "missing matching_attributes"),
        Case(
            "what cannot be set",
            setting(scope, qualityOfService={"tier": "HIGH"}),
            INVALID,
            "attributes type",
        ),
        *refusals(scope, wrap=True),
    )


def get_attributes(scope: Json, *, checked: bool = True) -> tuple[Case, ...]:
    """Reading; one that is not `checked` answers for archived projects too."""
    answered = Case(
        "what is set",
        {**scope, "resourceType": "TASK_RESOURCE"},
        answer={"attributes": {**scope, "matchingAttributes": RESOURCES}},
    )
    return (
        answered,
        Case("what nobody set", {**scope, "resourceType": "CLUSTER_ASSIGNMENT"}, MISSING, "not found"),
        Case("a kind that is none", {**scope, "resourceType": 99}, INVALID, "resource_type"),
        *(case for case in refusals(scope, resourceType="TASK_RESOURCE") if checked or "archived" not in case.title),
    )


def delete_attributes(scope: Json) -> tuple[Case, ...]:
    return (
        Case("what is set", {**scope, "resourceType": "TASK_RESOURCE"}),
        Case("what nobody set", {**scope, "resourceType": "CLUSTER_ASSIGNMENT"}),
        Case("a kind that is none", {**scope, "resourceType": 99}, INVALID, "resource_type"),
        *refusals(scope, resourceType="TASK_RESOURCE"),
    )


def project(identifier: str, **changes: Any) -> dict[str, Any]:
    return {"project": {"id": identifier, "name": "New", **changes}}


def bad_projects(wrap: bool) -> tuple[Case, ...]:
    """Projects that can be neither registered nor updated to."""
    wrong: tuple[tuple[str, Json, str], ...] = (
        ("a bad label", {"labels": {"values": {"a b": "c"}}}, "invalid label key [a b]"),
        ("a bad value of a label", {"labels": {"values": {"a": "c d"}}}, "invalid label value [c d]"),
        ("too many labels", {"labels": {"values": {f"l{each}": "x" for each in range(17)}}}, "label"),
        ("a name that is too long", {"name": "x" * 65}, "at most 64 bytes"),
        ("a description that is too long", {"description": "x" * 301}, "at most 300 bytes"),
        ("domains of its own", {"domains": [{"id": "d"}]}, "invalid value for domains"),
        ("a state that is none", {"state": 9}, "state"),
    )
    whole = project("flytetester")["project"]
    return tuple(
        Case(title, {"project": {**whole, **changes, "id": "n"}} if wrap else {**whole, **changes}, INVALID, words)
        for title, changes, words in wrong
    )


DOMAINS = [{"id": "development"}, {"id": "staging"}, {"id": "production"}]

PROJECTS = (
    Rpc(
        "RegisterProject",
        (
            Case("a new one", project("new"), again=EXISTS),
            Case("one that exists", project("flytesnacks"), EXISTS, "project [flytesnacks] already exists"),
            Case("nothing", {}, INVALID, "missing project"),
            Case("no id", project(""), INVALID, "missing project_id"),
            Case("no name", {"project": {"id": "nameless"}}, INVALID, "missing project_name"),
            Case("an id that is none", project("Not An Id"), INVALID, "Not An Id"),
            *bad_projects(wrap=True),
        ),
        alone=True,
    ),
    Rpc(
        "UpdateProject",
        (
            Case("a description", {"id": "flytetester", "description": "tests"}),
            Case("put away", {"id": "flytetester", "state": "ARCHIVED"}),
            Case("no id", {"description": "x"}, INVALID, "missing project_id"),
            Case(
                "one that does not exist", {"id": "absent", "description": "x"}, MISSING, "project [absent] not found"
            ),
            *bad_projects(wrap=False),
        ),
        alone=True,
    ),
    Rpc(
        "GetProject",
        (
            Case("one that exists", {"id": "flytesnacks"}, answer={"id": "flytesnacks", "domains": DOMAINS}),
            Case("one that is put away", {"id": "closed"}, answer={"id": "closed", "state": "ARCHIVED"}),
            Case("one that does not exist", {"id": "absent"}, MISSING, "project [absent] not found"),
            Case("no id", {}, INVALID, "missing"),
        ),
    ),
    Rpc(
        "ListProjects",
        (
            Case(
                "one",
                {"limit": 10, "filters": "eq(identifier,flytesnacks)"},
                answer={"projects": [{"id": "flytesnacks", "domains": DOMAINS}]},
            ),
            Case("those put away", {"filters": "eq(state,1)"}, answer={"projects": [{"id": "closed"}]}),
            Case(
                "all but those",
                {},
                answer={"projects": [{"id": f"flyte{each}"} for each in ("examples", "snacks", "tester")]},
            ),
            Case("a page", {"limit": 1}, answer={"projects": [...], "token": "1"}),
            Case("an unknown column", {"limit": 10, "filters": "eq(nonsense,1)"}, INVALID, "is invalid filter"),
            Case("a filter that is none", {"limit": 10, "filters": "nonsense"}, INVALID, "invalid value for filters"),
            Case("an unknown sort key", {"sortBy": {"key": "nonsense"}}, INVALID, "invalid sort key 'nonsense'"),
            Case("a token that is none", {"limit": 10, "token": "x"}, INVALID, "invalid pagination token x"),
        ),
    ),
    Rpc("GetDomains", (Case("all", {}, answer={"domains": DOMAINS}),)),
)

ATTRIBUTES = (
    Rpc("UpdateProjectDomainAttributes", update_attributes(PLACE)),
    Rpc("GetProjectDomainAttributes", get_attributes(PLACE)),
    Rpc(
        "DeleteProjectDomainAttributes",
        delete_attributes(PLACE),
        alone=True,
        better="Nothing but what was set for just this domain goes.",
    ),
    Rpc(
        "UpdateProjectAttributes",
        update_attributes(PROJECT_ONLY),
        better="Plugin overrides of a project can be set.",
    ),
    Rpc(
        "GetProjectAttributes",
        (
            *get_attributes(PROJECT_ONLY, checked=False),
            Case(
                "how executions run where nobody said so",
                {**PROJECT_ONLY, "resourceType": "WORKFLOW_EXECUTION_CONFIG"},
                answer={"attributes": {"matchingAttributes": {"workflowExecutionConfig": {"maxParallelism": 25}}}},
            ),
        ),
    ),
    Rpc(
        "DeleteProjectAttributes",
        delete_attributes(PROJECT_ONLY),
        alone=True,
        better="Nothing but what was set for the whole project goes.",
    ),
    Rpc("UpdateWorkflowAttributes", update_attributes(WORKFLOW_SCOPE)),
    Rpc("GetWorkflowAttributes", get_attributes(WORKFLOW_SCOPE)),
    Rpc("DeleteWorkflowAttributes", delete_attributes(WORKFLOW_SCOPE), alone=True),
    Rpc(
        "ListMatchableAttributes",
        (
            Case(
                "of one kind, the most specific first",
                {"resourceType": "TASK_RESOURCE"},
                answer={"configurations": [dict(WORKFLOW_SCOPE), dict(PLACE), dict(PROJECT_ONLY)]},
            ),
            Case("of a kind that nobody set", {"resourceType": "CLUSTER_ASSIGNMENT"}, answer={}),
            Case("a kind that is none", {"resourceType": 99}, INVALID, "invalid value for resource_type"),
        ),
    ),
)

WORLD: tuple[tuple[str, Json], ...] = (
    ("UpdateProjectAttributes", setting(PROJECT_ONLY, **RESOURCES)),
    ("UpdateProjectDomainAttributes", setting(PLACE, **RESOURCES)),
    ("UpdateWorkflowAttributes", setting(WORKFLOW_SCOPE, **RESOURCES)),
)
"""What is set before each RPC's cases."""

RPCS = (*PROJECTS, *ATTRIBUTES)
