"""How many files and connections a process may have open."""

from __future__ import annotations

import resource

OPEN_FILES = 65_536
"""More are not asked for: some programs close every number that a process could have open when they start."""


def allow_open_files() -> int:
    """Allow this process as many open files and connections as the system lets it; answers how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return OPEN_FILES if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a second limit
        return soft
    return wanted
