"""Many seeds, played side by side."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

from elevon_propeller.simulation.scene import Script, play

SEEDS_AT_ONCE = 20
"""So many seeds are handed to a process at a time."""


def played(seeds: range, processes: int) -> Iterator[tuple[int, str]]:
    """Play seeds on some processes; each seed with the rule it breaks, or nothing, in the order they are done."""
    if processes == 1:
        yield from map(play_one, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(play_one, seeds, chunksize=SEEDS_AT_ONCE)


def play_one(seed: int) -> tuple[int, str]:
    """Play a seed; what it breaks, or nothing."""
    violation = play(Script.of_seed(seed)).violation
    return seed, str(violation) if violation is not None else ""
