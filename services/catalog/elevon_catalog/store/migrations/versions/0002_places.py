"""Whose data artifacts point at, for those that are there as well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from elevon_core import places
from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain.documents import source_places

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 1000


def upgrade() -> None:
    """Make the table and fill it."""
    op.create_table(
        "artifact_places",
        sa.Column(
            "artifact_row",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("artifacts.id", name="fk_artifact_places_artifact_row", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("place", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("artifact_row", "place", name="pk_artifact_places"),
    )
    op.create_index("ix_artifact_places_place", "artifact_places", ["place"])
    _fill(op.get_bind())


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("artifact_places")


def _fill(connection: sa.Connection) -> None:
    """Values outside of their rows are not read: whoever has computed them stands for what they point at."""
    artifacts = sa.table("artifacts", sa.column("id"), sa.column("document"))
    found = sa.table("artifact_places", sa.column("artifact_row"), sa.column("place"))
    query = sa.select(artifacts.c.id, artifacts.c.document).order_by(artifacts.c.id).limit(ROWS_AT_ONCE)
    last = 0
    while rows := connection.execute(query.where(artifacts.c.id > last)).all():
        last = rows[-1].id
        pointing = [
            {"artifact_row": row.id, "place": place} for row in rows for place in sorted(_places(bytes(row.document)))
        ]
        if pointing:
            connection.execute(sa.insert(found), pointing)


def _places(document: bytes) -> set[str]:
    return places.named_in(document) | source_places(catalog.Artifact.FromString(document).metadata)
