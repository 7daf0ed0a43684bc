"""What filters and orders may say about executions, nodes, task attempts and signals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, literal, select

from elevon_admin.domain.filter_values import ValueKind
from elevon_admin.domain.phases import NODE_PHASE_NUMBERS, TASK_PHASE_NUMBERS, WORKFLOW_PHASE_NUMBERS
from elevon_admin.store.execution_tables import (
    execution_tags,
    executions,
    node_executions,
    signals,
    task_executions,
)
from elevon_admin.store.listing import Columns, Entity, Field
from elevon_admin.store.registry_tables import launch_plans, tasks, workflows
from elevon_admin.store.versioned import (
    LAUNCH_PLAN_FIELDS,
    TASK_FIELDS,
    WORKFLOW_FIELDS,
    looked_up,
    related,
    row_fields,
)


def _texts(table: Table, *names: str) -> dict[str, Field]:
    return {name: Field(table.c[name]) for name in names}


def _times(table: Table, *names: str) -> dict[str, Field]:
    return {name: Field(table.c[name], ValueKind.TIMESTAMP) for name in names}


def _numbers(table: Table, *names: str) -> dict[str, Field]:
    return {name: Field(table.c[name], ValueKind.INTEGER) for name in names}


def _phase(table: Table, numbers: Mapping[str, int]) -> dict[str, Field]:
    return {
        "phase": Field(table.c.phase, names=numbers),
        "started_at": Field(table.c.started_at, ValueKind.TIMESTAMP),
        "duration": Field(table.c.duration, ValueKind.DURATION),
    }


_EXECUTION_NAME = {
    "execution_project": Field(executions.c.project),
    "execution_domain": Field(executions.c.domain),
    "execution_name": Field(executions.c.name),
    "project": Field(executions.c.project),
    "domain": Field(executions.c.domain),
    "name": Field(executions.c.name),
}
"""Both spellings: clients use the short ones, too."""

EXECUTION_FIELDS = {
    **row_fields(executions),
    **_EXECUTION_NAME,
    **_phase(executions, WORKFLOW_PHASE_NUMBERS),
    **_times(executions, "execution_created_at", "execution_updated_at"),
    **_numbers(
        executions,
        "launch_plan_id",
        "workflow_id",
        "task_id",
        "mode",
        "state",
        "source_execution_id",
        "parent_node_execution_id",
    ),
    **_texts(
        executions,
        "abort_cause",
        "cluster",
        "inputs_uri",
        "user_inputs_uri",
        "error_kind",
        "error_code",
        "user",
        "launch_entity",
    ),
}


def _named_by(entity: str, holder: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Where an entity that belongs to an execution has that one's name from."""
    return {(entity, field): (holder, field) for field in _EXECUTION_NAME}


_OF_ONE_EXECUTION: dict[str, ColumnElement[Any] | None] = dict.fromkeys(_EXECUTION_NAME)
"""What nodes, attempts and signals can be sorted by, to no effect: lists of them are those of one execution."""

NODE_FIELDS = {
    **row_fields(node_executions),
    **_texts(node_executions, "node_id", "input_uri", "error_kind", "error_code", "cache_status"),
    **_phase(node_executions, NODE_PHASE_NUMBERS),
    **_times(node_executions, "node_execution_created_at", "node_execution_updated_at"),
    "parent_id": Field(node_executions.c.parent_node_id),
    "parent_task_execution_id": Field(node_executions.c.parent_task),
    "dynamic_workflow_remote_closure_reference": Field(node_executions.c.dynamic_workflow_uri),
}

TASK_EXECUTION_FIELDS = {
    **row_fields(task_executions),
    **_texts(task_executions, "node_id", "version", "input_uri"),
    **_phase(task_executions, TASK_PHASE_NUMBERS),
    **_times(task_executions, "task_execution_created_at", "task_execution_updated_at"),
    **_numbers(task_executions, "retry_attempt", "phase_version"),
}

_TAG_FIELDS = _texts(execution_tags, "key", "value")
_ADMIN_TAG_FIELDS = {"name": Field(execution_tags.c.key)}

_SIGNAL_FIELDS = {**row_fields(signals), **_texts(signals, "signal_id")}


