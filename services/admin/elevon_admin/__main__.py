"""Run the admin service: `python -m elevon_admin [--config FILE] [--group.field=value]...`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run until a signal comes, and exit with a code that means something."""
    gc.disable()  # importing makes no garbage, and collecting would take a third of the time; run_service turns it on
    from elevon_kit.service import run_service

    from elevon_admin.app import build
    from elevon_admin.settings import AdminSettings

    sys.exit(run_service("admin", AdminSettings, build, remembers=True))


if __name__ == "__main__":
    main()
