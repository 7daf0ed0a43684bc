"""A module of tasks that imports what takes long."""

# mypy: ignore-errors
# Runs in the environment of flytekit, which mypy does not see.

from __future__ import annotations

import os
import sys
import time

BEGAN = time.monotonic()
KNEW_PANDAS = "pandas.core.frame" in sys.modules  # flytekit puts a promise of `pandas` itself there

import pandas as pd  # noqa: E402  # what is measured
from flytekit import task  # noqa: E402  # what is measured

TOOK = time.monotonic() - BEGAN


@task
def look() -> dict[str, float]:
    """Whether pandas was there before this module asked for it, and that it works."""
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    return {"known": float(KNEW_PANDAS), "seconds": TOOK, "sum": float(frame.x.sum()), "pid": float(os.getppid())}
