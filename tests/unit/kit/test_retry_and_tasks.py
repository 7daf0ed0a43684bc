"""Repeating atomic operations; background tasks that are heard when they fail."""

from __future__ import annotations

import asyncio

import pytest
from elevon_core.errors import DeadlineExceeded, ElevonError, InvalidArgument, Unavailable
from elevon_kit import tasks
from elevon_kit.retry import RetryPolicy
from elevon_kit.tasks import BackgroundTasks
from structlog.testing import capture_logs

QUICK = RetryPolicy(attempts=3, first=0.001, longest=0.002)


class Flaky:
    """Fails as often as it is told, then answers."""

    def __init__(self, *failures: ElevonError) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


async def test_what_is_transient_is_repeated() -> None:
    operation = Flaky(Unavailable("gone"), DeadlineExceeded("slow"))
    assert await QUICK.run(operation) == "answer"
    assert operation.calls == 3


async def test_what_is_final_is_not_repeated() -> None:
    operation = Flaky(InvalidArgument("no"))
    with pytest.raises(InvalidArgument):
        await QUICK.run(operation)
    assert operation.calls == 1


async def test_in_the_end_the_last_error_is_raised() -> None:
    operation = Flaky(*(Unavailable(str(number)) for number in range(9)))
    with pytest.raises(Unavailable, match="2"):
        await QUICK.run(operation)
    assert operation.calls == 3


async def test_the_caller_may_decide_what_is_retryable() -> None:
    operation = Flaky(InvalidArgument("no"))
    assert await QUICK.run(operation, retryable=lambda error: isinstance(error, InvalidArgument)) == "answer"


async def test_a_failing_task_is_logged_and_others_go_on() -> None:
    group = BackgroundTasks("group")
    release = asyncio.Event()

    async def fail() -> None:
        raise ValueError("broken")

    with capture_logs() as logs:
        failing = group.start(fail(), "failing")
        waiting = group.start(release.wait(), "waiting")
        await asyncio.wait((failing,))
        await asyncio.sleep(0)
    assert [entry["task"] for entry in logs] == ["group: failing"]
    assert not waiting.done()
    assert len(group) == 1
    await group.stop()
    assert waiting.cancelled()
    assert len(group) == 0


async def test_a_loop_that_fails_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FIRST_PAUSE", 0.001)
    group = BackgroundTasks("group")
    runs = 0

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("broken")

    with capture_logs() as logs:
        await group.keep_running(loop, "loop")
    assert runs == 3
    assert len(logs) == 2
