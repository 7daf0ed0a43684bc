"""What Alembic runs to migrate; the connection comes from `elevon_kit.migrations`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection


def migrate(connection: Connection) -> None:
    """Run the scripts in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes.get("metadata"),
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


migrate(context.config.attributes["connection"])
