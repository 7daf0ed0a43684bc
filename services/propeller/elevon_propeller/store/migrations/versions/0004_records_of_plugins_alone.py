"""Records of plugins no longer name executions: plugins themselves say what is left over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "propeller_0004"
down_revision = "propeller_0003"

_NAMES = (("project", 64), ("domain", 64), ("execution", 255))


def upgrade() -> None:
    """Drop the columns."""
    for name, _ in _NAMES:
        op.drop_column("plugin_state", name)


def downgrade() -> None:
    """Add the columns, empty."""
    for name, length in _NAMES:
        op.add_column("plugin_state", sa.Column(name, sa.String(length), nullable=False, server_default=""))
