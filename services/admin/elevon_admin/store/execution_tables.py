"""Tables of what runs and has run."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from elevon_admin.store.schema import Name, Nanoseconds, RowId, metadata


def _row() -> tuple[Column[int], ...]:
    return (
        Column("id", RowId, primary_key=True, autoincrement=True),
        Column("created_at", Nanoseconds, nullable=False),
        Column("updated_at", Nanoseconds, nullable=False),
        Column("phase", SmallInteger, nullable=False),
        Column("phases_seen", SmallInteger, nullable=False),
        Column("started_at", Nanoseconds, nullable=True),
        Column("duration", Nanoseconds, nullable=True),
    )


def _error() -> tuple[Column[str], ...]:
    return (Column("error_kind", Name, nullable=True), Column("error_code", Name, nullable=True))


LIVE = "phase NOT IN (4, 6, 7, 8)"
"""Not SUCCEEDED, FAILED, ABORTED or TIMED_OUT; spelled as in the index, so that a query with it uses the index."""

ENDED = "phase IN (4, 6, 7, 8)"
WITH_DATA = f"data_deleted_at IS NULL AND {ENDED}"
"""Ended, and ended without having been reduced to an outline; the second is spelled as in its index."""

executions = Table(
    "executions",
    metadata,
    *_row(),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("mode", SmallInteger, nullable=False),
    Column("launch_entity", Name, nullable=False),
    Column("workflow_name", Name, nullable=False),
    Column("launch_plan_name", Name, nullable=False),
    Column("launch_plan_id", RowId, ForeignKey("launch_plans.id"), nullable=True),
    Column("workflow_id", RowId, ForeignKey("workflows.id"), nullable=True),
    Column("task_id", RowId, ForeignKey("tasks.id"), nullable=True),
    Column("source_execution_id", RowId, nullable=True),
    Column("parent_node_execution_id", RowId, nullable=True),
    Column("execution_created_at", Nanoseconds, nullable=False),
    Column("execution_updated_at", Nanoseconds, nullable=False),
    Column("user", Name, nullable=False),
    Column("cluster", Name, nullable=False),
    Column("abort_cause", Name, nullable=True),
    *_error(),
    Column("inputs_uri", Text, nullable=True),
    Column("user_inputs_uri", Text, nullable=True),
    Column("outputs_uri", Text, nullable=True),
    Column("spec", LargeBinary, nullable=False),
    Column("closure", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=True),
    Column("user_inputs", LargeBinary, nullable=True),
    Column("outputs", LargeBinary, nullable=True),
    Column("data_deleted_at", Nanoseconds, nullable=True),
    Column("doomed_at", Nanoseconds, nullable=True),
    Column("files_stay_until", Nanoseconds, nullable=True),
    UniqueConstraint("project", "domain", "name", name="uq_executions_project_domain_name"),
    Index("ix_executions_created_at", "project", "domain", "state", "created_at", "id"),
    Index("ix_executions_phase", "project", "domain", "state", "phase", "created_at", "id"),
    Index("ix_executions_started_at", "project", "domain", "state", "started_at", "created_at", "id"),
    Index("ix_executions_workflow_name", "project", "domain", "state", "workflow_name", "created_at", "id"),
    Index("ix_executions_launch_plan_name", "project", "domain", "state", "launch_plan_name", "created_at", "id"),
    Index("ix_executions_updated_at", "project", "domain", "updated_at", "id"),
    Index("ix_executions_user", "project", "domain", "state", "user", "created_at", "id"),
    Index(
        "ix_executions_error_kind",
        "project",
        "domain",
        "state",
        "error_kind",
        "created_at",
        "id",
        sqlite_where=text("error_kind IS NOT NULL"),
    ),
    Index("ix_executions_with_data", "project", "domain", "created_at", "id", sqlite_where=text(WITH_DATA)),
    Index("ix_executions_live", "launch_plan_id", sqlite_where=text(LIVE)),
)
"""`spec` is an admin.ExecutionSpec, `closure` an admin.ExecutionClosure.

