"""An attempt in an interpreter of its own: flytekit's commands, with the same mending as in a forked one."""

from __future__ import annotations

import os
import sys

from .controllers import end_controllers
from .entry import call_entry_point


def main() -> None:
    """Run the command that the arguments name, in the current folder, from which modules are imported first."""
    entry, *arguments = sys.argv[1:]
    sys.argv = [os.path.join(sys.prefix, "bin", entry), *arguments]
    sys.path.insert(0, os.getcwd())
    try:
        call_entry_point(entry, arguments)
    finally:
        end_controllers()
