"""Measures the start of a Python task under the warm fork server: to the task's first line, and to the final report.

.venv/bin/python -m tests.benchmarks.fork_server [--attempts 50] [--python .flytekit-venv/bin/python]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from tests.flytekit_environment import flytekit_interpreter
from tests.integration.propeller_plugins.process_testing import Listener, Place, described, plain


async def measure(python: Path, attempts: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the first line, and to the final report, of attempts one after the other."""
    task = described(python, "quick_tasks")["now"]
    first_lines, ends = [], []
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), python)
        plugin = place.plugin(keep_running=False)
        await plugin.open()
        for number in range(attempts + 3):
            listener, began = Listener(), time.time()
            await plugin.start(place.attempt(task, name=f"x-n{number}-0"), listener)
            report = await listener.final()
            ended = time.time()
            assert report.outputs is not None, report.error
            if number >= 3:  # the first ones wait for the server and fill caches
                first_lines.append((plain(report.outputs.literals["o0"]) - began) * 1000)
                ends.append((ended - began) * 1000)
            await plugin.finalize(f"x-n{number}-0")
        await plugin.close()
    return first_lines, ends


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=50)
    parser.add_argument("--python", type=Path, default=None)
    arguments = parser.parse_args()
    python = (arguments.python or flytekit_interpreter()).absolute()
    first_lines, ends = asyncio.run(measure(python, arguments.attempts))
    for name, values in (("first line", first_lines), ("final report", ends)):
        worst = statistics.quantiles(values, n=20)[-1]
        print(f"{name}: median {statistics.median(values):.1f} ms, 95th {worst:.1f} ms, best {min(values):.1f} ms")


if __name__ == "__main__":
    main()
