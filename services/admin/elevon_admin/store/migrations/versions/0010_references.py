"""Whose data the values of executions point at, for those that are there as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from elevon_core import places
from elevon_idl.admin import v1 as admin

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROWS_AT_ONCE = 500
VALUES = {
    "executions": ("inputs", "inputs_uri", "outputs", "outputs_uri"),
    "node_executions": ("outputs", "outputs_uri"),
    "task_executions": ("outputs", "outputs_uri"),
    "signals": ("value",),
}


def upgrade() -> None:
    """Make the table and the columns, and fill the table."""
    op.create_table(
        "data_references",
        sa.Column(
            "execution_id",
            ROW_ID,
            sa.ForeignKey("executions.id", name="fk_data_references_execution_id_executions"),
            nullable=False,
        ),
        sa.Column("place", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "place", name="pk_data_references"),
    )
    op.create_index("ix_data_references_place", "data_references", ["place", "execution_id"])
    op.add_column("executions", sa.Column("doomed_at", sa.BigInteger, nullable=True))
    op.add_column("retention_runs", sa.Column("kept", sa.BigInteger, nullable=False, server_default="0"))
    for table, columns in VALUES.items():
        _fill(op.get_bind(), table, columns)


def _fill(connection: sa.Connection, name: str, columns: Sequence[str]) -> None:
    executions = sa.table("executions", *(sa.column(each) for each in ("id", "project", "domain", "name", "spec")))
    table = executions if name == "executions" else sa.table(name, sa.column("id"), sa.column("execution_id"))
    whose = executions.c.id if name == "executions" else table.c.execution_id
    given: list[Any] = [sa.literal_column(f"{name}.{each}").label(each) for each in columns]
    query = sa.select(table.c.id.label("row"), executions, *given).order_by(table.c.id).limit(ROWS_AT_ONCE)
    if name != "executions":
        query = query.select_from(table.join(executions, executions.c.id == whose))
    last = 0
    while rows := connection.execute(query.where(table.c.id > last)).all():
        last = rows[-1].row
        _add(connection, {(row.id, place) for row in rows for place in _places(row, columns, name)})


def _places(row: sa.Row[Any], columns: Sequence[str], table: str) -> set[str]:
    found: set[str] = set()
    for each in columns:
        value = getattr(row, each)
        if value:
            data = value.encode() if isinstance(value, str) else bytes(value)
            found |= places.elsewhere(data, row.project, row.domain, row.name)
    if table == "executions":
        metadata = admin.ExecutionSpec.FromString(bytes(row.spec)).metadata
        if metadata.mode == admin.ExecutionMetadata.RECOVERED:
            original = metadata.reference_execution
            found.add(places.kept(original.project, original.domain, original.name))
    return found


def _add(connection: sa.Connection, found: set[tuple[int, str]]) -> None:
    table = sa.table("data_references", sa.column("execution_id"), sa.column("place"))
    wanted = {row for row, _ in found}
    known = sa.select(table.c.execution_id, table.c.place).where(table.c.execution_id.in_(wanted))
    there = {(row[0], row[1]) for row in connection.execute(known)} if wanted else set()
    rows = [{"execution_id": row, "place": place} for row, place in sorted(found - there)]
    if rows:
        connection.execute(sa.insert(table), rows)
