"""Ten thousand seeds, in chunks: each half of them is a file of its own, so that two processes share them."""

from __future__ import annotations

import pytest
from elevon_propeller.simulation.scene import Script, play

SEEDS = 10_000
CHUNK = 25


def chunks(half: int) -> list[range]:
    """The seeds of one half, a chunk of them for each test."""
    first = half * SEEDS // 2
    return [range(start, start + CHUNK) for start in range(first, first + SEEDS // 2, CHUNK)]


def check(seeds: range) -> None:
    """Fail with the first seed that breaks a rule."""
    for seed in seeds:
        violation = play(Script.of_seed(seed)).violation
        if violation is not None:
            pytest.fail(f"{violation}\nthe shortest history that still fails: make simulate SEED={seed}")
