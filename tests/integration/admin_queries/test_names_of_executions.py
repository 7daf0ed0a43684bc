"""Nodes, attempts and signals by what their execution is called, in every spelling, against the reference."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl.admin import common_pb2, event_pb2, node_execution_pb2, signal_pb2, task_execution_pb2
from flyteidl.core import identifier_pb2

from tests.integration.admin_executions.harness import (
    DOMAIN,
    NODE,
    PROJECT,
    TASK,
    WORKFLOW,
    Admin,
    execution_id,
    node_id_of,
    serving,
    task_event,
)
from tests.integration.admin_queries.reference import selected
from tests.integration.admin_registry.harness import INTEGER, by

EXECUTION = {"project": PROJECT, "domain": DOMAIN, "name": "x"}
SPELLED = {**EXECUTION, **{f"execution_{part}": value for part, value in EXECUTION.items()}}
OWN_ROWS: dict[str, list[dict[str, Any]]] = {
    "node_execution": [{"node_id": node} for node in ("n0", "n1", "n2")],
    "task_execution": [{"retry_attempt": attempt} for attempt in range(3)],
    "signal": [{"signal_id": signal} for signal in ("s0", "s1", "s2")],
}
"""What each list finds, all of the same execution."""


@pytest.fixture
async def admin(database_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    """Two executions with the same nodes, attempts and signals."""
    async with serving(database_url, tmp_path) as running:
        plan = await running.register()
        for name in ("x", "y"):
            identifier = await running.launch(plan, name)
            await running.report(identifier, WORKFLOW.RUNNING)
            for number in range(3):
                await running.report_node(identifier, f"n{number}", NODE.RUNNING, number)
                await running.report_task(identifier, "n0", TASK.RUNNING, number, retry_attempt=number)
                signal = identifier_pb2.SignalIdentifier(signal_id=f"s{number}", execution_id=identifier)
                await running.signals.GetOrCreateSignal(signal_pb2.SignalGetOrCreateRequest(id=signal, type=INTEGER))
        yield running


async def listed(admin: Admin, entity: str, filters: str = "", sort: common_pb2.Sort | None = None) -> Sequence[Any]:
    """What is found of execution x, by what tells the rows apart."""
    fields: dict[str, Any] = {"limit": 10, "filters": filters, "sort_by": sort or by("created_at")}
    if entity == "node_execution":
        asked = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=execution_id("x"), **fields)
        return [row.id.node_id for row in (await admin.stub.ListNodeExecutions(asked)).node_executions]
    if entity == "task_execution":
        node = node_id_of(execution_id("x"), "n0")
        request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node, **fields)
        return [row.id.retry_attempt for row in (await admin.stub.ListTaskExecutions(request)).task_executions]
    request = signal_pb2.SignalListRequest(workflow_execution_id=execution_id("x"), **fields)
    return [row.id.signal_id for row in (await admin.signals.ListSignals(request)).signals]


@pytest.mark.parametrize("entity", OWN_ROWS)
async def test_filters_by_the_name_of_the_execution(admin: Admin, entity: str) -> None:
    [key] = OWN_ROWS[entity][0]
    rows = [{**SPELLED, **row, entity: [{**SPELLED, **row}]} for row in OWN_ROWS[entity]]
    kinds = {**dict.fromkeys(SPELLED, "text"), **{f"{entity}.{field}": "text" for field in SPELLED}}
    for field in kinds:
        value = SPELLED[field.rpartition(".")[2]]
        for text in (
            f"eq({field},{value})",
            f"ne({field},{value})",
            f"eq({field},y)",
            f"contains({field},{value[:-1]}%)",
            f"not_like({field},{value[:1]}%)",
            f"value_in({field},y;{value})",
            f"value_not_in({field},{value})+eq({field},{value})",
            f"gt({field},Z)+lte({field},{value})",
        ):
            expected = [row[key] for row in selected(text, kinds, rows)]
            assert await listed(admin, entity, text) == expected, text


@pytest.mark.parametrize("entity", OWN_ROWS)
async def test_all_rows_have_the_same_place_in_an_order_by_their_execution(admin: Admin, entity: str) -> None:
    rows = [value for row in OWN_ROWS[entity] for value in row.values()]
    for key in SPELLED:
        assert await listed(admin, entity, sort=by(key)) == rows
        assert await listed(admin, entity, sort=by(key, ascending=False)) == rows[::-1]


async def test_attempts_are_sorted_by_what_their_task_is_called(admin: Admin) -> None:
    """In filters the same words are about the execution, as in the original, where they are renamed."""
    node = node_id_of(execution_id("x"), "n0")
    for number, name in enumerate(("b", "a")):
        event = task_event(execution_id("x"), "n0", TASK.RUNNING, retry_attempt=5 + number)
        event.task_id.name = name
        await admin.stub.CreateTaskEvent(event_pb2.TaskExecutionEventRequest(event=event))
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node, limit=2, sort_by=by("name"))
    found = (await admin.stub.ListTaskExecutions(request)).task_executions
    assert [row.id.task_id.name for row in found] == ["a", "b"]


async def test_attempts_are_found_by_the_name_that_their_node_has_of_the_execution(admin: Admin) -> None:
    text = "eq(node_execution.execution_name,{})+eq(node_execution.project,flytesnacks)+eq(node_execution.node_id,n0)"
    assert await listed(admin, "task_execution", text.format("x")) == [0, 1, 2]
    assert await listed(admin, "task_execution", text.format("y")) == []


async def test_what_keeps_no_text_is_no_column(admin: Admin) -> None:
    for column in ("type", "value", "closure"):
        with pytest.raises(grpc.aio.AioRpcError, match="is invalid filter"):
            await listed(admin, "signal", f"eq({column},x)")
