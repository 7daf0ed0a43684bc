"""What the engine relies on, of every plugin and of the fake it is tested with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from elevon_idl.connector.v1 import Agent, CreateTaskRequest, Resource, TaskCategory
from elevon_idl.core import v1 as core
from elevon_kit.blobs_obstore import ObjectBlobStore
from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import system_clock
from elevon_propeller.plugins.connector.fake import FakeConnectorService
from elevon_propeller.plugins.connector.plugin import ConnectorPlugin
from elevon_propeller.plugins.connector.settings import ConnectorSettings, EndpointSettings
from elevon_propeller.plugins.contract import Attempt, AttemptPaths, AttemptPhase, Plugin, Report
from elevon_propeller.plugins.core_sleep import CoreSleepPlugin
from elevon_propeller.plugins.echo import EchoPlugin
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.plugins.process.plugin import ProcessPlugin
from elevon_propeller.plugins.registry import RefusingPlugin
from elevon_propeller.plugins.settings import ProcessSettings
from elevon_propeller.plugins.state import MemoryPluginState


@dataclass(frozen=True)
class Subject:
    """A way to make a plugin, an attempt that ends soon and one that does not."""

    make: Callable[[], Plugin]
    short: Attempt
    long: Attempt | None
    ends_in: AttemptPhase = AttemptPhase.SUCCEEDED


class Sink:
    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.ended = asyncio.Event()

    def __call__(self, report: Report) -> None:
        self.reports.append(report)
        if report.phase.is_final:
            self.ended.set()


def attempt(folder: Path, task: core.TaskTemplate, inputs: core.LiteralMap | None = None) -> Attempt:
    return Attempt(
        name="x-n0-0",
        execution_id=core.WorkflowExecutionIdentifier(project="p", domain="d", name="x"),
        workflow_name="w",
        node_id="n0",
        spec_node_id="n0",
        number=0,
        task=task,
        inputs=inputs or core.LiteralMap(),
        paths=AttemptPaths(f"file://{folder}/data", f"file://{folder}/data/0", f"file://{folder}/raw"),
        started_at=system_clock(),
    )


def sleeping(folder: Path, seconds: float) -> Attempt:
    task, inputs = core.TaskTemplate(type="core-sleep"), core.LiteralMap()
    task.interface.inputs.variables["for"].type.simple = core.DURATION
    inputs.literals["for"].scalar.primitive.duration.FromTimedelta(timedelta(seconds=seconds))
    return attempt(folder, task, inputs)


def running(folder: Path, command: str) -> Attempt:
    task = core.TaskTemplate(type="container", container=core.Container(args=["sh", "-c", command]))
    return attempt(folder, task)


def echo(folder: Path) -> Subject:
    long = replace(attempt(folder, core.TaskTemplate()), started_at=system_clock() + timedelta(hours=1))
    return Subject(lambda: EchoPlugin(timedelta(milliseconds=5)), attempt(folder, core.TaskTemplate()), long)


def core_sleep(folder: Path) -> Subject:
    return Subject(CoreSleepPlugin, sleeping(folder, 0.01), sleeping(folder, 3600))


def fake(folder: Path) -> Subject:
    def script(given: Attempt) -> Report | None:
        return None if given.task.type == "long" else reports.succeeded(system_clock(), core.LiteralMap())

    short, long = attempt(folder, core.TaskTemplate(type="short")), attempt(folder, core.TaskTemplate(type="long"))
    return Subject(lambda: FakePlugin(script=script), short, long)


def refusing(folder: Path) -> Subject:
    short = attempt(folder, core.TaskTemplate(type="strange"))
    return Subject(lambda: RefusingPlugin("no"), short, None, AttemptPhase.PERMANENT_FAILURE)


def process(folder: Path) -> Subject:
    settings = ProcessSettings(
        python=Path(sys.executable), warm_start=False, grace=timedelta(seconds=20), kill_grace=timedelta(seconds=0.2)
    )
    return Subject(
        lambda: ProcessPlugin(settings, ObjectBlobStore(), folder),
        running(folder, "true"),
        running(folder, "sleep 600"),
    )


def connector(folder: Path) -> Subject:
    def script(request: CreateTaskRequest) -> Resource | None:
        return None if request.template.type == "long" else Resource(phase=core.TaskExecution.SUCCEEDED)

    categories = [TaskCategory(name=name) for name in ("short", "long")]
    service, state = FakeConnectorService([Agent(supported_task_categories=categories)], script), MemoryPluginState()
    settings = ConnectorSettings(
        endpoints={"default": EndpointSettings(address="fake:1")}, first_poll=timedelta(milliseconds=5)
    )
    short, long = attempt(folder, core.TaskTemplate(type="short")), attempt(folder, core.TaskTemplate(type="long"))
    return Subject(lambda: ConnectorPlugin(settings, ObjectBlobStore(), state, connect=lambda *_: service), short, long)


@pytest.fixture(params=[echo, core_sleep, fake, refusing, process, connector], ids=lambda make: make.__name__)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    made: Subject = request.param(tmp_path)
    return made


async def test_it_has_an_id_and_task_types(subject: Subject) -> None:
    plugin = subject.make()
    assert plugin.id
    assert isinstance(plugin.task_types, frozenset)


async def test_an_attempt_ends_once_and_then_nothing_more_is_heard(subject: Subject) -> None:
    plugin, sink = subject.make(), Sink()
    await plugin.open()
    await plugin.start(subject.short, sink)
    await sink.ended.wait()
    await plugin.finalize(subject.short.name)
    await plugin.close()
    assert [report.phase.is_final for report in sink.reports] == [False] * (len(sink.reports) - 1) + [True]
    final = sink.reports[-1]
    assert final.phase is subject.ends_in
    assert (final.outputs is not None) is (final.phase is AttemptPhase.SUCCEEDED)
    assert (final.error is not None) is (final.phase is not AttemptPhase.SUCCEEDED)
    assert final.occurred_at.tzinfo is not None


async def test_an_attempt_that_ended_ends_the_same_way_when_started_again(subject: Subject) -> None:
    plugin = subject.make()
    await plugin.open()
    for _ in range(2):
        sink = Sink()
        await plugin.start(subject.short, sink)
        await sink.ended.wait()
        assert sink.reports[-1].phase is subject.ends_in
    await plugin.close()


async def test_an_aborted_attempt_is_silent(subject: Subject) -> None:
    if subject.long is None:  # a plugin that refuses everything has nothing to abort
        return
    plugin, sink = subject.make(), Sink()
    await plugin.open()
    await plugin.start(subject.long, sink)
    await plugin.abort(subject.long.name, "not wanted")
    heard = len(sink.reports)
    await plugin.abort(subject.long.name, "not wanted")
    await plugin.finalize(subject.long.name)
    await plugin.close()
    assert len(sink.reports) == heard
    assert not any(report.phase.is_final for report in sink.reports)


async def test_unknown_names_are_fine(subject: Subject) -> None:
    plugin = subject.make()
    await plugin.open()
    await plugin.abort("never-heard-of", "no reason")
    await plugin.finalize("never-heard-of")
    await plugin.close()


async def test_a_later_plugin_goes_on_with_an_attempt(subject: Subject) -> None:
    if subject.long is None:
        return
    first, second = subject.make(), subject.make()
    await first.open()
    await first.start(subject.long, Sink())
    await first.close()
    await second.open()
    sink = Sink()
    await second.start(subject.long, sink)
    await second.abort(subject.long.name, "enough")
    await second.finalize(subject.long.name)
    await second.start(subject.short, sink)
    await sink.ended.wait()
    await second.close()
    assert sink.reports[-1].phase is AttemptPhase.SUCCEEDED


async def test_an_attempt_that_was_let_go_of_goes_on_for_whoever_starts_it_again(subject: Subject) -> None:
    plugin = subject.make()
    await plugin.open()
    await plugin.detach("never-heard-of")
    if subject.long is None:
        await plugin.close()
        return
    former, sink = Sink(), Sink()
    await plugin.start(subject.long, former)
    await plugin.detach(subject.long.name)
    heard = len(former.reports)
    await plugin.start(subject.long, sink)
    await plugin.abort(subject.long.name, "enough")
    await plugin.finalize(subject.long.name)
    await plugin.close()
    assert len(former.reports) == heard
    assert not any(report.phase.is_final for report in [*former.reports, *sink.reports])
