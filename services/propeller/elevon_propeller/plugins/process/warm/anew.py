"""An attempt in an interpreter of its own: flytekit's commands, with the same mending as in a forked one."""

from __future__ import annotations

import importlib
import os
import sys

from .controllers import end_controllers, mend_controllers
from .entry import ENTRY_POINTS


def main() -> None:
    """Run the command that the arguments name, in the current folder, from which modules are imported first."""
    entry, *arguments = sys.argv[1:]
    sys.argv = [os.path.join(sys.prefix, "bin", entry), *arguments]
    sys.path.insert(0, os.getcwd())
    module = importlib.import_module("flytekit.bin.entrypoint")
    mend_controllers()
    try:
        getattr(module, ENTRY_POINTS[entry]).main(args=arguments, prog_name=entry)
    finally:
        end_controllers()
