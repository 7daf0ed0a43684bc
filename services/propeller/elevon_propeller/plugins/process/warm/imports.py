"""Which modules of the environment an attempt imports by itself, and how long that takes."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from typing import Any

_LONGEST_GAP = 0.25
"""Seconds between two imports that may still be the first one's; beyond is the user's code at work."""

_RECORDS = (".dist-info", ".egg-info", ".pth", ".egg-link")
"""Ends of the names of what says that a package is installed."""


class ImportWatch:
    """Looks on while modules are searched for; finds none itself. `known` are those imported before the fork."""

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known
        self._searched: list[tuple[str, float]] = []

    def __enter__(self) -> ImportWatch:
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        self._searched.append(("", time.perf_counter()))
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Note the search and leave it to others."""
        self._searched.append((name, time.perf_counter()))

    def report(self) -> dict[str, Any]:
        """Names in the order of their imports, and about how many seconds these took."""
        seconds, names = 0.0, {}
        for (name, began), (_, following) in zip(self._searched, self._searched[1:]):  # noqa: B905  # Python 3.9
            if name not in self._known and not is_rehearsed(name) and belongs_to_environment(name):
                names[name] = True
                seconds += min(following - began, _LONGEST_GAP)
        return {"modules": list(names), "seconds": round(seconds, 4)}


def is_rehearsed(name: str) -> bool:
    """Whether a module is the SDK's own: rehearsals import those, and many of them read the task's variables."""
    return name.partition(".")[0] in ("flytekit", "flyteidl")


def site_folders() -> list[str]:
    """Where packages are installed."""
    paths = sysconfig.get_paths()
    return sorted({paths["purelib"], paths["platlib"]})


def belongs_to_environment(name: str) -> bool:
    """Whether a module that was imported is an installed one, not the user's and not Python's own."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    origin = getattr(spec, "origin", None)
    return isinstance(origin, str) and any(origin.startswith(folder + os.sep) for folder in site_folders())


def stamp_of_environment() -> str:
    """Changes when packages are installed, upgraded or removed."""
    found = []
    for folder in site_folders():
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        records = (entry for entry in entries if entry.name.endswith(_RECORDS))
        found += [f"{entry.path} {entry.stat().st_mtime_ns}" for entry in records]
    return "\n".join(sorted(found))
