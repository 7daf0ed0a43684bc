"""Propeller as a process: `python -m elevon_propeller --config FILE --group.field=value`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run until a signal comes; ends the process with an exit code."""
    gc.disable()  # importing makes no garbage, and collecting would take a third of the time; run_service turns it on
    from elevon_kit.service import run_service

    from elevon_propeller.app import build
    from elevon_propeller.settings import PropellerSettings

    sys.exit(run_service("propeller", PropellerSettings, build))


if __name__ == "__main__":
    main()
