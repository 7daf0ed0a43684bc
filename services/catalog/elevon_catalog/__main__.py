"""The catalog as a process: `python -m elevon_catalog --config FILE --group.field=value`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run until a signal comes; ends the process with an exit code."""
    gc.disable()  # importing makes no garbage, and collecting would take a third of the time; run_service turns it on
    from elevon_kit.service import run_service

    from elevon_catalog.app import build
    from elevon_catalog.settings import CatalogSettings

    sys.exit(run_service("catalog", CatalogSettings, build))


if __name__ == "__main__":
    main()
