"""Durable state in a relational database."""
