"""Reads that share a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from elevon_catalog.store.grouped_reads import GroupedReads


class Source:
    """Answers keys below ten with their square, one call at a time, when it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()

    async def __call__(self, keys: Sequence[int]) -> dict[int, int]:
        self.calls.append(sorted(keys))
        await self.gate.wait()
        if 99 in keys:
            raise LookupError("no")
        return {key: key * key for key in keys if key < 10}


async def start(reads: GroupedReads[int, int], *groups: Sequence[int]) -> list[asyncio.Task[dict[int, int]]]:
    tasks = []
    for keys in groups:
        tasks.append(asyncio.create_task(reads.get(keys)))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_calls_during_a_read_share_the_next_one() -> None:
    source = Source()
    reads = GroupedReads(source)
    tasks = await start(reads, [1], [2, 12], [3, 2])
    source.gate.set()

    assert await asyncio.gather(*tasks) == [{1: 1}, {2: 4}, {3: 9, 2: 4}]
    assert source.calls == [[1], [2, 3, 12]]
    assert await reads.get([4]) == {4: 16}


async def test_a_statement_carries_a_limited_number_of_keys() -> None:
    source = Source()
    reads = GroupedReads(source, most=3)
    tasks = await start(reads, [0], [1, 2], [3], [4], [5, 6, 7, 8, 9])
    source.gate.set()

    assert await asyncio.gather(*tasks) == [
        {0: 0},
        {1: 1, 2: 4},
        {3: 9},
        {4: 16},
        {key: key * key for key in range(5, 10)},
    ]
    assert source.calls == [[0], [1, 2, 3], [4], [5, 6, 7, 8, 9]]


async def test_a_failure_reaches_those_it_concerns() -> None:
    source = Source()
    reads = GroupedReads(source)
    tasks = await start(reads, [1], [99], [2])
    source.gate.set()

    assert await tasks[0] == {1: 1}
    for task in tasks[1:]:
        with pytest.raises(LookupError):
            await task
    assert await reads.get([5]) == {5: 25}


async def test_a_caller_that_goes_away_disturbs_nobody() -> None:
    source = Source()
    reads = GroupedReads(source)
    tasks = await start(reads, [1], [2], [3])
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.sleep(0)
    source.gate.set()

    assert await tasks[2] == {3: 9}
    assert await reads.get([4]) == {4: 16}
