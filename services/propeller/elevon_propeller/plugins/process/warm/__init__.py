"""The warm fork server; all of this runs in the Python of the tasks, from 3.9 on, with the standard library alone."""

import os

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
"""The script that runs all of this."""

ANEW = "anew"
"""The word by which it is told to run one of flytekit's commands instead of the server."""

PROTOCOL = 1
"""Raised when messages change their meaning; a client that finds another number starts a server of its own."""
