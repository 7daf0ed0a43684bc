"""Pages, single executions and new ones among a million executions, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager

import pytest
from elevon_client import Client
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from tests.benchmarks import specs
from tests.benchmarks.budgets import Benchmark
from tests.benchmarks.figures import Measurement
from tests.benchmarks.million import copy_executions, copy_nodes
from tests.benchmarks.plane import Bench, Plane, ProcessorTime, register, run, succeeded
from tests.postgres import running_postgres

LISTED = 1_000_000
NODES_EACH, WITH_NODES = 20_000, 10
PAGE = 100
CALLS = 800
BUDGET = 10
"""Milliseconds, of the slowest of a hundred calls."""

RUNS_SECONDS = 0.02
"""Between two new executions, less than one takes to run: some run while another is created."""

DATABASE_VARIABLE = "ELEVON_ADMIN_DATABASE__URL"
POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
"""Every commit is forced to the disk; the rest lets a million rows be written quickly."""

Call = Callable[[], Awaitable[object]]


@asynccontextmanager
async def sqlite(bench: Bench) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """Admin's own database of a data folder: its URL, and the environment that makes admin use it."""
    yield f"sqlite+aiosqlite:///{bench.folder}/data/admin.sqlite", {}


@asynccontextmanager
async def postgresql(bench: Bench) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """A database of a server of its own."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres(POSTGRES_SETTINGS))
        except pytest.fail.Exception as failure:  # no Exception to Python, and no reason to measure nothing else
            raise RuntimeError(str(failure)) from None
        server.run("CREATE DATABASE admin TEMPLATE template0")
        url = f"postgresql+asyncpg://postgres@127.0.0.1:{server.port}/admin"
        yield url, {DATABASE_VARIABLE: url}


async def listing(bench: Bench) -> list[Measurement]:
    """A million executions on SQLite."""
    async with sqlite(bench) as (url, environment):
        return await measured(bench, "SQLite", url, environment)


async def listing_postgresql(bench: Bench) -> list[Measurement]:
    """The same on PostgreSQL."""
    async with postgresql(bench) as (url, environment):
        return await measured(bench, "PostgreSQL", url, environment)


async def measured(bench: Bench, database: str, url: str, environment: Mapping[str, str]) -> list[Measurement]:
    """Fill a database through one execution and copies of it, and measure what is asked of it then."""
    async with bench.control_plane(environment) as (_, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.chain("single", task.id, 1), "a")
        await run(client, specs.execution(plan, a=0))
    bench.progress(f"writing {LISTED:,} executions to {database}")
    await copy_executions(url, LISTED)
    await copy_nodes(url, WITH_NODES, NODES_EACH, attempts=False)
    async with bench.control_plane(environment) as (plane, client):
        bench.progress(f"asking {database}")
        return await figures(plane, client, plan, f"of {LISTED:,} executions, {database}")


async def figures(plane: Plane, client: Client, plan: core.Identifier, of: str) -> list[Measurement]:
    """The rows of one database."""
    newest = request("eq(phase,SUCCEEDED)")
    found = await row(plane, f"list {PAGE} {of}: first page", lambda: full_page(client, newest))
    for where, token in (("middle", LISTED // 2), ("deep", LISTED * 9 // 10)):
        pages = pages_from(client, token)
        await anext(pages)
        found += await row(plane, f"{where} pages, one after the other", pages.__anext__)
    for what in ("eq(user,user7)", "eq(error_kind,SYSTEM)", "eq(admin_tag.name,nightly)", "eq(workflow.name,single)"):
        asked = request(what)
        found += await row(plane, f"first page, {what}", lambda asked=asked: full_page(client, asked))  # type: ignore[misc]  # bound now
    picked = random.Random(1)
    found += await row(plane, f"get one {of}", lambda: get(client, picked.randrange(LISTED)))
    found += await creations(plane, client, plan, f"create one beside {of[3:]}")
    nodes = admin.NodeExecutionListRequest(
        workflow_execution_id=execution_id(1),
        limit=PAGE,
        sort_by=admin.Sort(key="created_at", direction=admin.Sort.ASCENDING),
    )
    what = f"list {PAGE} of {NODES_EACH:,} nodes among {NODES_EACH * WITH_NODES:,}"
    found += await row(plane, what, lambda: client.admin.ListNodeExecutions(nodes))
    jump = request("", str(LISTED * 9 // 10))
    slow = sorted([await timed(lambda: full_page(client, jump)) for _ in range(5)])
    return [*found, Measurement("a deep page by a token that no answer gave, p50", slow[2], "ms", detail=True)]


async def creations(plane: Plane, client: Client, plan: core.Identifier, what: str) -> list[Measurement]:
    """Creating executions: each when the one before has ended, and forty a second that run side by side."""
    numbers, created = itertools.count(), core.WorkflowExecutionIdentifier()

    async def create() -> None:
        created.CopyFrom((await client.admin.CreateExecution(specs.execution(plan, a=next(numbers)))).id)

    async def ended() -> None:
        await succeeded(client, created, interval=0.02)

    found = await row(plane, what, create, between=ended)
    times = await sorted_times(create, lambda: asyncio.sleep(RUNS_SECONDS))
    name = "while others run, started 20 ms apart, p99"
    return [*found, Measurement(name, p99(times), "ms", detail=True)]


async def row(plane: Plane, what: str, call: Call, between: Call | None = None) -> list[Measurement]:
    """What the slowest of a hundred calls takes, and the median."""
    await call()
    spent = ProcessorTime(plane)
    times = await sorted_times(call, between)
    return [
        Measurement(f"{what}, p99", p99(times), "ms", BUDGET, processor=spent.each(CALLS)),
        Measurement("p50", times[CALLS // 2], "ms", detail=True),
    ]


async def sorted_times(call: Call, between: Call | None) -> list[float]:
    """The milliseconds of many calls, the shortest first; what happens before each of them is not counted."""
    times = []
    for _ in range(CALLS):
        if between is not None:
            await between()
        times.append(await timed(call))
    return sorted(times)


def p99(times: list[float]) -> float:
    """The slowest of a hundred, of times that are sorted."""
    return times[len(times) * 99 // 100 - 1]


async def timed(call: Call) -> float:
    """The milliseconds of one call."""
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


def request(filters: str, token: str = "") -> admin.ResourceListRequest:
    """A page of the newest executions."""
    return admin.ResourceListRequest(
        id=admin.NamedEntityIdentifier(project=specs.PROJECT, domain=specs.DOMAIN),
        limit=PAGE,
        filters=filters,
        token=token,
        sort_by=admin.Sort(key="created_at", direction=admin.Sort.DESCENDING),
    )


async def full_page(client: Client, asked: admin.ResourceListRequest) -> str:
    """A page that has to be full; answers the next token."""
    page = await client.admin.ListExecutions(asked)
    if len(page.executions) != PAGE:
        raise AssertionError(f"the page has {len(page.executions)} executions")
    return page.token


async def pages_from(client: Client, offset: int) -> AsyncIterator[str]:
    """Page after page, as a client goes through a list."""
    token = str(offset)
    while True:
        token = await full_page(client, request("", token))
        yield token


async def get(client: Client, number: int) -> admin.Execution:
    """One of the copies."""
    return await client.admin.GetExecution(admin.WorkflowExecutionGetRequest(id=execution_id(number)))


def execution_id(number: int) -> core.WorkflowExecutionIdentifier:
    """The identifier of a copy."""
    return core.WorkflowExecutionIdentifier(project=specs.PROJECT, domain=specs.DOMAIN, name=f"copy{number}")


LISTS: dict[str, Benchmark] = {"listing": listing, "listing-postgresql": listing_postgresql}
