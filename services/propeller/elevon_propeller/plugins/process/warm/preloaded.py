"""What a fork server has imported beyond flytekit, and which attempts must not meet it."""

from __future__ import annotations

import os
import re
from typing import Any

from .imports import site_folders, stamp_of_environment

# What native libraries read when they are loaded, which cannot be watched from Python.
_NATIVE = re.compile(
    r"(OMP|GOMP|KMP|OPENBLAS|GOTO|MKL|BLIS|VECLIB|NUMEXPR|ARROW|MALLOC|MIMALLOC|JE|CUDA|NVIDIA|NCCL|ROCM|HIP|XLA|TF)_\w+"
)
# Differ for every attempt, and stand for folders that are as good in the server.
_PLACES = frozenset({"HOME", "TMPDIR", "PWD", "PATH", "PYTHONPATH", "VIRTUAL_ENV"})
_OF_AN_ATTEMPT = re.compile(r"(FLYTE|_F|ELEVON)_\w+")


def reads_the_attempt(variables: set[str]) -> str:
    """A variable among these that says which attempt it is, so that its reader cannot be shared; else empty."""
    return next((name for name in sorted(variables) if _OF_AN_ATTEMPT.fullmatch(name)), "")


class Preloaded:
    """Modules a server learned to import; `variables` are those of the environment they read when imported.

    `loaded` are the names of all modules of the server; children look there, since to count them anew would touch, and
    so copy, a page of memory for each.
    """

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.variables: set[str] = set()
        self.loaded: frozenset[str] = frozenset()
        self.values = {name: value for name, value in os.environ.items() if name not in _PLACES}
        self.environment = stamp_of_environment()
        self._looked_at = self._moments()

    @property
    def packages(self) -> set[str]:
        """Names of the modules on top."""
        return {name.partition(".")[0] for name in self.modules}

    def unfit_for(self, spec: dict[str, Any]) -> str | None:
        """Why an attempt needs an interpreter of its own, or None."""
        if not self.is_current():
            return "packages were installed or removed"
        if not self.modules:
            return None
        return self._other_variable(spec["environment"]) or self._shadowed(spec)

    def is_current(self) -> bool:
        """Whether the installed packages are those this process imported; cheap unless their folder has changed."""
        if self._moments() != self._looked_at:
            if stamp_of_environment() != self.environment:
                return False
            self._looked_at = self._moments()
        return True

    def _moments(self) -> list[int]:
        return [os.stat(folder).st_mtime_ns for folder in site_folders() if os.path.isdir(folder)]

    def _other_variable(self, environment: dict[str, str]) -> str | None:
        native = {name for name in {*environment, *self.values} if _NATIVE.fullmatch(name)}
        for name in (self.variables | native) - _PLACES:
            if environment.get(name) != self.values.get(name):
                return f"{name} differs"
        return None

    def _shadowed(self, spec: dict[str, Any]) -> str | None:
        """A module of the user's that has the name of one imported already."""
        added = spec["environment"].get("PYTHONPATH", "").split(os.pathsep)
        for folder in {spec["working_folder"], *filter(None, added)}:
            for name in self.packages:
                place = os.path.join(folder, name)
                if os.path.exists(f"{place}.py") or os.path.exists(os.path.join(place, "__init__.py")):
                    return f"{place} hides an installed package"
        return None
