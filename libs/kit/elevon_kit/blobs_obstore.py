"""The real blob store: object stores through obstore, local files directly; the URI's scheme decides."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from elevon_core.errors import ElevonError, InvalidArgument, PermissionDenied, Unavailable
from elevon_core.portions import portions

from elevon_kit.blobs import BlobNotFound, BlobPlace, BlobStore, BlobTooLarge, Method, parse
from elevon_kit.blobs_local import LocalBlobStore
from elevon_kit.settings import BlobSettings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

DELETE_BATCH = 500
FIRST_TO_LONGEST_PAUSE = {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=2), "base": 2.0}
S3, GCS, AZURE = ("s3", "s3a"), ("gs", "gcs"), ("az", "azure", "abfs", "abfss")


def open_blob_store(settings: BlobSettings) -> BlobStore:
    """Make the store that serves every URI the settings give access to."""
    return ObjectBlobStore(settings)


class ObjectBlobStore:
    """Serves `file://`, `s3://`, `gs://`, `az://` and `abfs://`; a store is opened when its container is first used."""

    def __init__(self, settings: BlobSettings | None = None) -> None:
        self._settings = settings or BlobSettings()
        self._local = LocalBlobStore()
        self._stores: dict[tuple[str, str], ObjectStore] = {}

    async def read(self, uri: str, limit: int | None = None) -> bytes:
        """Read a blob."""
        place = parse(uri)
        if place.scheme == "file":
            return await self._local.read(uri, limit)
        async with _translated(uri):
            answer = await self._store(place).get_async(place.key)
            size = answer.meta["size"]
            if limit is not None and size > limit:
                raise BlobTooLarge(f"blob {uri} has {size} bytes, at most {limit} are accepted")
            return bytes(await answer.bytes_async())

    async def write(self, uri: str, data: bytes) -> None:
        """Write a blob."""
        place = parse(uri)
        if place.scheme == "file":
            return await self._local.write(uri, data)
        async with _translated(uri):
            await self._store(place).put_async(place.key, data)
        return None

    async def size(self, uri: str) -> int | None:
        """Answer a blob's size."""
        place = parse(uri)
        if place.scheme == "file":
            return await self._local.size(uri)
        try:
            async with _translated(uri):
                return int((await self._store(place).head_async(place.key))["size"])
        except BlobNotFound:
            return None

    async def has_md5(self, uri: str, digest: bytes) -> bool:
        """Compare a blob's MD5; its tag tells of the same content, and never of another one."""
        place = parse(uri)
        if place.scheme == "file":
            return await self._local.has_md5(uri, digest)
        async with _translated(uri):
            answer = await self._store(place).get_async(place.key)
            if (answer.meta["e_tag"] or "").strip('"') == digest.hex():
                return True
            found = hashlib.md5(usedforsecurity=False)
            async for chunk in answer.stream():
                await asyncio.to_thread(found.update, chunk)
            return found.digest() == digest

    async def delete(self, uri: str) -> None:
        """Delete a blob."""
        place = parse(uri)
        if place.scheme == "file":
            return await self._local.delete(uri)
        with contextlib.suppress(BlobNotFound):
            async with _translated(uri):
                await self._store(place).delete_async(place.key)
        return None

    async def delete_prefix(self, uri: str) -> None:
        """Delete everything below a folder."""
        place = parse(uri)
        if place.scheme == "file":
            return await self._local.delete_prefix(uri)
        async with _translated(uri):
            store = self._store(place)
            for some in portions(await self._keys(place), DELETE_BATCH):
                await store.delete_async(some)
        return None

    async def list(self, prefix: str) -> list[str]:
        """Answer the URIs below a folder."""
        place = parse(prefix)
        if place.scheme == "file":
            return await self._local.list(prefix)
        async with _translated(prefix):
            return sorted(f"{place.scheme}://{place.container}/{key}" for key in await self._keys(place))

    async def _keys(self, place: BlobPlace) -> Sequence[str]:
        folder = place.key.rstrip("/") + "/" if place.key else None
        keys: list[str] = []
        async for page in self._store(place).list(folder):
            keys.extend(item["path"] for item in page)
        return keys

    async def sign(
        self, method: Method, uri: str, expires: timedelta, headers: Mapping[str, str] | None = None
    ) -> str | None:
        """Answer a signed URL; None for local files."""
        place = parse(uri)
        if place.scheme == "file":
            return await self._local.sign(method, uri, expires, headers)
        import obstore

        async with _translated(uri):
            signable: Any = self._store(place)
            url: str = await obstore.sign_async(signable, method, place.key, expires)
            return url

    async def close(self) -> None:
        """Forget the stores; their connections close with them."""
        self._stores.clear()

    def _store(self, place: BlobPlace) -> ObjectStore:
        store = self._stores.get((place.scheme, place.container))
        if store is None:
            store = open_store(place, self._settings)
            self._stores[place.scheme, place.container] = store
        return store


