"""Removing what is too old to be of use."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path


def prune_logs(folder: Path, keep: timedelta, living: Collection[str] = ()) -> None:
    """Remove logs nobody has written to for so long, except those of living attempts, by name; blocks."""
    if not folder.exists():
        return
    oldest = time.time() - keep.total_seconds()
    for log in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_mtime < oldest and log.stem not in living:
                log.unlink()
