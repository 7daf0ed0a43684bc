"""Plugins of other packages that misbehave: the attempt fails, the execution ends, propeller goes on."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_propeller.app import build
from elevon_propeller.settings import PropellerSettings
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

from tests.integration.propeller_engine.conftest import Client, Recorder, eventually

PACKAGE = """
from datetime import datetime, timezone
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase, Report

class Broken:
    id = "broken"
    task_types = frozenset({"raises", "leaves", "babbles", "lies", "is-silent", "repeats", "hangs", "stays"})

    def __init__(self, context):
        self.aborts = 0
        self.stays = set()

    async def open(self): ...
    async def close(self): ...
    async def detach(self, name): ...

    async def start(self, attempt, report):
        now = datetime.now(timezone.utc)
        if attempt.task.type == "stays":
            self.stays.add(attempt.name)
        if attempt.task.type == "raises":
            raise RuntimeError("the warehouse is on fire")
        if attempt.task.type == "leaves":
            raise SystemExit(3)
        if attempt.task.type == "babbles":
            report("all fine, really")
        if attempt.task.type == "lies":
            outputs = core.LiteralMap()
            outputs.literals["x"].scalar.primitive.string_value = "no number"
            report(Report(AttemptPhase.SUCCEEDED, now, outputs=outputs))
        if attempt.task.type == "is-silent":
            report(Report(AttemptPhase.PERMANENT_FAILURE, now))
        if attempt.task.type == "repeats":
            report(Report(AttemptPhase.SUCCEEDED, now, outputs=attempt.inputs))
            report(Report(AttemptPhase.PERMANENT_FAILURE, now))

    async def abort(self, name, reason):
        if name in self.stays:
            raise RuntimeError("no way to stop it")
        self.aborts += 1
        if self.aborts == 1:
            raise SystemExit(4)

    async def finalize(self, name):
        raise RuntimeError("nothing is let go")

    async def detach(self, name):
        raise RuntimeError("nothing is left to others")
"""
FAILURES = {
    "raises": ("RetriesExhausted|RuntimeExecutionError", "the warehouse is on fire"),
    "leaves": ("RetriesExhausted|RuntimeExecutionError", "tried to end the process in start: SystemExit(3)"),
    "babbles": ("RetriesExhausted|PluginReportInvalid", "'all fine, really', which is no Report"),
    "lies": ("OutputsTypeMismatch", "x is str, int is expected"),
    "is-silent": ("RetriesExhausted|UnknownError", "gave no error"),
}


def install(folder: Path, source: str) -> None:
    """Install a package with a plugin as pip would."""
    (folder / "broken_plugin.py").write_text(source)
    metadata = folder / "broken_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[elevon.plugins]\nbroken = broken_plugin:Broken\n")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("broken_plugin", None)


def settings_of(admin: str, url: str, folder: Path) -> PropellerSettings:
    return PropellerSettings.load(
        [],
        database={"url": url, "migrate": True},
        blobs={"container": str(folder / "store")},
        http={"enabled": False},
        admin={"address": admin},
        engine={"backoff_seconds": 0.01, "stop_tries": 3},
        plugins={"process": {"enabled": False}, "extra": ["broken"]},
        data_folder=str(folder / "data"),
    )


@pytest.fixture
async def client(
    packages: Path, recorder_address: tuple[Recorder, str], sqlite_url: str, tmp_path: Path
) -> AsyncIterator[Client]:
    install(packages, PACKAGE)
    app = await build(settings_of(recorder_address[1], sqlite_url, tmp_path))
    await app.start()
    made = Client(app)
    yield made
    await made.close()
    await app.stop()


async def test_misbehaviour_fails_the_attempt_and_nothing_else(client: Client) -> None:
    for task_type in FAILURES:
        nodes = [TaskNodeSpec("n0", task_type=task_type), TaskNodeSpec("good"), TaskNodeSpec("better", source="good")]
        closure = closures.closure(nodes)
        closure.primary.template.metadata.on_failure = core.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
        await client.create(task_type, closure)
    for task_type, (code, words) in FAILURES.items():
        assert await client.wait(task_type) == "FAILED"
        view = await client.describe(task_type)
        assert view.error.code == code
        assert words in view.error.message
        phases = {node.node_id: core.NodeExecution.Phase.Name(node.phase) for node in view.nodes}
        assert (phases["n0"], phases["good"], phases["better"]) == ("FAILED", "SUCCEEDED", "SUCCEEDED")


async def test_what_follows_a_final_report_is_not_heard(client: Client) -> None:
    await client.create("repeats", closures.closure([TaskNodeSpec("n0", task_type="repeats")]))
    assert await client.wait("repeats") == "SUCCEEDED"


async def test_an_abort_that_raises_is_tried_again(client: Client, recorder: Recorder) -> None:
    await client.create("hangs", closures.closure([TaskNodeSpec("n0", task_type="hangs")]))
    await eventually(lambda: "n0 RUNNING" in recorder.phases("hangs"))
    assert await client.abort("hangs", "enough")
    assert await client.wait("hangs") == "ABORTED"


async def test_an_abort_that_always_raises_ends_and_says_so(client: Client, recorder: Recorder) -> None:
    await client.create("stays", closures.closure([TaskNodeSpec("n0", task_type="stays")]))
    await eventually(lambda: "n0 RUNNING" in recorder.phases("stays"))
    assert await client.abort("stays", "enough")
    assert await client.wait("stays") == "ABORTED"
    await eventually(lambda: {"n0 ABORTED", "workflow ABORTED"} <= set(recorder.phases("stays")))
    view = await client.describe("stays")
    told = "enough; the plugin could not confirm that the attempt has ended, it may still run: plugin 'broken': "
    (reason,) = [node.reason for node in view.nodes if node.node_id == "n0"]
    assert told in reason
    assert "no way to stop it" in reason


async def test_what_cannot_be_stopped_is_not_tried_again(client: Client) -> None:
    closure = closures.closure([TaskNodeSpec("n0", task_type="stays", retries=3, timeout_seconds=0.05)])
    await client.create("late", closure)
    assert await client.wait("late") == "FAILED"
    error = (await client.describe("late")).error
    assert error.code == "Timeout"
    assert "it may still run: plugin 'broken': " in error.message


async def test_a_package_that_does_not_load_is_named(
    packages: Path, recorder_address: tuple[Recorder, str], sqlite_url: str, tmp_path: Path
) -> None:
    install(packages, "import a_module_that_is_not_there")
    with pytest.raises(InvalidArgument, match=r"broken_plugin:Broken cannot be loaded: .*a_module_that_is_not_there"):
        await build(settings_of(recorder_address[1], sqlite_url, tmp_path))
