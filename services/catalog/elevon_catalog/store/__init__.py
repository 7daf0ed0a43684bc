"""The rows of the catalog, in SQLite or PostgreSQL."""
