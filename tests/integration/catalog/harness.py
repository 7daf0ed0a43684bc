"""A real catalog over a real socket, and the official stubs as its clients."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_catalog.app import App, build
from elevon_catalog.settings import CatalogSettings, UpkeepSettings
from elevon_idl.catalog.v1 import catalog_admin_service_pb2_grpc, memo_service_pb2_grpc
from elevon_kit.settings import BlobSettings, DatabaseSettings, HttpSettings
from flyteidl.cacheservice import cacheservice_pb2_grpc
from flyteidl.core import literals_pb2
from flyteidl.datacatalog import datacatalog_pb2, datacatalog_pb2_grpc

SECOND = 10**9


@dataclass
class VirtualClock:
    """Time that passes when a test says so, in nanoseconds; never stands still between two looks."""

    now: int = 1_700_000_000 * SECOND
    ticks: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(self) -> int:
        return self.now + next(self.ticks)

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@dataclass
class Catalog:
    """A running catalog and the clients of its services; the first two are the official ones."""

    app: App
    clock: VirtualClock
    blobs: Path
    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.data = datacatalog_pb2_grpc.DataCatalogStub(self.channel)
        self.cache = cacheservice_pb2_grpc.CacheServiceStub(self.channel)
        self.memo: Any = memo_service_pb2_grpc.MemoServiceStub(self.channel)
        self.admin: Any = catalog_admin_service_pb2_grpc.CatalogAdminServiceStub(self.channel)

    def files(self) -> list[Path]:
        """All objects in the object store."""
        return sorted(path for path in self.blobs.rglob("*") if path.is_file())


def settings_for(url: str, folder: Path, **changes: object) -> CatalogSettings:
    """Settings for a catalog on loopback."""
    given = {
        "database": DatabaseSettings(url=url, migrate=True),
        "blobs": BlobSettings(container=str(folder)),
        "http": HttpSettings(enabled=False),
        "upkeep": UpkeepSettings(interval_seconds=3600),
        **changes,
    }
    return CatalogSettings.load((), **given)


@asynccontextmanager
async def serving(
    url: str, blobs: Path, clock: VirtualClock | None = None, **changes: object
) -> AsyncIterator[Catalog]:
    """A catalog that serves until the block ends."""
    clock = clock or VirtualClock()
    app = await build(settings_for(url, blobs, **changes), clock=clock)
    await app.start()
    try:
        async with grpc.aio.insecure_channel(app.grpc_address) as channel:
            yield Catalog(app, clock, blobs, channel)
    finally:
        await app.stop()


DATASET = datacatalog_pb2.DatasetID(
    project="flytesnacks", domain="development", name="flyte_task-wf.add", version="1.0-AAAAAAAA-BBBBBBBB"
)


def literal(value: object) -> literals_pb2.Literal:
    """An integer or a text."""
    if isinstance(value, int):
        primitive = literals_pb2.Primitive(integer=value)
    else:
        primitive = literals_pb2.Primitive(string_value=str(value))
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))


def data(**values: object) -> list[datacatalog_pb2.ArtifactData]:
    """Artifact data by name."""
    return [datacatalog_pb2.ArtifactData(name=name, value=literal(value)) for name, value in values.items()]


def metadata(**pairs: str) -> datacatalog_pb2.Metadata:
    """Metadata; underscores become hyphens."""
    return datacatalog_pb2.Metadata(key_map={name.replace("_", "-"): value for name, value in pairs.items()})


def artifact(
    artifact_id: str, dataset: datacatalog_pb2.DatasetID = DATASET, **values: object
) -> datacatalog_pb2.Artifact:
    """An artifact with these values."""
    return datacatalog_pb2.Artifact(id=artifact_id, dataset=dataset, data=data(**(values or {"o0": 1})))


async def create_dataset(catalog: Catalog, *keys: str, dataset: datacatalog_pb2.DatasetID = DATASET) -> None:
    """Create a dataset with partition keys."""
    request = datacatalog_pb2.Dataset(id=dataset, metadata=metadata(task_version="v1"), partitionKeys=keys)
    await catalog.data.CreateDataset(datacatalog_pb2.CreateDatasetRequest(dataset=request))


async def put(catalog: Catalog, tag: str, artifact_id: str, **values: object) -> None:
    """Store an entry in the way that clients do."""
    await catalog.data.CreateArtifact(datacatalog_pb2.CreateArtifactRequest(artifact=artifact(artifact_id, **values)))
    await add_tag(catalog, tag, artifact_id)


async def add_tag(catalog: Catalog, tag: str, artifact_id: str, dataset: datacatalog_pb2.DatasetID = DATASET) -> None:
    """Tag an artifact."""
    request = datacatalog_pb2.Tag(name=tag, artifact_id=artifact_id, dataset=dataset)
    await catalog.data.AddTag(datacatalog_pb2.AddTagRequest(tag=request))


async def get(catalog: Catalog, tag: str, dataset: datacatalog_pb2.DatasetID = DATASET) -> datacatalog_pb2.Artifact:
    """Read an artifact by its tag."""
    answer = await catalog.data.GetArtifact(datacatalog_pb2.GetArtifactRequest(dataset=dataset, tag_name=tag))
    return answer.artifact


def values_of(found: datacatalog_pb2.Artifact) -> dict[str, object]:
    """The values of an artifact by name."""
    return {
        item.name: getattr(item.value.scalar.primitive, item.value.scalar.primitive.WhichOneof("value"))
        for item in found.data
    }


@asynccontextmanager
async def refused(code: grpc.StatusCode, *texts: str) -> AsyncIterator[None]:
    """The call inside fails with this status and a message that contains these texts."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() == code, caught.value.details()
    for text in texts:
        assert text in (caught.value.details() or "")


INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
