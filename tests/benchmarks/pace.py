"""How fast the machine is at this moment: on a shared host that differs by half from one hour to the next."""

from __future__ import annotations

import json
import time

from tests.benchmarks.figures import Measurement

TRIES = 5
_DOCUMENT = {f"name{number}": [number, str(number), {"of": number}] for number in range(2_000)}


def pace() -> float:
    """The milliseconds of a fixed piece of work, parsing and writing; the best of some tries."""
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        for _ in range(5):
            json.loads(json.dumps(_DOCUMENT))
        times.append(time.perf_counter() - began)
    return min(times) * 1000


def paces(found: list[float]) -> list[Measurement]:
    """The rows that say how even the machine was over a run."""
    return [
        Measurement("a fixed piece of work on this machine, at its fastest between benchmarks", min(found), "ms"),
        Measurement("at its slowest", max(found), "ms", detail=True),
    ]
