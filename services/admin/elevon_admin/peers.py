"""The services that admin calls, as far as their addresses are set."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from elevon_kit.grpc_client import channel

from elevon_admin.drivers.catalog_client import GrpcMemoCatalog
from elevon_admin.drivers.engine_client import PropellerEngine
from elevon_admin.execution_ports import Engine
from elevon_admin.settings import AdminSettings


@dataclass(frozen=True, slots=True)
class Peers:
    """propeller and catalog; None where admin has to do without."""

    engine: Engine | None
    to_engine: grpc.aio.Channel | None
    to_catalog: grpc.aio.Channel | None

    @property
    def memo_catalog(self) -> GrpcMemoCatalog | None:
        """What catalog remembers."""
        return GrpcMemoCatalog(self.to_catalog) if self.to_catalog is not None else None

    async def close(self) -> None:
        """Let go of the connections."""
        for each in (self.to_engine, self.to_catalog):
            if each is not None:
                await each.close()


def connect_peers(settings: AdminSettings, engine: Engine | None) -> Peers:
    """Make the connections; `engine` stands in for the one at `propeller_address`."""
    to_engine = None
    if engine is None and settings.propeller_address:
        to_engine = channel(settings.propeller_address)
        engine = PropellerEngine(to_engine, settings.delivery.timeout_seconds)
    to_catalog = channel(settings.catalog_address) if settings.catalog_address else None
    return Peers(engine, to_engine, to_catalog)
