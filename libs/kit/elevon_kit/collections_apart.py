"""Collections of garbage that stop a service for milliseconds, where much that it remembers would make them longer.

A full collection looks at every object that lives, and everybody waits meanwhile. What has outlived one is mostly there
to stay, so the next ones leave it out. Reference counts free such objects all the same; cycles among them wait for the
one collection in a long while that looks at everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator, Mapping

WHOLE_EVERY_SECONDS = 900.0
"""How often everything is looked at."""

OLDEST = 2
"""The generation that is collected when everything is."""


@contextlib.contextmanager
def collections_apart(every_seconds: float = WHOLE_EVERY_SECONDS) -> Iterator[None]:
    """Leave out what has outlived a full collection from the next ones, within a running event loop."""
    gc.callbacks.append(_leave_out)
    task = asyncio.get_running_loop().create_task(_look_at_everything(every_seconds), name="collections")
    try:
        yield
    finally:
        task.cancel()
        gc.callbacks.remove(_leave_out)


def _leave_out(phase: str, told: Mapping[str, int]) -> None:
    if phase == "stop" and told["generation"] == OLDEST:
        gc.freeze()


async def _look_at_everything(every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        gc.unfreeze()
        gc.collect()
