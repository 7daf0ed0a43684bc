"""Run the admin service: `python -m elevon_admin [--config FILE] [--group.field=value]...`."""

from __future__ import annotations

import sys

from elevon_kit.service import run_service

from elevon_admin.app import build
from elevon_admin.settings import AdminSettings


def main() -> None:
    """Run until a signal comes, and exit with a code that means something."""
    sys.exit(run_service("admin", AdminSettings, build))


if __name__ == "__main__":
    main()
