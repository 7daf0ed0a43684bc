"""The catalog as a process: `python -m elevon_catalog --config FILE --group.field=value`."""

from __future__ import annotations

import sys

from elevon_kit.service import run_service

from elevon_catalog.app import build
from elevon_catalog.settings import CatalogSettings


def main() -> None:
    """Run until a signal comes; ends the process with an exit code."""
    sys.exit(run_service("catalog", CatalogSettings, build))


if __name__ == "__main__":
    main()
