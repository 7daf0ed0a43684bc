"""The first half of the seeds: every rule holds in all of them."""

from __future__ import annotations

import pytest

from tests.simulation.seeds import check, chunks


@pytest.mark.parametrize("seeds", chunks(0), ids=str)
def test_every_rule_holds(seeds: range) -> None:
    check(seeds)