EXECUTION_COLUMNS = Columns(
    "execution",
    {
        "execution": Entity(EXECUTION_FIELDS),
        "launch_plan": looked_up(LAUNCH_PLAN_FIELDS, executions.c.launch_plan_id, launch_plans.c.id),
        "workflow": looked_up(WORKFLOW_FIELDS, executions.c.workflow_id, workflows.c.id),
        "task": looked_up(TASK_FIELDS, executions.c.task_id, tasks.c.id),
        "execution_tag": looked_up(_TAG_FIELDS, executions.c.id, execution_tags.c.execution_id),
        "admin_tag": looked_up(_ADMIN_TAG_FIELDS, executions.c.id, execution_tags.c.execution_id),
    },
    (executions.c.created_at, executions.c.id),
    moved=_named_by("execution_tag", "execution"),
    tie_breaks={"updated_at": (executions.c.id,)},
)


def _one_by_one(fields: dict[str, Field], own: ColumnElement[Any], other: ColumnElement[Any]) -> Entity:
    """As `related`; the OFFSET keeps PostgreSQL from a join that it expects, wrongly, to leave next to nothing."""
    return Entity(fields, lambda condition: select(1).where(own == other, condition).offset(0).exists())


_ONE_BY_ONE = {
    "launch_plan": _one_by_one(LAUNCH_PLAN_FIELDS, executions.c.launch_plan_id, launch_plans.c.id),
    "workflow": _one_by_one(WORKFLOW_FIELDS, executions.c.workflow_id, workflows.c.id),
    "task": _one_by_one(TASK_FIELDS, executions.c.task_id, tasks.c.id),
}


def with_names_known(columns: Columns, entities: Collection[str]) -> Columns:
    """The same, for executions that an index finds by the name of an entity: each looks at its own row of it only."""
    known = {name: entity for name, entity in _ONE_BY_ONE.items() if name in entities}
    return replace(columns, entities={**columns.entities, **known}) if known else columns


def with_tags_in(columns: Columns, place: ColumnElement[bool]) -> Columns:
    """The same, where tags are looked up in one place only, as their indexes begin with it."""

    def tagged(fields: dict[str, Field]) -> Entity:
        return looked_up(fields, executions.c.id, execution_tags.c.execution_id, place)

    tags = {"execution_tag": tagged(_TAG_FIELDS), "admin_tag": tagged(_ADMIN_TAG_FIELDS)}
    return replace(columns, entities={**columns.entities, **tags})


def _of_execution(own: ColumnElement[Any]) -> Entity:
    return related(EXECUTION_FIELDS, own, executions.c.id)


NODE_COLUMNS = Columns(
    "node_execution",
    {"node_execution": Entity(NODE_FIELDS), "execution": _of_execution(node_executions.c.execution_id)},
    (node_executions.c.created_at, node_executions.c.id),
    moved=_named_by("node_execution", "execution"),
    sorts=_OF_ONE_EXECUTION,
)

_TASK = and_(
    tasks.c.project == task_executions.c.project,
    tasks.c.domain == task_executions.c.domain,
    tasks.c.name == task_executions.c.name,
    tasks.c.version == task_executions.c.version,
)
_TASKS_OWN_KEY = {name: Field(task_executions.c[name]) for name in ("project", "domain", "name", "version")}
_NODE = and_(
    node_executions.c.execution_id == task_executions.c.execution_id,
    node_executions.c.node_id == task_executions.c.node_id,
)


_ONE = select(literal(1).label("one")).subquery("one")


def _executed_task(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """An outer join, since the key of a task is known even where the task was never registered here."""
    joined = select(1).select_from(_ONE.outerjoin(tasks, _TASK)).where(condition)
    return joined.correlate(task_executions).exists()


TASK_COLUMNS = Columns(
    "task_execution",
    {
        "task_execution": Entity(TASK_EXECUTION_FIELDS),
        "task": Entity({**TASK_FIELDS, **_TASKS_OWN_KEY}, _executed_task),
        "execution": _of_execution(task_executions.c.execution_id),
        "node_execution": Entity(
            NODE_FIELDS,
            lambda condition: select(1).select_from(node_executions).where(_NODE, condition).exists(),
        ),
    },
    (task_executions.c.id,),
    moved={**_named_by("task_execution", "execution"), **_named_by("node_execution", "execution")},
    sorts={**_OF_ONE_EXECUTION, **{part: known.column for part, known in _TASKS_OWN_KEY.items()}},
)

_SIGNALS_EXECUTION = "execution of the signal"
"""No filter can name it: of its execution, those of signals say nothing but the name."""

SIGNAL_COLUMNS = Columns(
    "signal",
    {"signal": Entity(_SIGNAL_FIELDS), _SIGNALS_EXECUTION: _of_execution(signals.c.execution_id)},
    (signals.c.id,),
    moved=_named_by("signal", _SIGNALS_EXECUTION),
    sorts=_OF_ONE_EXECUTION,
)
