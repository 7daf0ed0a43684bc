"""Figures with their budgets, and how they are shown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure; `budget` bounds it from above, or from below when `at_least`.

    `detail` says that the figure explains the one before it. `processor` is the processor time that each process spent
    on one of what was counted, in milliseconds: unlike the figure it hardly depends on what else the machine does.
    """

    what: str
    figure: float
    unit: str
    budget: float | None = None
    at_least: bool = False
    detail: bool = False
    processor: Mapping[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """True when the figure is within its budget, None when it has none."""
        if self.budget is None:
            return None
        return self.figure >= self.budget if self.at_least else self.figure <= self.budget

    @property
    def measured(self) -> str:
        """The figure in words."""
        return f"{written(self.figure)} {self.unit}"

    @property
    def wanted(self) -> str:
        """The budget in words."""
        if self.budget is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.budget:,g} {self.unit}"

    @property
    def spent(self) -> str:
        """The processor time in words; what is nothing is left out."""
        return " ".join(f"{name} {written(each)}" for name, each in self.processor.items() if each >= 0.005)


def written(figure: float) -> str:
    """A figure with as many decimals as say something: 2,412, 284.3, 14.2, 1.77, 0.042."""
    size = abs(figure)
    decimals = 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    return f"{figure:,.{decimals}f}"


def machine() -> str:
    """Where this was measured."""
    return f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores"


def show_table(found: Sequence[Measurement], console: Console) -> None:
    """Print the table: figure beside budget, details below what they explain."""
    table = Table(title="Elevon's budgets", title_justify="left", caption=machine(), caption_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("budget", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("processor, ms each", style="dim")
    for each in found:
        what = f"  {each.what}" if each.detail else each.what
        mark = {None: "", True: "[green]holds", False: "[red]over"}[each.holds]
        table.add_row(what, each.measured, each.wanted, mark, each.spent)
    console.print(table)


def as_json(found: Sequence[Measurement]) -> str:
    """The same for programs."""
    return json.dumps({"machine": machine(), "measurements": [_fields(each) for each in found]}, indent=2)


def _fields(each: Measurement) -> dict[str, Any]:
    return {
        "what": each.what,
        "figure": each.figure,
        "unit": each.unit,
        "budget": each.budget,
        "budget_is": None if each.budget is None else ("at least" if each.at_least else "at most"),
        "holds": each.holds,
        "processor_ms": dict(each.processor),
    }
