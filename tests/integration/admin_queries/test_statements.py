"""A list call sends the same few statements however long its page is, and none that counts rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.admin_queries.filled import PLACE, ask, database_of, filled
from tests.query_plans import watched

EXECUTION = {**PLACE, "name": "copy2"}
NODE = {"node_id": "n7", "execution_id": EXECUTION}
ATTEMPT = {
    "task_id": {"resource_type": "TASK", **PLACE, "name": "t", "version": "v1"},
    "node_execution_id": NODE,
    "retry_attempt": 0,
}
STATEMENTS: dict[str, tuple[int, Mapping[str, Any]]] = {
    "ListExecutions": (1, {"id": PLACE, "filters": "value_in(phase,RUNNING;SUCCEEDED)"}),
    "ListNodeExecutions": (1, {"workflow_execution_id": EXECUTION}),
    "ListNodeExecutionsForTask": (3, {"task_execution_id": ATTEMPT}),
    "ListTaskExecutions": (2, {"node_execution_id": NODE}),
    "ListTasks": (1, {"id": PLACE}),
    "ListWorkflows": (1, {"id": PLACE}),
    "ListLaunchPlans": (1, {"id": PLACE}),
    "ListActiveLaunchPlans": (1, PLACE),
    "ListTaskIds": (1, PLACE),
    "ListWorkflowIds": (1, PLACE),
    "ListLaunchPlanIds": (1, PLACE),
    "ListNamedEntities": (1, {"resource_type": "WORKFLOW", **PLACE}),
    "ListDescriptionEntities": (1, {"resource_type": "TASK", "id": {**PLACE, "name": "name7"}}),
    "ListSignals": (1, {"workflow_execution_id": EXECUTION}),
    "ListProjects": (1, {}),
    "ListSchedules": (1, PLACE),
    "ListTicks": (1, PLACE),
    "ListRetentionRuns": (1, {"project": PLACE["project"]}),
}
"""How many statements each list call with pages may send, and a request without its limit."""


@pytest.mark.parametrize("limit", [2, 200])
async def test_the_statements_do_not_depend_on_the_length_of_the_page(
    database_url: str, tmp_path: Path, limit: int
) -> None:
    async with filled(database_url, tmp_path / "blobs", executions=500, versions=500, nodes=250) as admin:
        for name, (expected, request) in STATEMENTS.items():
            with watched(database_of(admin)) as sent:
                await ask(admin, name, {**request, "limit": limit})
            assert len(sent) <= expected, (name, sent)
            assert not any("count(" in each.statement.lower() for each in sent), (name, sent)
