"""Adapters of whatever has a socket or a clock, the database aside."""
