"""Bring the databases of an installation up to date."""

from __future__ import annotations

import typer
from elevon_core.errors import FailedPrecondition
from elevon_kit.migrations import Migrations

from elevon.layout import SERVICES, FolderInUse, Layout
from elevon.overrides import Overrides
from elevon.settings import StandaloneSettings


async def migrate_all(settings: StandaloneSettings) -> None:
    """Upgrade the three services' databases. Raises FailedPrecondition while a control plane runs on the folder."""
    overrides = Overrides.read(settings.config)
    layout = Layout(settings.data_dir.expanduser().resolve())
    try:
        lock = layout.lock()
    except FolderInUse as error:
        raise FailedPrecondition(f"{error}; stop it first") from error
    with lock:
        layout.prepare()
        for service in SERVICES:
            url = overrides.get(service, "DATABASE__URL") or layout.database(service)
            await Migrations(package=f"elevon_{service}.store.migrations").upgrade(url)
            typer.echo(f"{service}: up to date")