def open_store(place: BlobPlace, settings: BlobSettings) -> ObjectStore:
    """Open the store of a container; raises InvalidArgument for a scheme that nobody serves."""
    if place.scheme in S3:
        return _s3(place, settings)
    if place.scheme in GCS:
        return _gcs(place, settings)
    if place.scheme in AZURE:
        return _azure(place, settings)
    raise InvalidArgument.invalid(
        "uri", f"{place.scheme}://{place.container}", "scheme must be file, s3, gs, az or abfs"
    )


def _options(settings: BlobSettings, *, allow_http: bool = False) -> dict[str, Any]:
    return {
        "client_options": {"timeout": timedelta(seconds=settings.timeout_seconds), "allow_http": allow_http},
        "retry_config": {
            "max_retries": settings.retries,
            "retry_timeout": timedelta(seconds=settings.retry_seconds),
            "backoff": FIRST_TO_LONGEST_PAUSE,
        },
    }


def _s3(place: BlobPlace, settings: BlobSettings) -> ObjectStore:
    from obstore.store import S3Store

    config: dict[str, Any] = {"virtual_hosted_style_request": settings.s3_virtual_hosted}
    if settings.s3_region or settings.s3_endpoint:
        config["region"] = settings.s3_region or "us-east-1"
    if settings.s3_endpoint:
        config["endpoint"] = settings.s3_endpoint
    if settings.s3_access_key_id:
        config["access_key_id"] = settings.s3_access_key_id
        config["secret_access_key"] = settings.s3_secret_access_key.get_secret_value()
    options = _options(settings, allow_http=settings.s3_endpoint.startswith("http://"))
    return S3Store(place.container, **options, **config)


def _gcs(place: BlobPlace, settings: BlobSettings) -> ObjectStore:
    from obstore.store import GCSStore

    config: dict[str, Any] = {}
    if settings.gcs_service_account is not None:
        config["service_account"] = str(settings.gcs_service_account)
    return GCSStore(place.container, **_options(settings), **config)


def _azure(place: BlobPlace, settings: BlobSettings) -> ObjectStore:
    """`abfs://container@account.dfs.core.windows.net/key` names its account, others leave it to the settings."""
    from obstore.store import AzureStore

    container, _, host = place.container.partition("@")
    config: dict[str, Any] = {"account_name": host.partition(".")[0] or settings.azure_account}
    if key := settings.azure_account_key.get_secret_value():
        config["account_key"] = key
    return AzureStore(container, **_options(settings), **config)


@contextlib.asynccontextmanager
async def _translated(uri: str) -> AsyncIterator[None]:
    from obstore import exceptions

    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError):
        raise BlobNotFound(f"no blob at {uri}") from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise PermissionDenied(f"blob {uri}: {_first_line(error)}") from error
    except exceptions.InvalidPathError as error:
        raise InvalidArgument.invalid("uri", uri, _first_line(error)) from error
    except (exceptions.BaseError, OSError) as error:
        raise _unavailable(uri, error) from error


def _unavailable(uri: str, error: Exception) -> ElevonError:
    return Unavailable(f"blob {uri}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    text = str(error)
    return text.splitlines()[0] if text else type(error).__name__
