"""Many pieces of work, some at a time."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from elevon_admin.usecases.at_once import some_at_once


class Counter:
    """Counts who is at work, and who has begun."""

    def __init__(self) -> None:
        self.now = self.most = self.begun = 0

    async def work(self, number: int) -> int:
        """Take a moment; the seventh fails."""
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.001)
            if number == 7:
                raise ArithmeticError("seven")
            return number
        finally:
            self.now -= 1


async def test_all_are_done_in_order_and_some_at_a_time() -> None:
    counter = Counter()
    numbers = [number for number in range(40) if number != 7]
    assert await some_at_once((partial(counter.work, number) for number in numbers), 3) == numbers
    assert counter.most == 3


async def test_nothing_goes_on_when_one_fails() -> None:
    counter = Counter()
    with pytest.raises(ArithmeticError):
        await some_at_once((partial(counter.work, number) for number in range(1000)), 3)
    begun = counter.begun
    assert counter.now == 0
    await asyncio.sleep(0.01)
    assert counter.begun == begun < 20


async def test_of_nothing_comes_nothing() -> None:
    assert await some_at_once((), 3) == list[int]()
