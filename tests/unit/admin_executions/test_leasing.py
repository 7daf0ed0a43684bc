"""A right that lasts only as long as it is renewed."""

from __future__ import annotations

import asyncio

import pytest
from elevon_admin.usecases.leasing import Lease, renewing
from elevon_core.errors import FailedPrecondition, Unavailable


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("trouble", [Unavailable("the database is away"), RuntimeError("a defect")])
async def test_a_right_that_cannot_be_renewed_ends(trouble: Exception) -> None:
    clock, answers, all_given = Clock(), iter([True, trouble, trouble, True]), asyncio.Event()
    lease = Lease("the rule", 30, clock)

    async def claim() -> bool:
        answer = next(answers, None)
        if answer is None:
            all_given.set()
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        clock.now += 15
        return True

    clock.now = 29
    lease.check()
    renewing_task = asyncio.create_task(lease.renew(claim, 0))
    await all_given.wait()
    renewing_task.cancel()
    # Renewed last in a call that began at 44: what others see counts from then at the latest.
    assert clock.now == 59
    lease.check()
    clock.now = 73.9
    lease.check()
    clock.now = 74
    with pytest.raises(FailedPrecondition, match="the rule: it could not be renewed for 30 s"):
        lease.check()


async def test_a_right_that_another_has_taken_is_lost() -> None:
    async def claim() -> bool:
        return False

    async with renewing("the rule", claim, 0.001, 30) as lease:
        lease.check()
        await asyncio.sleep(0.05)
        with pytest.raises(FailedPrecondition, match="another process has taken over"):
            lease.check()
