"""Background tasks that nobody awaits: kept alive, named, and heard when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from elevon_kit.logging import get_logger

log = get_logger("tasks")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0


class BackgroundTasks:
    """A group of tasks that ends with its owner; a failure is logged when it happens, and others go on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a coroutine in the background."""
        task = asyncio.create_task(coroutine, name=f"{self._name}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep_running(self, loop: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[Any]:
        """Run an endless loop; when it fails it is logged and starts anew after a pause of 0.1 to 10 seconds."""
        return self.start(self._supervise(loop, name), name)

    async def _supervise(self, loop: Callable[[], Awaitable[None]], name: str) -> None:
        pause = FIRST_PAUSE
        clock = asyncio.get_running_loop()
        while True:
            started = clock.time()
            try:
                await loop()
                return
            except Exception as error:
                if clock.time() - started > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                log.error("task failed, starting again", group=self._name, task=name, pause=pause, exc_info=error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("task failed", group=self._name, task=task.get_name(), exc_info=error)

    async def stop(self) -> None:
        """Cancel all and wait until they are gone."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)
