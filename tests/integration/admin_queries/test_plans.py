"""No list call reads a large table as a whole: what each sends to the database is explained there, with many rows.

PostgreSQL has statistics and chooses freely; what it looks at is counted. SQLite has none, as in service, and the steps
it makes are counted: a query beyond the budget of its driver would leave the event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elevon_kit.sqlite_driver import STEP_BUDGET

from tests.integration.admin_queries.filled import LISTS, PLACE, ask, database_of, filled
from tests.query_plans import tables_scanned, watched, work_of

LARGE = {
    "description_entities",
    "execution_tags",
    "executions",
    "launch_plans",
    "named_entities",
    "node_executions",
    "retention_runs",
    "schedule_ticks",
    "signals",
    "task_executions",
    "tasks",
    "workflows",
}
"""Tables that grow with use. Projects, attributes, rules and receivers are as many as people make by hand, and messages
that wait for receivers go when they are delivered; those ListReceivers counts."""

MOST_ROWS = 1_500
"""Rows that a page of a hundred may look at, those of other tables included."""

NEWEST = {"key": "created_at", "direction": "DESCENDING"}
EXECUTION = {"project": PLACE["project"], "domain": PLACE["domain"], "name": "copy2"}
NODE = {"node_id": "n7", "execution_id": EXECUTION}
ATTEMPT = {
    "task_id": {"resource_type": "TASK", **PLACE, "name": "t", "version": "v1"},
    "node_execution_id": NODE,
    "retry_attempt": 0,
}
PLAN = {"resource_type": "LAUNCH_PLAN", **PLACE, "name": "w1", "version": "v1"}
Request = Mapping[str, Any]


def page(filters: str = "", sort: str = "", *, ascending: bool = False, name: str = "", token: str = "") -> Request:
    """A page of a hundred of what a project and domain have."""
    request: dict[str, Any] = {"id": {**PLACE, "name": name}, "limit": 100, "filters": filters, "token": token}
    if sort:
        request["sort_by"] = {"key": sort, "direction": "ASCENDING" if ascending else "DESCENDING"}
    return request


def executions() -> list[Request]:
    """Pages of executions: every usual order, every usual filter in the order of creation, and some together."""
    orders = ("created_at", "updated_at", "started_at", "name", "execution_name")
    filters = (
        "eq(phase,SUCCEEDED)",
        "eq(phase,ABORTED)",
        "value_in(phase,QUEUED;RUNNING)",
        "ne(phase,SUCCEEDED)",
        "eq(user,user7)",
        "eq(user,nobody)",
        "eq(error_kind,SYSTEM)",
        "value_in(error_kind,SYSTEM)",
        "eq(workflow.name,w1)",
        "eq(workflow.name,nothing)",
        "eq(workflow.name,w1)+eq(workflow.version,v1)",
        "eq(workflow.name,w1)+value_in(phase,QUEUED;RUNNING)",
        "eq(launch_plan.name,w2)",
        "eq(task.name,t)",
        "eq(task.name,nothing)",
        "eq(admin_tag.name,nightly)",
        "eq(admin_tag.name,rare)",
        "eq(admin_tag.name,nothing)",
        "value_in(admin_tag.name,rare;nightly)",
        f"value_in(admin_tag.name,rare;{';'.join(f'tag{number}' for number in range(20))})",
        "eq(execution_tag.key,team)+eq(execution_tag.value,t3)",
        "value_in(execution_tag.value,t3;t4)",
        "eq(execution_tag.key,nightly)+eq(phase,SUCCEEDED)",
        "eq(execution_tag.key,team)+eq(execution_tag.execution_name,copy2)",
        "eq(name,copy77)",
        "eq(execution.name,copy77)",
        "eq(mode,0)",
        "eq(state,1)",
        "gte(created_at,2023-01-01T00:00:00Z)",
        "eq(phase,SUCCEEDED)+gte(created_at,2023-01-01T00:00:00Z)",
    )
    return [
        page(),
        page(name="copy77"),
        *(page(sort=key, ascending=ascending) for key in orders for ascending in (True, False)),
        *(page(each, "created_at", ascending=ascending) for each in filters for ascending in (True, False)),
    ]


def nodes() -> list[Request]:
    """Pages of the nodes of one large execution."""
    of = {"workflow_execution_id": EXECUTION, "limit": 100}
    return [
        of,
        {**of, "sort_by": {"key": "created_at", "direction": "ASCENDING"}},
        {**of, "sort_by": NEWEST},
        {**of, "unique_parent_id": "n7", "sort_by": {"key": "created_at", "direction": "ASCENDING"}},
        {**of, "filters": "eq(node_id,n7)"},
        {**of, "filters": "eq(phase,RUNNING)", "sort_by": NEWEST},
        {**of, "filters": "eq(execution.phase,SUCCEEDED)+eq(phase,RUNNING)", "sort_by": NEWEST},
        {**of, "filters": "eq(node_execution.execution_name,copy2)+eq(name,copy2)", "sort_by": NEWEST},
        {**of, "sort_by": {"key": "execution_name", "direction": "ASCENDING"}},
    ]


def versions() -> list[Request]:
    """Pages of tasks, workflows or launch plans."""
    return [
        page(),
        page(sort="created_at"),
        page(sort="created_at", ascending=True),
        page(sort="name", ascending=True),
        page(name="name7"),
        page(name="name7", sort="created_at"),
        page(name="name7", sort="version"),
        page("eq(name,name7)", "created_at"),
        page("eq(name,name7)+eq(version,version3)"),
    ]


def names() -> list[Request]:
    """Pages of names."""
    by_name = {"key": "name", "direction": "ASCENDING"}
    return [{**PLACE, "limit": 100}, {**PLACE, "limit": 100, "sort_by": by_name}]


NAMED = {"resource_type": "WORKFLOW", **PLACE, "limit": 100}
FORMS: dict[str, list[Request]] = {
    "ListExecutions": executions(),
    "ListNodeExecutions": nodes(),
    "ListNodeExecutionsForTask": [{"task_execution_id": ATTEMPT, "limit": 100, "sort_by": NEWEST}],
    "ListTaskExecutions": [
        {"node_execution_id": NODE, "limit": 100},
        {"node_execution_id": NODE, "limit": 100, "sort_by": NEWEST},
        {"node_execution_id": NODE, "limit": 100, "filters": "eq(task.name,t)+eq(phase,RUNNING)"},
    ],
    "ListTasks": versions(),
    "ListWorkflows": versions(),
    "ListLaunchPlans": [*versions(), page("eq(name,name7)+eq(state,1)"), page("eq(workflow.name,name7)", "created_at")],
    "ListActiveLaunchPlans": [{**PLACE, "limit": 100}, {**PLACE, "limit": 100, "sort_by": NEWEST}],
    "ListTaskIds": names(),
    "ListWorkflowIds": names(),
    "ListLaunchPlanIds": names(),
    "ListNamedEntities": [
        NAMED,
        {**NAMED, "sort_by": {"key": "name", "direction": "ASCENDING"}},
        {**NAMED, "filters": "eq(state,0)"},
        {**NAMED, "filters": "contains(name,name1)"},
    ],
    "ListDescriptionEntities": [
        {"resource_type": "TASK", "id": {**PLACE, "name": "name7"}, "limit": 100},
        {"resource_type": "TASK", "id": {**PLACE, "name": "name7"}, "limit": 100, "sort_by": NEWEST},
        {"resource_type": "TASK", "id": PLACE, "limit": 100},
        {"resource_type": "TASK", "id": PLACE, "limit": 100, "sort_by": NEWEST},
    ],
    "ListSignals": [{"workflow_execution_id": EXECUTION, "limit": 100}],
    "ListProjects": [{}, {"limit": 100, "filters": "eq(state,0)"}],
    "ListMatchableAttributes": [{"resource_type": "TASK_RESOURCE"}],
    "ListSchedules": [{**PLACE, "limit": 100}],
    "ListScheduledTimes": [{"launch_plan_id": PLAN, "limit": 100}],
    "ListTicks": [{**PLACE, "limit": 100}, {**PLACE, "name": "w1", "limit": 100}],
    "ListReceivers": [{}],
    "ListDeliveries": [{"receiver": "webhook", "limit": 100}],
    "ListRetentionPolicies": [{}],
    "ListRetentionRuns": [{"project": PLACE["project"], "limit": 100}],
}


def test_every_list_call_is_looked_at() -> None:
    assert set(FORMS) == set(LISTS)


async def test_no_page_reads_a_large_table_as_a_whole(database_url: str, tmp_path: Path) -> None:
    most = STEP_BUDGET if database_url.startswith("sqlite") else MOST_ROWS
    found = []
    async with filled(database_url, tmp_path / "blobs") as admin:
        database = database_of(admin)
        for name, requests in FORMS.items():
            for request in requests:
                with watched(database) as sent:
                    await ask(admin, name, request)
                assert len(sent) <= 3, (name, request, sent)
                for each in sent:
                    work = await work_of(database, each)
                    if tables_scanned(work, LARGE) or work.effort > most:
                        found.append(
                            f"{name} {request}\n{each.statement}\n{each.parameters}\n{work.effort}\n{work.plan}"
                        )
    assert not found, f"{len(found)} statements read too much:\n" + "\n\n".join(found)
