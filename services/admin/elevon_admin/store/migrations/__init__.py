"""Alembic migrations of the admin database."""
