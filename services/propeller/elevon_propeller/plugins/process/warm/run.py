"""Starts the fork server, or an attempt anew; run by path with the Python of the tasks, which has nothing of Elevon."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

PACKAGE = "elevon_warm"
"""The name the server's modules have in the processes of tasks, where it must not be taken for one of theirs."""


def load() -> None:
    """Make the files beside this one a package, without their folder being searched for anything else."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [part for part in sys.path if os.path.abspath(part or ".") != here]
    initial = os.path.join(here, "__init__.py")
    spec = importlib.util.spec_from_file_location(PACKAGE, initial, submodule_search_locations=[here])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load()
    if sys.argv[1:2] == [sys.modules[PACKAGE].ANEW]:
        del sys.argv[1]
        importlib.import_module(f"{PACKAGE}.anew").main()
    else:
        importlib.import_module(f"{PACKAGE}.fork_server").main()
