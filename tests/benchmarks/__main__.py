"""Measure the budgets on this machine and print them: `make bench`, or `make bench ARGS="chain fan-out"`."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.benchmarks.measurements import BENCHMARKS, Bench, Measurement


async def measure(names: list[str], console: Console) -> list[Measurement]:
    """Run the named benchmarks, one after the other, each on a control plane of its own."""
    found: list[Measurement] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for name in names:
            row = progress.add_task(name)
            with tempfile.TemporaryDirectory(prefix="elevon-bench-") as folder:
                measured = await BENCHMARKS[name](Bench(Path(folder)))
            found += measured
            progress.update(row, completed=100, total=100)
    return found


def show(found: list[Measurement], console: Console) -> None:
    """Print the table: figure beside budget."""
    table = Table("what", "measured", "budget", "", title="Elevon's budgets", title_justify="left")
    for each in found:
        mark = "" if each.budget is None else ("[green]holds" if each.holds else "[red]over")
        table.add_row(each.what, f"{each.figure:,.2f} {each.unit}", each.wanted, mark)
    console.print(table)
    console.print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all when none")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    console = Console(highlight=False, width=120 if not sys.stdout.isatty() else None)
    show(asyncio.run(measure(names, console)), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
