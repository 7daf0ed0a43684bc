"""What survives: restarts, kill -9, a database that goes away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_catalog.app import build
from elevon_catalog.settings import ValueSettings
from elevon_core.errors import InvalidArgument
from elevon_idl.catalog import v1 as catalog_pb2
from elevon_idl.catalog.v1 import data_catalog_pb2_grpc
from elevon_kit.database import SchemaMismatch
from elevon_kit.settings import BlobSettings, DatabaseSettings
from flyteidl.datacatalog import datacatalog_pb2 as pb
from flyteidl.datacatalog import datacatalog_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.integration.catalog.harness import (
    DATASET,
    Catalog,
    VirtualClock,
    artifact,
    create_dataset,
    get,
    put,
    refused,
    serving,
    settings_for,
    values_of,
)

LARGE = "large " * 20_000


async def test_a_restart_loses_nothing(database_url: str, tmp_path: Path) -> None:
    clock = VirtualClock()
    lease = pb.GetOrExtendReservationRequest(
        reservation_id=pb.ReservationID(dataset_id=DATASET, tag_name="busy"), owner_id="a"
    )
    async with serving(database_url, tmp_path, clock) as first:
        await create_dataset(first)
        await put(first, "tag", "a", o0=1, o1=LARGE)
        await first.data.GetOrExtendReservation(lease)
        before = await get(first, "tag")

    async with serving(database_url, tmp_path, clock) as second:
        assert await get(second, "tag") == before
        lease.owner_id = "b"
        assert (await second.data.GetOrExtendReservation(lease)).reservation.owner_id == "a"


@asynccontextmanager
async def process(url: str, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The catalog as a process of its own; killed at the end."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    arguments = ["--database.url", url, "--database.migrate=true", "--blobs.container", str(folder / "blobs")]
    log = (folder / "log").open("ab")
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "elevon_catalog", *arguments, "--ready_file", str(ready), stdout=log, stderr=log
    )
    log.close()
    try:
        while not ready.exists():
            assert started.returncode is None, (folder / "log").read_text()
            await asyncio.sleep(0.01)
        yield started, json.loads(ready.read_text())["grpc"]
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGKILL)
        await started.wait()


async def test_what_was_acknowledged_survives_kill_9(database_url: str, tmp_path: Path) -> None:
    acknowledged: list[int] = []
    async with process(database_url, tmp_path) as (started, address), grpc.aio.insecure_channel(address) as channel:
        stub = datacatalog_pb2_grpc.DataCatalogStub(channel)
        await stub.CreateDataset(pb.CreateDatasetRequest(dataset=pb.Dataset(id=DATASET)))

        async def write(number: int) -> None:
            text = LARGE if number % 3 == 0 else "x"
            new = artifact(f"a{number}", o0=number, o1=text)
            await stub.CreateArtifact(pb.CreateArtifactRequest(artifact=new))
            tag = pb.Tag(name=f"t{number}", artifact_id=f"a{number}", dataset=DATASET)
            await stub.AddTag(pb.AddTagRequest(tag=tag))
            acknowledged.append(number)
            if len(acknowledged) == 20:
                os.kill(started.pid, signal.SIGKILL)

        await asyncio.gather(*(write(number) for number in range(60)), return_exceptions=True)

    assert len(acknowledged) >= 20
    async with process(database_url, tmp_path) as (_, address), grpc.aio.insecure_channel(address) as channel:
        stub = datacatalog_pb2_grpc.DataCatalogStub(channel)
        for number in acknowledged:
            request = pb.GetArtifactRequest(dataset=DATASET, tag_name=f"t{number}")
            assert values_of((await stub.GetArtifact(request)).artifact)["o0"] == number


async def test_a_process_drains_when_told_to_end(sqlite_url: str, tmp_path: Path) -> None:
    async with process(sqlite_url, tmp_path) as (started, _):
        started.send_signal(signal.SIGTERM)

        assert await started.wait() == 0


class Relay:
    """A way to a server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self.open = True

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if not self.open:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self.open = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def test_a_database_that_goes_away_is_unavailable_and_comes_back(postgres_url: str, tmp_path: Path) -> None:
    host, _, rest = postgres_url.removeprefix("postgresql+asyncpg://postgres@").partition(":")
    port, _, database = rest.partition("/")
    relay = Relay(host, int(port))
    listener = await asyncio.start_server(relay, host, 0)
    through = f"postgresql+asyncpg://postgres@{host}:{listener.sockets[0].getsockname()[1]}/{database}"
    async with serving(through, tmp_path) as catalog:
        await create_dataset(catalog)
        await put(catalog, "tag", "a", o0=1)
        relay.cut()

        async with refused(grpc.StatusCode.UNAVAILABLE):
            await get(catalog, "tag")
        async with refused(grpc.StatusCode.UNAVAILABLE):
            await catalog.data.CreateArtifact(pb.CreateArtifactRequest(artifact=artifact("b", o0=2)))

        relay.open = True
        assert values_of(await get(catalog, "tag")) == {"o0": 1}
        await put(catalog, "tag2", "b", o0=2)
        assert values_of(await get(catalog, "tag2")) == {"o0": 2}
    relay.cut()
    listener.close()


async def test_an_object_store_that_cannot_be_written_fails_the_call_and_leaves_no_row(
    database_url: str, tmp_path: Path
) -> None:
    blocked = tmp_path / "blobs"
    blocked.write_text("a file where the folder should be")
    async with serving(database_url, blocked, values=ValueSettings(inline_bytes=0)) as catalog:
        await create_dataset(catalog)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await put(catalog, "tag", "a", o0=1)

        assert caught.value.code() not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)
        async with refused(grpc.StatusCode.NOT_FOUND):
            await catalog.data.GetArtifact(pb.GetArtifactRequest(dataset=DATASET, artifact_id="a"))


@pytest.mark.parametrize("schema", [None], ids=["empty"])
async def test_a_database_without_a_schema_is_refused(schema: None, database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path, database=DatabaseSettings(url=database_url))
    app = await build(settings)
    with pytest.raises(SchemaMismatch, match="elevon migrate"):
        await app.start()
    await app.stop()


async def test_settings_without_a_place_for_values_are_refused(sqlite_url: str, tmp_path: Path) -> None:
    for container in ("", "relative/path"):
        settings = settings_for(sqlite_url, tmp_path, blobs=BlobSettings(container=container))
        with pytest.raises(InvalidArgument):
            await build(settings)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "datacatalog.DataCatalog",
        "elevon.catalog.v1.DataCatalog",
        "flyteidl.cacheservice.CacheService",
        "elevon.catalog.v1.MemoService",
        "elevon.catalog.v1.CatalogAdminService",
    ],
)
async def test_every_service_is_healthy(catalog: Catalog, name: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(catalog.channel)

    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_both_names_reach_the_same_catalog(catalog: Catalog) -> None:
    await create_dataset(catalog)
    stub: Any = data_catalog_pb2_grpc.DataCatalogStub(catalog.channel)

    answer = await stub.GetDataset(
        catalog_pb2.GetDatasetRequest(dataset=catalog_pb2.DatasetID.FromString(DATASET.SerializeToString()))
    )

    assert answer.dataset.id.project == DATASET.project
