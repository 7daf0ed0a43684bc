"""The smallest module of tasks: what is measured is the start."""

# mypy: ignore-errors
# Runs in the environment of flytekit, which mypy does not see.

from __future__ import annotations

import time

from flytekit import task


@task
def now() -> float:
    """The moment of the first line."""
    return time.time()


@task
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number
