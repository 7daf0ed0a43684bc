"""What a fork server has imported for all attempts, and which attempts must not meet it."""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Sequence
from typing import Any

# What native libraries read when they are loaded; a forked process would not heed another value.
_NATIVE = re.compile(
    r"(OMP|GOMP|KMP|OPENBLAS|GOTO|MKL|BLIS|VECLIB|NUMEXPR|ARROW|MALLOC|MIMALLOC|JE|CUDA|NVIDIA|NCCL|ROCM|HIP|XLA|TF)_\w+"
)

_RECORDS = (".dist-info", ".egg-info", ".pth", ".egg-link")
"""Ends of the names of what says that a package is installed."""


class Preloaded:
    """The modules a server was told to import besides flytekit, and the packages that were installed then."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self.modules = tuple(modules)
        self.values = {name: value for name, value in os.environ.items() if _NATIVE.fullmatch(name)}
        self.packages = stamp_of_packages()
        self._looked_at = _moments()

    def unfit_for(self, spec: dict[str, Any]) -> str | None:
        """Why an attempt needs an interpreter of its own, or None."""
        if not self.is_current():
            return "packages were installed or removed"
        if not self.modules:
            return None
        return self._other_variable(spec["environment"]) or self._shadowed(spec)

    def is_current(self) -> bool:
        """Whether the installed packages are those this process imported; cheap unless their folder has changed."""
        if _moments() != self._looked_at:
            if stamp_of_packages() != self.packages:
                return False
            self._looked_at = _moments()
        return True

    def _other_variable(self, environment: dict[str, str]) -> str | None:
        native = {name for name in environment if _NATIVE.fullmatch(name)}
        for name in sorted(native | set(self.values)):
            if environment.get(name) != self.values.get(name):
                return f"{name} differs"
        return None

    def _shadowed(self, spec: dict[str, Any]) -> str | None:
        """A module of the user's that has the name of one imported already."""
        added = spec["environment"].get("PYTHONPATH", "").split(os.pathsep)
        for folder in {spec["working_folder"], *filter(None, added)}:
            for name in {module.partition(".")[0] for module in self.modules}:
                place = os.path.join(folder, name)
                if os.path.exists(f"{place}.py") or os.path.exists(os.path.join(place, "__init__.py")):
                    return f"{place} hides an installed package"
        return None


def site_folders() -> list[str]:
    """Where packages are installed."""
    paths = sysconfig.get_paths()
    return sorted({paths["purelib"], paths["platlib"]})


def stamp_of_packages() -> str:
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


def _moments() -> list[int]:
    return [os.stat(folder).st_mtime_ns for folder in site_folders() if os.path.isdir(folder)]
