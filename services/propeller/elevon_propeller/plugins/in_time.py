"""Beginning nothing that another replica may have begun as well."""

from __future__ import annotations

import asyncio
import time

from elevon_propeller.plugins.contract import Attempt

_PAUSE = 0.05


async def in_time(attempt: Attempt) -> None:
    """Wait while it is not sure that this replica owns the execution; if it does not, `detach` ends the wait."""
    while time.monotonic() >= attempt.until():  # noqa: ASYNC110  # nothing tells a plugin, and it is hardly ever so
        await asyncio.sleep(_PAUSE)