Literal maps are either inline (`inputs`, `user_inputs`, `outputs`) or behind the URI beside them; `user_inputs` is NULL
where they equal `inputs`. `phases_seen` has bit n set once phase n was recorded. The names of workflow and launch plan
are there again, in this table, because pages of the executions of one name need an index in the order of creation.
`doomed_at` is set before the files of an execution are deleted: from then on nobody can recover it. Until
`files_stay_until` they are left, because cached results that point at them have just been deleted.
"""

node_executions = Table(
    "node_executions",
    metadata,
    *_row(),
    Column("execution_id", RowId, ForeignKey("executions.id"), nullable=False),
    Column("node_id", Name, nullable=False),
    Column("parent_node_id", Name, nullable=True),
    Column("parent_task", Name, nullable=True),
    Column("node_execution_created_at", Nanoseconds, nullable=False),
    Column("node_execution_updated_at", Nanoseconds, nullable=False),
    Column("event_version", Integer, nullable=False),
    Column("cache_status", Name, nullable=True),
    *_error(),
    Column("input_uri", Text, nullable=False),
    Column("outputs_uri", Text, nullable=True),
    Column("dynamic_workflow_uri", Text, nullable=True),
    Column("metadata", LargeBinary, nullable=False),
    Column("closure", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=True),
    Column("outputs", LargeBinary, nullable=True),
    Column("dynamic_workflow_id", LargeBinary, nullable=True),
    Column("dynamic_workflow", LargeBinary, nullable=True),
    UniqueConstraint("execution_id", "node_id", name="uq_node_executions_execution_id_node_id"),
    Index("ix_node_executions_parent_node_id", "execution_id", "parent_node_id", "created_at", "id"),
    Index(
        "ix_node_executions_parent_task",
        "execution_id",
        "parent_task",
        "created_at",
        "id",
        sqlite_where=text("parent_task IS NOT NULL"),
    ),
)
"""`metadata` is an admin.NodeExecutionMetaData, `closure` an admin.NodeExecutionClosure.

A node below another one has the other's id in `parent_node_id`; a node below a task attempt has the attempt's text
(`TaskKey.within_execution`) in `parent_task`; both are NULL at the top level.
"""

task_executions = Table(
    "task_executions",
    metadata,
    *_row(),
    Column("execution_id", RowId, ForeignKey("executions.id"), nullable=False),
    Column("node_id", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("version", Name, nullable=False),
    Column("retry_attempt", RowId, nullable=False),
    Column("phase_version", RowId, nullable=False),
    Column("task_execution_created_at", Nanoseconds, nullable=False),
    Column("task_execution_updated_at", Nanoseconds, nullable=False),
    Column("input_uri", Text, nullable=False),
    Column("outputs_uri", Text, nullable=True),
    Column("closure", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=True),
    Column("outputs", LargeBinary, nullable=True),
    UniqueConstraint(
        "execution_id",
        "node_id",
        "retry_attempt",
        "name",
        "version",
        "project",
        "domain",
        name="uq_task_executions_key",
    ),
)
"""`closure` is an admin.TaskExecutionClosure; project, domain, name and version are the task's."""

execution_tags = Table(
    "execution_tags",
    metadata,
    Column("execution_id", RowId, ForeignKey("executions.id"), primary_key=True),
    Column("key", Name, primary_key=True),
    Column("value", Name, primary_key=True),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("created_at", Nanoseconds, nullable=False),
    Index("ix_execution_tags_key", "project", "domain", "key", "created_at", "execution_id"),
    Index("ix_execution_tags_pair", "project", "domain", "key", "value", "created_at", "execution_id"),
    Index("ix_execution_tags_value", "project", "domain", "value", "created_at", "execution_id"),
)
"""Tags have an empty value; labels have theirs.

Place and time are the execution's: pages of the executions with a tag come from an index in the order of creation.
"""

data_references = Table(
    "data_references",
    metadata,
    Column("execution_id", RowId, ForeignKey("executions.id"), primary_key=True),
    Column("place", Name, primary_key=True),
    Index("ix_data_references_place", "place", "execution_id"),
)
"""Whose data the values of an execution point at, its own left out; see `elevon_core.places`."""

signals = Table(
    "signals",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("created_at", Nanoseconds, nullable=False),
    Column("updated_at", Nanoseconds, nullable=False),
    Column("execution_id", RowId, ForeignKey("executions.id"), nullable=False),
    Column("signal_id", Name, nullable=False),
    Column("type", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=True),
    UniqueConstraint("execution_id", "signal_id", name="uq_signals_execution_id_signal_id"),
)
"""`type` is a core.LiteralType, `value` a core.Literal, NULL until it is set."""

dispatches = Table(
    "dispatches",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("created_at", Nanoseconds, nullable=False),
    Column("execution_id", RowId, ForeignKey("executions.id"), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("ix_dispatches_execution_id", "execution_id"),
)
"""What the engine has not acknowledged yet; a row is deleted with the acknowledgement.

`payload` is the request of the call that `kind` names, without what the execution's row holds anyway.
"""

waiting_executions = Table(
    "waiting_executions",
    metadata,
    Column("execution_id", RowId, ForeignKey("executions.id"), primary_key=True, autoincrement=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("launch_plan", Name, nullable=False),
    Column("maximum", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("ix_waiting_executions_launch_plan", "project", "domain", "launch_plan", "execution_id"),
)
"""Executions that wait for a place under the concurrency policy of their launch plan, in the order of their rows.

A row becomes a dispatch with the same `payload` when there is a place; project and domain are the launch plan's.
"""

secrets = Table(
    "secrets",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Random keys that all replicas share, made by whichever starts first."""
