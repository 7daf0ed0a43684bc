"""What outlives a collection is left out of the next ones, and looked at again in a long while."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from elevon_kit.collections_apart import collections_apart


class Thing:
    """Something that can be part of a cycle."""

    other: Thing


def cycle() -> tuple[Thing, weakref.ref[Thing]]:
    """Two things that hold each other, and a way to see whether they are gone."""
    one, two = Thing(), Thing()
    one.other, two.other = two, one
    return one, weakref.ref(one)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    frozen = gc.get_freeze_count()
    yield
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()


async def test_survivors_are_left_out_until_everything_is_looked_at() -> None:
    before = gc.get_freeze_count()
    held, seen = cycle()
    with collections_apart(every_seconds=0.2):
        gc.collect()
        assert gc.get_freeze_count() > before
        young = cycle()[1]
        del held
        gc.collect()
        assert young() is None, "new garbage goes"
        assert seen() is not None, "old garbage waits"
        await asyncio.sleep(0.5)
        assert seen() is None
    frozen = gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() <= frozen


async def test_what_nothing_refers_to_goes_at_once() -> None:
    with collections_apart():
        thing = Thing()
        seen = weakref.ref(thing)
        gc.collect()
        del thing
        assert seen() is None
