"""Removing what is too old to be of use."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from pathlib import Path


def prune_logs(folder: Path, keep: timedelta) -> None:
    """Remove logs nobody has written to for so long; blocks."""
    if not folder.exists():
        return
    oldest = time.time() - keep.total_seconds()
    for log in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_mtime < oldest:
                log.unlink()
