"""Slots go to those who came first, and never to more than there are."""

from __future__ import annotations

import asyncio

from elevon_propeller.plugins.process.slots import Slots
from hypothesis import given, settings
from hypothesis import strategies as st


async def test_first_come_first_served() -> None:
    slots, order = Slots(1), list[int]()

    async def visit(number: int) -> None:
        await slots.take()
        order.append(number)

    visits = [asyncio.create_task(visit(number)) for number in range(4)]
    for expected in range(4):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == list(range(expected + 1))
        assert not slots.take_if_free()
        slots.give_back()
    await asyncio.gather(*visits)
    assert (slots.taken, slots.waiting) == (0, 0)


async def test_what_runs_already_is_counted_beyond_the_size() -> None:
    slots = Slots(1)
    slots.take_by_force()
    slots.take_by_force()
    slots.give_back()
    assert not slots.take_if_free()
    slots.give_back()
    assert slots.take_if_free()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30), st.integers(1, 3))
def test_no_slot_is_lost_when_visitors_give_up(moves: list[tuple[int, bool]], size: int) -> None:
    async def play() -> None:
        slots, tasks = Slots(size), dict[int, asyncio.Task[None]]()
        for number, gives_up in moves:
            task = tasks.pop(number, None)
            if task is None:
                tasks[number] = asyncio.create_task(slots.take())
            elif gives_up and not task.done():
                task.cancel()
            elif task.done():
                slots.give_back()
            else:
                tasks[number] = task
            if gives_up:
                await asyncio.sleep(0)
            assert slots.taken <= size
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for task in tasks.values():
            if not task.cancelled():
                slots.give_back()
        await asyncio.sleep(0)
        assert (slots.taken, slots.waiting) == (0, 0)

    asyncio.run(play())
