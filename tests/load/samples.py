"""What calls took, and how they failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


class Samples:
    """Seconds of the calls that succeeded and statuses of those that failed, by RPC."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.errors: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, name: str, seconds: float) -> None:
        """Note a call that succeeded."""
        self.seconds[name].append(seconds)

    def failed(self, name: str, code: str, message: str) -> None:
        """Note a call that failed."""
        self.errors[name][f"{code}: {message[:200]}"] += 1

    @property
    def calls(self) -> int:
        """All calls that succeeded."""
        return sum(map(len, self.seconds.values()))

    @property
    def failures(self) -> Counter[str]:
        """All calls that failed, by what they were told."""
        return sum(self.errors.values(), Counter())

    def merge(self, document: dict[str, Any]) -> None:
        """Add what another process measured."""
        for name, seconds in document["seconds"].items():
            self.seconds[name] += seconds
        for name, errors in document["errors"].items():
            self.errors[name].update(errors)

    def document(self) -> dict[str, Any]:
        """The samples as JSON knows them."""
        return {"seconds": self.seconds, "errors": self.errors}


def percentile(seconds: Sequence[float], part: float) -> float:
    """The least time that `part` of the calls, between 0 and 1, did not exceed, in milliseconds; 0 without calls."""
    if not seconds:
        return 0.0
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1000


def show(title: str, samples: Samples, lasted: float, console: Console) -> None:
    """Print a table with a row for each RPC and one for all."""
    table = Table(title=title, title_justify="left")
    table.add_column("RPC")
    for column in ("calls", "/s", "p50 ms", "p99 ms", "longest ms", "errors"):
        table.add_column(column, justify="right")
    names = sorted({*samples.seconds, *samples.errors})
    for name in names:
        table.add_row(*_row(name, samples.seconds[name], samples.errors[name].total(), lasted))
    table.add_section()
    everything = [each for seconds in samples.seconds.values() for each in seconds]
    table.add_row(*_row("all", everything, samples.failures.total(), lasted))
    console.print(table)
    for message, count in samples.failures.most_common(10):
        console.print(f"  {count} × {message}")


def compare(situations: dict[str, Samples], console: Console) -> None:
    """Print what all calls took in several situations, a row each."""
    table = Table(title="All calls of those who do not flood", title_justify="left")
    table.add_column("")
    for column in ("calls", "p50 ms", "p90 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for situation, samples in situations.items():
        everything = [each for seconds in samples.seconds.values() for each in seconds]
        times = [f"{percentile(everything, part):,.1f}" for part in (0.5, 0.9, 0.99)]
        table.add_row(situation, f"{samples.calls:,}", *times)
    console.print(table)


def _row(name: str, seconds: Sequence[float], errors: int, lasted: float) -> tuple[str, ...]:
    times = [f"{percentile(seconds, part):,.1f}" for part in (0.5, 0.99, 1.0)]
    return name, f"{len(seconds):,}", f"{len(seconds) / lasted:,.0f}", *times, str(errors)
