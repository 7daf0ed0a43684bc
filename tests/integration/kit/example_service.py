"""A service made of the kit's parts, which the tests run as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar

import grpc
from elevon_core.errors import Unavailable
from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import data_catalog_pb2_grpc
from elevon_kit.database import Database, SchemaMismatch
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.http_server import HttpServer
from elevon_kit.service import run_service
from elevon_kit.settings import ServiceSettings


class ExampleSettings(ServiceSettings):
    """Settings with a way to go wrong."""

    service: ClassVar[str] = "catalog"
    trouble: str = ""


class Servicer(data_catalog_pb2_grpc.DataCatalogServicer):
    """Takes its time."""

    async def CreateDataset(
        self, request: catalog.CreateDatasetRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> catalog.CreateDatasetResponse:
        await asyncio.sleep(float(request.dataset.id.name or 0))
        return catalog.CreateDatasetResponse()


class ExampleApp:
    """Database, gRPC and HTTP."""

    def __init__(self, settings: ExampleSettings) -> None:
        servicer: Any = Servicer
        self._trouble = settings.trouble
        self._database = Database(settings.database.url)
        self._grpc = GrpcServer(settings.grpc, "catalog")
        self._grpc.add(servicer(), "elevon.catalog.v1.DataCatalog")
        self._grpc.health.add_dependency("database", self._database.ping)
        self._http = HttpServer(settings.http, health=self._grpc.health)
        self.grpc_address = self.http_address = ""

    async def start(self) -> None:
        """Open everything."""
        if self._trouble == "slow":
            await asyncio.sleep(60)
        if self._trouble == "schema":
            raise SchemaMismatch("the database is old: run `elevon migrate`")
        if self._trouble == "unavailable":
            raise Unavailable("no database")
        if self._trouble == "defect":
            raise ZeroDivisionError
        await self._database.open()
        await self._grpc.start()
        await self._http.start()
        self.grpc_address, self.http_address = self._grpc.address, self._http.address

    async def stop(self) -> None:
        """Close everything."""
        await self._http.stop()
        await self._grpc.stop()
        await self._database.close()
        if self._trouble == "stop":
            raise ZeroDivisionError


async def build(settings: ExampleSettings) -> ExampleApp:
    """Put the parts together."""
    return ExampleApp(settings)


if __name__ == "__main__":
    sys.exit(run_service("catalog", ExampleSettings, build))
