"""Runs of retention that meet each other, are interrupted, or follow on eviction by somebody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from elevon_admin.domain.retention import BY_SCHEDULE, Remains
from elevon_admin.retention_ports import LeftFiles
from elevon_admin.store.projects import SqlProjects
from elevon_admin.store.retention import SqlRetention
from elevon_admin.usecases.retention import Progress, Retention, RetentionTimes
from elevon_core import naming
from elevon_core.errors import FailedPrecondition, NotFound, Unavailable
from elevon_idl.admin import v1 as admin_v1
from elevon_kit.database import Database
from flyteidl.admin import execution_pb2
from flyteidl.core import catalog_pb2
from flyteidl.event import event_pb2 as events

from tests.integration.admin_executions.harness import (
    DOMAIN,
    NODE,
    PROJECT,
    WORKFLOW,
    execution_id,
    literals,
    serving,
)
from tests.integration.admin_executions.test_retention import Keeper, keeping, own, recovery
from tests.integration.admin_registry.harness import refused

PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
SECOND = 1_000_000_000
SETTLE = 0.4


@dataclass
class Results:
    """Cached results by the place they point at."""

    places: list[str] = field(default_factory=list)
    evicted: asyncio.Event = field(default_factory=asyncio.Event)
    evicted_at: float = 0.0

    async def evict_pointing(self, places: Sequence[str], *, dry_run: bool) -> int:
        """Take out what points at places."""
        found = [place for place in self.places if place in places]
        if not dry_run:
            self.places = [place for place in self.places if place not in places]
            self.evicted_at = time.monotonic()
            self.evicted.set()
        return len(found)

    async def prune(self, project: str, domain: str, age: int, *, dry_run: bool) -> int:
        """Nothing is old."""
        return 0


@dataclass
class Files:
    """Files of executions, with the moment at which they went."""

    gone: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    seconds: float = 0.0
    gate: asyncio.Event | None = None

    async def delete(self, remains: Remains) -> None:
        """Delete them, unless that fails."""
        if self.failures:
            self.failures -= 1
            raise Unavailable("down")
        await asyncio.sleep(self.seconds)
        if self.gate is not None:
            await self.gate.wait()
        self.gone[remains.key.name] = time.monotonic()


@dataclass
class Bench:
    """Retention by hand beside an admin service, with a cache and files that tests look into."""

    keeper: Keeper
    database: Database
    results: Results = field(default_factory=Results)
    files: Files = field(default_factory=Files)

    def retention(self, *, settle: float = SETTLE, lease: float = 30.0, files: LeftFiles | None = None) -> Retention:
        """A Retention as another process would have it."""
        times = RetentionTimes(every=0, lease=round(lease * SECOND), settle_seconds=settle)
        repository, projects = SqlRetention(self.database), SqlProjects(self.database)
        files = files or self.files
        return Retention(repository, projects, (DOMAIN,), files, self.results, time.time_ns, times)

    def cached(self, *names: str) -> None:
        """Have cached results point at what executions have written."""
        self.results.places += [naming.attempt_name(PROJECT, DOMAIN, name, "n0", 0) for name in names]

    async def caching(self, name: str, status: int = catalog_pb2.CACHE_POPULATED) -> None:
        """An execution that has ended, and whose node has stored its result in the cache, or found it there."""
        await self.keeper.ended(name)
        key = execution_id(name)
        of_task = events.TaskNodeMetadata(
            cache_status=status, catalog_key=catalog_pb2.CatalogMetadata(artifact_tag=ARTIFACT)
        )
        await self.keeper.admin.report_node(key, "n1", NODE.RUNNING)
        await self.keeper.admin.report_node(key, "n1", NODE.SUCCEEDED, 1, task_node_metadata=of_task)

    async def runs(self) -> Sequence[admin_v1.RetentionRun]:
        """What was written down, the newest first."""
        answer: admin_v1.ListRetentionRunsResponse = await self.keeper.stub.ListRetentionRuns(
            admin_v1.ListRetentionRunsRequest()
        )
        return answer.runs


ARTIFACT = catalog_pb2.CatalogArtifactTag(artifact_id="a", name="flyte_cached-x")


@pytest.fixture
async def bench(database_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """A service on each database, and what stands for other processes."""
    async with keeping(database_url, tmp_path) as keeper, opened(database_url) as database:
        yield Bench(keeper, database)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def applied(retention: Retention) -> Progress:
    """Apply the rule; how far it came."""
    told = [progress async for progress in retention.apply(PROJECT, DOMAIN, dry_run=False)]
    assert told[-1].done
    return told[-1]


def deletion(name: str) -> admin_v1.DeleteExecutionRequest:
    """A request to delete one execution."""
    return admin_v1.DeleteExecutionRequest(id=own(name))


# -- two at once


async def test_one_run_of_a_rule_at_a_time(bench: Bench) -> None:
    await bench.keeper.ended("x")
    await bench.keeper.put(executions_max_age=1)
    bench.cached("x")
    bench.files.gate = asyncio.Event()
    retention = bench.retention()
    first = asyncio.create_task(applied(retention))
    await bench.results.evicted.wait()
    for other in (retention, bench.retention()):
        with pytest.raises(FailedPrecondition, match="is being applied already"):
            await applied(other)
        assert not await other.apply_if_due(PROJECT, DOMAIN, BY_SCHEDULE)
    bench.files.gate.set()
    assert (await first).counts.executions == 1
    await applied(retention)


async def test_two_deletions_of_one_execution(bench: Bench) -> None:
    await bench.keeper.ended("x")
    bench.files.gate = asyncio.Event()
    retention = bench.retention()
    deletions = asyncio.gather(*(retention.delete_execution(deletion("x")) for _ in range(3)), return_exceptions=True)
    async with asyncio.timeout(60):
        while len(await bench.runs()) < 3:
            await asyncio.sleep(0.01)
    bench.files.gate.set()
    outcomes = await deletions
    deleted = [each for each in outcomes if isinstance(each, admin_v1.DeleteExecutionResponse)]
    assert [each.counts.executions for each in deleted] == [1]
    assert [type(each) for each in outcomes if isinstance(each, Exception)] == [NotFound, NotFound]
    runs = await bench.runs()
    assert sorted((run.counts.executions, bool(run.error)) for run in runs) == [(0, True), (0, True), (1, False)]


async def test_a_deletion_beside_a_rule(bench: Bench) -> None:
    await bench.keeper.ended("x")
    await bench.keeper.put(data_max_age=1)
    bench.files.seconds = 0.1
    both = await asyncio.gather(applied(bench.retention()), applied(bench.retention()), return_exceptions=True)
    assert sum(each.counts.outlines for each in both if isinstance(each, Progress)) == 1


# -- what settles


async def test_files_stay_after_an_eviction_that_was_interrupted(bench: Bench) -> None:
    await bench.keeper.ended("x")
    bench.cached("x")
    interrupted = asyncio.create_task(bench.retention().delete_execution(deletion("x")))
    await bench.results.evicted.wait()
    began = bench.results.evicted_at
    await asyncio.sleep(SETTLE / 4)
    interrupted.cancel()
    await asyncio.wait([interrupted])
    await bench.retention().delete_execution(deletion("x"))
    assert bench.files.gone["x"] - began >= SETTLE * 0.9


async def test_files_stay_after_an_eviction_by_a_run_that_goes_on(bench: Bench) -> None:
    await bench.keeper.ended("x")
    bench.cached("x")
    files = Files()
    first = asyncio.create_task(bench.retention().delete_execution(deletion("x")))
    await bench.results.evicted.wait()
    began = bench.results.evicted_at
    second = asyncio.create_task(bench.retention(files=files).delete_execution(deletion("x")))
    await asyncio.wait([first, second])
    assert all(gone - began >= SETTLE * 0.9 for gone in (*bench.files.gone.values(), *files.gone.values()))


async def test_files_stay_after_an_eviction_by_hand(bench: Bench) -> None:
    await bench.caching("x")
    began = time.monotonic()
    await bench.retention().delete_execution(deletion("x"))
    assert bench.files.gone["x"] - began >= SETTLE * 0.9


async def test_nobody_waits_for_what_has_stored_nothing(bench: Bench) -> None:
    await bench.keeper.ended("x")
    await bench.caching("hit", catalog_pb2.CACHE_HIT)
    async with asyncio.timeout(30):
        for name in ("x", "hit"):
            await bench.retention(settle=60).delete_execution(deletion(name))


# -- runs that end early


async def test_a_run_whose_process_was_killed(bench: Bench) -> None:
    await bench.keeper.ended("x")
    await bench.keeper.put(executions_max_age=1)
    bench.cached("x")
    # Nothing is written any more by a process that was killed: here, its database is closed.
    async with opened(bench.database.url.render_as_string(hide_password=False)) as lost:
        killed = Bench(bench.keeper, lost, bench.results)
        run = asyncio.create_task(applied(killed.retention(settle=10, lease=3.0)))
        evicted = asyncio.create_task(bench.results.evicted.wait())
        await asyncio.wait([run, evicted], return_when=asyncio.FIRST_COMPLETED)
        assert evicted.done()
        async with asyncio.timeout(30):
            while not (await bench.runs())[0].counts.cache_entries:
                await asyncio.sleep(0.01)
    run.cancel()
    await asyncio.wait([run])
    (record,) = await bench.runs()
    assert (record.counts.cache_entries, record.HasField("ended_at")) == (1, False)
    async with asyncio.timeout(60):
        while not await bench.retention().apply_if_due(PROJECT, DOMAIN, BY_SCHEDULE):
            await asyncio.sleep(0.1)
    assert await bench.keeper.names() == set()


async def test_the_right_to_apply_a_rule_is_renewed(bench: Bench) -> None:
    await bench.keeper.ended("x")
    await bench.keeper.put(executions_max_age=1)
    bench.files.gate = asyncio.Event()
    began = time.monotonic()
    run = asyncio.create_task(applied(bench.retention(lease=6.0)))
    while time.monotonic() < began + 8:
        await asyncio.sleep(0.1)
        assert not await bench.retention().apply_if_due(PROJECT, DOMAIN, BY_SCHEDULE)
    bench.files.gate.set()
    assert (await run).counts.executions == 1


async def test_who_asked_for_it(bench: Bench) -> None:
    await bench.keeper.ended("x")
    await bench.keeper.put(executions_max_age=1)
    await bench.keeper.stub.DeleteExecution(deletion("x"))
    await bench.keeper.apply()
    assert [run.principal for run in await bench.runs()] == ["request", "request"]


# -- what is left cannot be run again


def relaunch(name: str) -> execution_pb2.ExecutionRelaunchRequest:
    """A request to run an execution again."""
    return execution_pb2.ExecutionRelaunchRequest(id=execution_id(name))


async def test_an_outline_is_not_run_again(bench: Bench) -> None:
    await bench.keeper.ended("x", WORKFLOW.FAILED)
    await bench.keeper.put(data_max_age=1)
    await bench.keeper.apply()
    words = "the data of execution flytesnacks:development:x was deleted on 20"
    await refused(bench.keeper.admin.stub.RelaunchExecution(relaunch("x")), PRECONDITION, words)
    await refused(bench.keeper.admin.stub.RecoverExecution(recovery("x", "y")), PRECONDITION, "by retention")
    assert await bench.keeper.names() == {"x"}


async def test_what_is_being_deleted_is_not_run_again(bench: Bench) -> None:
    await bench.keeper.ended("x", WORKFLOW.FAILED)
    bench.files.failures = 1
    with pytest.raises(Unavailable):
        await bench.retention().delete_execution(deletion("x"))
    await refused(bench.keeper.admin.stub.RelaunchExecution(relaunch("x")), PRECONDITION, "x is being deleted")


@pytest.mark.parametrize("broken", [None, b"\xff\xff"])
async def test_inputs_that_are_not_readable(database_url: str, tmp_path: Path, broken: bytes | None) -> None:
    async with serving(database_url, tmp_path, data={"inline_bytes": 1}) as admin:
        key = await admin.launch(await admin.register(), "x", literals(a=5))
        await admin.report(key, WORKFLOW.FAILED)
        (file,) = tmp_path.rglob("inputs/*.pb")
        if broken is None:
            file.unlink()
        else:
            file.write_bytes(broken)
        words = "the inputs of execution flytesnacks:development:x are not readable"
        for call in (admin.stub.RelaunchExecution(relaunch("x")), admin.stub.RecoverExecution(recovery("x", "y"))):
            await refused(call, PRECONDITION, words)
