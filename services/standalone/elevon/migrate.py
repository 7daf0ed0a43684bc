"""Bring the databases of an installation up to date."""

from __future__ import annotations

import typer
from elevon_core.errors import FailedPrecondition
from elevon_kit.migrations import Migrations

from elevon.layout import SERVICES, FolderInUse, Layout
from elevon.settings import StandaloneSettings


async def migrate_all(settings: StandaloneSettings) -> None:
    """Upgrade the three databases of the data folder. Raises FailedPrecondition while a control plane runs on it."""
    layout = Layout(settings.data_dir.expanduser().resolve())
    try:
        lock = layout.lock()
    except FolderInUse as error:
        raise FailedPrecondition(f"{error}; stop it first") from error
    with lock:
        layout.prepare()
        for service in SERVICES:
            await Migrations(package=f"elevon_{service}.store.migrations").upgrade(layout.database(service))
            typer.echo(f"{service}: up to date")
