"""Measure the budgets on this machine and print them: `make bench`, or `make bench ARGS="chain --output json"`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.benchmarks.budgets import BUDGETS, Benchmark
from tests.benchmarks.figures import Measurement, as_json, show_table
from tests.benchmarks.large import LARGE
from tests.benchmarks.lists import LISTS
from tests.benchmarks.pace import pace, paces
from tests.benchmarks.plane import Bench
from tests.benchmarks.scale import SCALE

BENCHMARKS: dict[str, Benchmark] = {**BUDGETS, **LISTS, **SCALE, **LARGE}


async def measure(names: list[str], console: Console, failed: list[str]) -> list[Measurement]:
    """Run the named benchmarks, one after the other, each on a control plane of its own; notes those that failed."""
    found: list[Measurement] = []
    seen = [pace()]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for number, name in enumerate(names, 1):
            label = f"{number}/{len(names)} {name}"
            row = progress.add_task(label)

            def tell(stage: str, row: object = row, label: str = label) -> None:
                progress.update(row, description=f"{label}: {stage}")  # type: ignore[arg-type]  # rich's own id

            began = time.monotonic()
            measured = await measure_one(name, tell, failed)
            progress.update(row, description=label, completed=100, total=100)
            if not console.is_terminal:
                console.print(f"{label}: {time.monotonic() - began:.0f} s")
            found += measured
            seen.append(pace())
    return [*found, *paces(seen)]


async def measure_one(name: str, tell: Callable[[str], None], failed: list[str]) -> list[Measurement]:
    """Run one benchmark; one that fails is told about and does not end the others."""
    with tempfile.TemporaryDirectory(prefix="elevon-bench-", ignore_cleanup_errors=True) as folder:
        try:
            return await BENCHMARKS[name](Bench(Path(folder), tell))
        except Exception:
            traceback.print_exc()
            failed.append(name)
            return []


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the budgets on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all when none")
    parser.add_argument("--output", choices=("table", "json"), default="table", help="how the figures are printed")
    arguments = parser.parse_args()
    names = arguments.names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    failed: list[str] = []
    found = asyncio.run(measure(names, Console(stderr=True, highlight=False), failed))
    if arguments.output == "json":
        print(as_json(found))
    else:
        show_table(found, Console(highlight=False, width=None if sys.stdout.isatty() else 150))
    if failed:
        sys.stderr.write(f"not measured, see above: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
