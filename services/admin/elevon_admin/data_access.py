"""Putting together what clients read and write past the services, and the addresses for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from elevon_kit.blobs import BlobStore, parse
from elevon_kit.database import Database
from starlette.routing import BaseRoute

from elevon_admin.drivers.data_routes import data_routes
from elevon_admin.drivers.plain_urls import PlainUrls
from elevon_admin.drivers.signed_urls import LocalUrls, StoreUrls
from elevon_admin.execution_ports import ExecutionRepository
from elevon_admin.ports import Clock
from elevon_admin.settings import AdminSettings
from elevon_admin.store.secrets import shared_secret
from elevon_admin.usecases.data_proxy import DataProxy, DataProxySettings
from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.links import Links
from elevon_admin.usecases.literals import LiteralStore

SIGNING_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class DataAccess:
    """What serves data; the key has to be loaded before anything is signed."""

    data: ExecutionData
    proxy: DataProxy
    routes: list[BaseRoute]
    signing_key: SigningKey


class SigningKey:
    """The key that signs local URLs: from a file, else from the database, so that all replicas have the same."""

    def __init__(self, file: Path | None, database: Database) -> None:
        self._file = file
        self._database = database
        self._key = b""

    def __call__(self) -> bytes:
        """The key, once `load` has run."""
        return self._key

    async def load(self) -> None:
        """Read the key; makes it when there is none."""
        proposal = secrets.token_hex(SIGNING_KEY_BYTES).encode()
        if self._file is None:
            self._key = await shared_secret(self._database, "signing key", proposal)
            return
        if not self._file.exists():
            self._file.touch(mode=0o600)
            self._file.write_bytes(proposal)
        self._key = self._file.read_bytes().strip()


def build_data_access(
    settings: AdminSettings,
    blobs: BlobStore,
    base: str,
    database: Database,
    executions: ExecutionRepository,
    queries: ExecutionQueries,
    literals: LiteralStore,
    clock: Clock,
    http_address: Callable[[], str],
) -> DataAccess:
    """Put it together; `base` is the container's URI, `http_address` is asked when signing."""
    key = SigningKey(settings.signing_key_file, database)
    address = _public_url(settings, http_address)
    readable = [base, *filter(None, [settings.executions.raw_output_prefix])]
    local = downloads = None
    routes: list[BaseRoute] = []
    if settings.http.enabled:
        downloads = PlainUrls(blobs, readable, key, address, clock)
        routes += downloads.routes
        if parse(base).scheme == "file":
            local = LocalUrls(base, key, address, clock)
            routes += data_routes(local, settings.data.max_upload_bytes)
    signer = StoreUrls(blobs, local)
    links = Links(signer, downloads, readable, timedelta(seconds=settings.data.download_seconds))
    data = ExecutionData(executions, queries, literals, links)
    proxy = DataProxy(signer, links, blobs, queries, data, _proxy_settings(settings, base), clock)
    return DataAccess(data, proxy, routes, key)


def container_uri(container: str) -> str:
    """The container as a URI; a local folder `elevon-data` when none is set."""
    if "://" in container:
        return container.rstrip("/")
    return Path(container or "elevon-data").absolute().as_uri()


def _public_url(settings: AdminSettings, http_address: Callable[[], str]) -> Callable[[], str]:
    scheme = "https" if settings.http.tls_certificate is not None else "http"
    return lambda: settings.public_url or f"{scheme}://{http_address()}"


def _proxy_settings(settings: AdminSettings, base: str) -> DataProxySettings:
    return DataProxySettings(
        base=base,
        upload_prefix=settings.data.upload_prefix,
        longest_upload=timedelta(seconds=settings.data.upload_seconds),
    )
