"""A connector plugin at two fake services, quick and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_propeller.plugins.clock import system_clock
from elevon_propeller.plugins.connector.fake import FakeConnectorService
from elevon_propeller.plugins.connector.plugin import ConnectorPlugin
from elevon_propeller.plugins.connector.settings import ConnectorSettings, EndpointSettings
from elevon_propeller.plugins.contract import Attempt, AttemptPaths, Report
from elevon_propeller.plugins.state import MemoryPluginState

Make = Callable[..., Attempt]


def agent(name: str, version: int = 0, *, is_sync: bool = False) -> connector.Agent:
    """A connector of one category."""
    category = connector.TaskCategory(name=name, version=version)
    return connector.Agent(name=name, supported_task_categories=[category], is_sync=is_sync)


def literals(**values: int) -> core.LiteralMap:
    """Integers by name."""
    made = core.LiteralMap()
    for name, value in values.items():
        made.literals[name].scalar.primitive.integer = value
    return made


class Sink:
    """Hears what is reported of an attempt."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._news = asyncio.Event()

    def __call__(self, report: Report) -> None:
        self.reports.append(report)
        self._news.set()

    async def until(self, condition: Callable[[Report], bool]) -> Report:
        """The first report that fits, past or future."""
        while True:
            for report in self.reports:
                if condition(report):
                    return report
            self._news.clear()
            async with asyncio.timeout(30):
                await self._news.wait()

    async def end(self) -> Report:
        """The final report."""
        return await self.until(lambda report: report.phase.is_final)

    async def says(self, text: str) -> Report:
        """A report whose reason has these words."""
        return await self.until(lambda report: text in report.reason)


async def eventually(condition: Callable[[], Any]) -> None:
    """Return once something is true."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@dataclass
class World:
    """What outlives a plugin: two services, what is remembered, files."""

    default: FakeConnectorService
    other: FakeConnectorService
    state: MemoryPluginState = field(default_factory=MemoryPluginState)
    blobs: MemoryBlobStore = field(default_factory=MemoryBlobStore)
    opened: list[ConnectorPlugin] = field(default_factory=list)

    async def plugin(self, **settings: Any) -> ConnectorPlugin:
        """An open plugin; several may be made, one after the other."""
        values: dict[str, Any] = {
            "endpoints": {name: EndpointSettings(address=f"{name}:1") for name in ("default", "other")},
            "discovery_interval": timedelta(milliseconds=50),
            "first_poll": timedelta(milliseconds=5),
            "poll_interval": timedelta(milliseconds=20),
        }
        services = {"default": self.default, "other": self.other}
        made = ConnectorPlugin(
            ConnectorSettings(**values | settings),
            self.blobs,
            self.state,
            outputs_limit=1000,
            connect=lambda name, _: services[name],
        )
        await made.open()
        self.opened.append(made)
        return made

    async def restarted(self, plugin: ConnectorPlugin, **settings: Any) -> ConnectorPlugin:
        """Another plugin after this one."""
        await plugin.close()
        self.opened.remove(plugin)
        return await self.plugin(**settings)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(
        FakeConnectorService([agent("query"), agent("ask", is_sync=True)]),
        FakeConnectorService([agent("query"), agent("train", 2)]),
    )
    yield made
    for service in (made.default, made.other):
        service.come_back()
    for plugin in made.opened:
        await plugin.close()


@pytest.fixture
def attempt() -> Make:
    """Makes attempts of tasks from integers to integers."""

    def make(
        task_type: str = "query",
        version: int = 0,
        *,
        name: str = "x-n0-0",
        number: int = 0,
        outputs: tuple[str, ...] = ("o",),
        inputs: core.LiteralMap | None = None,
        template: core.TaskTemplate | None = None,
        **given: Any,
    ) -> Attempt:
        task = core.TaskTemplate(type=task_type, task_type_version=version)
        if template is not None:
            task.MergeFrom(template)
        task.id.name = "tasks.ask"
        for output in outputs:
            task.interface.outputs.variables[output].type.simple = core.INTEGER
        return Attempt(
            name=name,
            execution_id=core.WorkflowExecutionIdentifier(project="p", domain="d", name="x"),
            workflow_name="w.f",
            node_id="n0",
            spec_node_id="n0",
            number=number,
            task=task,
            inputs=inputs or literals(x=1),
            paths=AttemptPaths("s3://m/x/n0/data", f"s3://m/x/n0/data/{number}", "s3://r/aa"),
            started_at=system_clock(),
            **given,
        )

    return make
