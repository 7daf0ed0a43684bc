"""What propeller counts appears on its metrics page."""

from __future__ import annotations

import asyncio
import urllib.request

from elevon_kit.settings import TelemetrySettings
from elevon_kit.telemetry import configure_telemetry
from elevon_propeller.simulation import closures
from structlog.testing import capture_logs

from tests.integration.propeller_engine.conftest import Starter
from tests.integration.propeller_engine.engines import Begin, echo

NAMED = "elevon_propeller_"


def page(address: str) -> dict[str, float]:
    """The numbers of a metrics page, by name and labels; what names the library is left out."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def total(numbers: dict[str, float], name: str, *labels: str) -> float:
    """The sum of a metric over all that have these labels."""
    return sum(
        value
        for key, value in numbers.items()
        if key.partition("{")[0] == name and all(label in key for label in labels)
    )


async def test_attempts_executions_and_steps_are_counted(start: Starter) -> None:
    telemetry = configure_telemetry(TelemetrySettings(metrics="prometheus"), "propeller")
    try:
        client = await start(http={"enabled": True})
        await client.create("counted", closures.chain(3))
        assert await client.wait("counted") == "SUCCEEDED"
        numbers = await asyncio.to_thread(page, client.app.http_address)
    finally:
        telemetry.stop()
    assert total(numbers, "elevon_propeller_attempts_total", 'plugin="echo"', 'outcome="succeeded"') == 3
    assert total(numbers, "elevon_propeller_executions_ended_total", 'phase="succeeded"') == 1
    steps = total(numbers, "elevon_propeller_step_duration_seconds_count")
    assert 1 <= steps <= total(numbers, "elevon_propeller_observations_total")
    assert total(numbers, "elevon_propeller_outbox_bytes") >= 0
    names = ("executions_live", "executions_waiting", "executions_parked", "outbox_shards_behind")
    gauges = {name: value for name in names for key, value in numbers.items() if key.startswith(f"{NAMED}{name}{{")}
    assert gauges == dict.fromkeys(names, 0)


async def test_changes_of_nodes_are_logged_when_asked_for(begin: Begin) -> None:
    engine = await begin(echo)
    engine.runtime.driver.logs_nodes = True
    with capture_logs() as lines:
        await engine.create("told", closures.chain(1))
        assert await engine.wait("told") == "SUCCEEDED"
    told = [(line["node"], line["phase"]) for line in lines if line["event"] == "node"]
    assert ("n0", "SUCCEEDED") in told
    assert all(line["execution"] == "told" for line in lines if line["event"] == "node")
