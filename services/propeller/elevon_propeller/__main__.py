"""Propeller as a process: `python -m elevon_propeller --config FILE --group.field=value`."""

from __future__ import annotations

import sys

from elevon_kit.service import run_service

from elevon_propeller.app import build
from elevon_propeller.settings import PropellerSettings


def main() -> None:
    """Run until a signal comes; ends the process with an exit code."""
    sys.exit(run_service("propeller", PropellerSettings, build))


if __name__ == "__main__":
    main()
