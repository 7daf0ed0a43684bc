"""What the catalog counts appears on its metrics page."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from pathlib import Path

from elevon_idl.catalog import v1 as pb
from elevon_kit.settings import HttpSettings, TelemetrySettings
from elevon_kit.telemetry import configure_telemetry

from tests.integration.catalog.harness import DATASET, MISSING, create_dataset, get, put, refused, serving

KEY = pb.DatasetID.FromString(DATASET.SerializeToString())


def page(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        body: bytes = answer.read()
    return body.decode()


def count(text: str, name: str, outcome: str) -> float:
    found = re.findall(rf'^elevon_catalog_{name}_\w*{{[^}}]*outcome="{outcome}"[^}}]*}} (\S+)', text, re.MULTILINE)
    return sum(map(float, found))


async def test_hits_misses_and_stores_are_counted(sqlite_url: str, tmp_path: Path) -> None:
    telemetry = configure_telemetry(TelemetrySettings(metrics="prometheus"), "catalog")
    try:
        async with serving(sqlite_url, tmp_path, http=HttpSettings()) as catalog:
            await create_dataset(catalog)
            await put(catalog, "t", "a", o0=1)
            await get(catalog, "t")
            async with refused(MISSING):
                await get(catalog, "u")
            entries = [pb.LookupEntry(dataset_id=KEY, tag_name=tag) for tag in ("t", "t", "u")]
            await catalog.memo.Lookup(pb.LookupRequest(entries=entries))
            found = (await catalog.memo.Lookup(pb.LookupRequest(entries=entries[:1]))).results[0].artifact
            found.ClearField("id")
            again = pb.StoreEntry(dataset=pb.Dataset(id=KEY), artifact=found, tag_name="t")
            await catalog.memo.Store(pb.StoreRequest(entries=[again]))

            text = await asyncio.to_thread(page, catalog.app.http_address)
            with await asyncio.to_thread(
                urllib.request.urlopen, f"http://{catalog.app.http_address}/healthcheck"
            ) as answer:
                assert answer.status == 200
    finally:
        telemetry.stop()

    assert (count(text, "lookups", "hit"), count(text, "lookups", "miss")) == (4, 2)
    assert count(text, "stores", "kept") == 1
