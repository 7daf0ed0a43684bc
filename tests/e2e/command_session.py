"""Runs pyflyte commands one after the other in one process, which imports flytekit once.

Reads a JSON list of argument lists from the standard input and prints a JSON list of exit codes and outputs.
"""

import json
import sys

from click.testing import CliRunner
from flytekit.clis.sdk_in_container.pyflyte import main as pyflyte


def main() -> None:
    told = []
    for arguments in json.load(sys.stdin):
        done = CliRunner().invoke(pyflyte, arguments)
        told.append({"code": done.exit_code, "output": done.output + (repr(done.exception) if done.exception else "")})
    print("\n" + json.dumps(told))


if __name__ == "__main__":
    main()
