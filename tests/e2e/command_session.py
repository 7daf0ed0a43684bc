"""Runs pyflyte commands one after the other in one process, which imports flytekit once.

Reads a JSON list of argument lists from the standard input and prints a JSON list of exit codes and outputs. With
the argument `apart` each command imports its project anew, as projects may have modules of the same name. What it is
at, and after `STUCK` seconds of one command where its threads stand, goes to the standard error.
"""

import faulthandler
import json
import sys
import time
from typing import Any

from click.testing import CliRunner
from flytekit.clis.sdk_in_container.pyflyte import main as pyflyte

STUCK = 120


def is_project(module: Any) -> bool:
    """Whether a module belongs to neither an installed package nor the standard library."""
    file = getattr(module, "__file__", None) or ""
    return file != "" and "lib/python" not in file


def main() -> None:
    told = []
    errors, start = sys.stderr, time.monotonic()
    modules, path = set(sys.modules), list(sys.path)
    for arguments in json.load(sys.stdin):
        print(f"{time.monotonic() - start:.1f} s:", *arguments, file=errors, flush=True)
        faulthandler.dump_traceback_later(STUCK, repeat=True, file=errors)
        done = CliRunner().invoke(pyflyte, arguments)
        if "apart" in sys.argv:
            for name in [name for name, module in sys.modules.items() if name not in modules and is_project(module)]:
                del sys.modules[name]
            sys.path[:] = path
        told.append({"code": done.exit_code, "output": done.output + (repr(done.exception) if done.exception else "")})
    print("\n" + json.dumps(told))


if __name__ == "__main__":
    main()
