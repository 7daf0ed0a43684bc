"""The warm fork server; all of this runs in the Python of the tasks, from 3.9 on, with the standard library alone."""

PROTOCOL = 1
"""Raised when messages change their meaning; a client that finds another number starts a server of its own."""
