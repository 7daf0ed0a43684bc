"""The `process` plugin: the command of a task's container, run as a process on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from elevon_core.errors import ElevonError, FailedPrecondition, InvalidArgument
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore
from elevon_kit.logging import get_logger
from elevon_kit.retry import ATOMIC
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Leftover, Report, ReportSink
from elevon_propeller.plugins.in_time import in_time
from elevon_propeller.plugins.offloaded import has_offloaded, loaded, reads_offloaded
from elevon_propeller.plugins.process.checkpoints import with_latest_checkpoint
from elevon_propeller.plugins.process.client import ServerLost
from elevon_propeller.plugins.process.copilot import copilot_of, lay_out_inputs, take_outputs
from elevon_propeller.plugins.process.distribution import Distributions
from elevon_propeller.plugins.process.folder import AttemptFolder, Exit, Launch
from elevon_propeller.plugins.process.housekeeping import prune_logs
from elevon_propeller.plugins.process.preparation import Preparation, prepare
from elevon_propeller.plugins.process.refusal import Refusal
from elevon_propeller.plugins.process.servers import ForkServer, ForkServers, python_of
from elevon_propeller.plugins.process.slots import Slots
from elevon_propeller.plugins.process.sweep import sweep
from elevon_propeller.plugins.results import Ending, Examiner
from elevon_propeller.plugins.settings import LiteralOffloadingSettings, ProcessSettings

log = get_logger("process plugin")

_MOST_RUNS = 3
PRUNE_EVERY_SECONDS = 3600.0
_HELD_PAUSE = 0.02
_HELD_TRIES = 50


@dataclass(slots=True)
class _Entry:
    """An attempt this process looks after."""

    owner: str
    sink: ReportSink
    last: Report | None = None
    task: asyncio.Task[None] | None = None
    holds_slot: bool = False

    def report(self, report: Report) -> None:
        self.last = report
        self.sink(report)


@dataclass(slots=True)
class _Folders:
    root: Path

    def of(self, name: str) -> AttemptFolder:
        return AttemptFolder(self.root / "attempts" / name, self.root / "logs" / f"{name}.log")

    def kept(self) -> dict[str, Launch | None]:
        """Names of the attempts that have a folder, with the records of their launches; blocks."""
        try:
            names = sorted(os.listdir(self.root / "attempts"))
        except FileNotFoundError:
            return {}
        return {name: self.of(name).read_launch() for name in names}

    def remove_logs(self, names: Sequence[str]) -> None:
        """Remove the logs of attempts; blocks."""
        for name in names:
            self.of(name).log.unlink(missing_ok=True)

    def prune_logs(self, keep: timedelta) -> None:
        """Remove old logs, but none of an attempt that has a folder: it may be running and silent; blocks."""
        prune_logs(self.root / "logs", keep, set(self.kept()))

    def remove_unused(self) -> None:
        """Remove the folders of attempts that were never launched; to be called while none are being made."""
        for name, launch in self.kept().items():
            if launch is None:
                self.of(name).remove()


@dataclass(slots=True)
class _Parts:
    """What the plugin is made of."""

    folders: _Folders
    servers: ForkServers
    distributions: Distributions
    examiner: Examiner
    slots: Slots = field(default_factory=lambda: Slots(1))


class ProcessPlugin:
    """Runs attempts under fork servers, which outlive this process; see `warm/fork_server.py`.

    What is known of an attempt is in its folder, so that whoever comes next finds it again: a launch record, a lock
    that is held while it lives, an exit record when it has ended. An attempt is launched only when its lock is free
    and a sweep has found nothing of it. Raises FailedPrecondition from `open` when the configured Python is none.
    """

    id = "process"
    task_types = frozenset({"python-task", "container", "raw-container", "sidecar"})

    def __init__(
        self,
        settings: ProcessSettings,
        blobs: BlobStore,
        data_folder: Path,
        *,
        outputs_limit: int = 10 * 1024 * 1024,
        offloading: LiteralOffloadingSettings | None = None,
        clock: Clock = system_clock,
    ) -> None:
        root = (settings.folder or data_folder / "processes").absolute()
        self._settings = settings
        self._offloading = offloading
        self._blobs = blobs
        self._clock = clock
        self._parts = _Parts(
            _Folders(root),
            ForkServers(root / "servers", settings),
            Distributions(root / "distributions", blobs),
            Examiner(blobs, outputs_limit, clock),
            Slots(settings.slots or 2 * (os.cpu_count() or 1)),
        )
        self._entries: dict[str, _Entry] = {}
        self._strangers: Counter[str] = Counter()
        self._warming: asyncio.Task[None] | None = None
        self._background = BackgroundTasks("process plugin")

    async def open(self) -> None:
        """Find running attempts' servers again, tidy up, and begin to warm the usual server."""
        for python in (python_of(self._settings), *self._settings.images.values()):
            if not os.access(python, os.X_OK):
                raise FailedPrecondition(f"plugins.process: {python} is not a Python that can be run")
        await asyncio.to_thread(self._parts.folders.remove_unused)
        await asyncio.to_thread(self._parts.folders.prune_logs, self._settings.keep_logs)
        await asyncio.to_thread(self._parts.distributions.prune, self._settings.keep_distributions)
        await self._parts.servers.open()
        self._background.keep_running(self._prune_logs, "old logs")
        if self._settings.warm_start:
            self._warming = asyncio.create_task(self._warm(), name="warm the fork server")

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Begin an attempt, or find it again; everything else happens in the background."""
        entry = self._entries.get(attempt.name)
        if entry is not None and entry.owner != owner_of(attempt):
            report(self._refuse_stranger(attempt.name, entry.owner))
            return
        if entry is not None:
            entry.sink = report
            if entry.last is not None:
                report(entry.last)
            return
        entry = self._entries[attempt.name] = _Entry(owner_of(attempt), report)
        entry.task = asyncio.create_task(self._look_after(attempt, entry), name=f"attempt {attempt.name}")

    async def abort(self, name: str, reason: str) -> None:
        """Stop an attempt: SIGTERM, grace, SIGKILL; returns when nothing of it runs."""
        if self._was_stranger(name):
            return
        await self._let_go(name)
        await self._end(name, reason)

    async def finalize(self, name: str) -> None:
        """Remove what is on disk of an attempt, but not its log."""
        if self._was_stranger(name):
            return
        entry = self._entries.get(name)
        is_over = entry is not None and entry.last is not None and entry.last.phase.is_final
        await self._let_go(name)
        if not is_over:
            await self._end(name, "finalized")
        await asyncio.to_thread(self._parts.folders.of(name).remove)

    async def leftovers(self) -> list[Leftover]:
        """The folders of attempts nobody has started in this process."""
        kept = await asyncio.to_thread(self._parts.folders.kept)
        return [_leftover(name, launch) for name, launch in kept.items() if launch and name not in self._entries]

    async def forget(self, names: Sequence[str]) -> None:
        """Remove the logs of attempts, as far as they lie on this machine."""
        await asyncio.to_thread(self._parts.folders.remove_logs, names)

    async def detach(self, name: str) -> None:
        """Leave an attempt to the replica that owns it now; its fork server is shared and goes on."""
        if not self._was_stranger(name):
            await self._let_go(name)

    async def close(self) -> None:
        """Let go; attempts keep running when so configured, and are found again by `start`."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        await self._background.stop()
        for name in list(self._entries):
            await self._let_go(name)
        await self._parts.servers.close(kill=not self._settings.keep_running)

    # -- the life of an attempt

    async def _look_after(self, attempt: Attempt, entry: _Entry) -> None:
        try:
            final = await self._run(attempt, entry)
        except Refusal as refusal:
            final = reports.permanent(self._clock(), refusal.code, refusal.message)
        except Exception as error:  # whatever it was, the engine must hear of it and nothing may stay behind
            log.error("attempt failed", attempt=attempt.name, exc_info=error)
            await self._end(attempt.name, "the plugin failed")
            message = error.message if isinstance(error, ElevonError) else f"{type(error).__name__}: {error}"
            final = reports.retryable(self._clock(), "RuntimeExecutionError", message, reports.SYSTEM)
        finally:
            if entry.holds_slot:
                self._parts.slots.give_back()
        entry.report(final)

    async def _run(self, attempt: Attempt, entry: _Entry) -> Report:
        folder = self._parts.folders.of(attempt.name)
        launch = folder.read_launch()
        if launch is not None and launch.owner != entry.owner:
            del self._entries[attempt.name]
            return self._refuse_stranger(attempt.name, launch.owner)
        ended = await self._find(attempt, folder, launch, entry) if launch is not None else None
        if ended is None and launch is not None and launch.runs >= _MOST_RUNS:
            message = f"the task was interrupted {launch.runs} times by the end of its fork server"
            return reports.retryable(self._clock(), "Interrupted", message, reports.SYSTEM)
        if ended is None:
            ended = await self._launch(attempt, folder, launch.runs if launch else 0, entry)
        if ended is None:
            message = "the fork server ended unexpectedly, and the task with it"
            logs = self._logs(attempt, folder)
            return reports.retryable(self._clock(), "Interrupted", message, reports.SYSTEM, logs=logs)
        return await self._conclude(attempt, folder, ended)

    async def _find(self, attempt: Attempt, folder: AttemptFolder, launch: Launch, entry: _Entry) -> Exit | None:
        """The end of an attempt that was launched before, awaited if it lives; None when it is surely dead."""
        found = await self._attach(attempt.name, folder, launch)
        if not isinstance(found, asyncio.Future):
            return found
        self._hold_slot(attempt, entry)
        self._running(attempt, folder, entry)
        return await self._await_end(attempt.name, folder, launch, found)

    async def _attach(self, name: str, folder: AttemptFolder, launch: Launch) -> asyncio.Future[Exit] | Exit | None:
        """The future end of a living attempt, the end of an ended one, or None when it is surely dead."""
        server = await self._parts.servers.reconnect(launch.server, launch.identity)
        if server is not None:
            with contextlib.suppress(ServerLost):
                end = server.client.expect(name)
                answer = await server.client.launch(name, folder.path, None)
                if answer["state"] == "running":
                    return end
                end.cancel()
                return Exit(**answer["exit"]) if answer["state"] == "exited" else None
        return await self._dead(name, folder)

    async def _launch(self, attempt: Attempt, folder: AttemptFolder, runs: int, entry: _Entry) -> Exit | None:
        """Run an attempt to its end; None when its server died with it."""
        attempt = replace(attempt, paths=await with_latest_checkpoint(attempt.paths, self._blobs))
        attempt = await self._with_readable_inputs(attempt)
        preparation = prepare(attempt, folder, self._settings, self._offloading)
        await self._take_slot(attempt, entry)
        await in_time(attempt)
        await self._write_inputs(attempt, preparation, again=runs > 0)
        folder.create()
        if preparation.command.distribution:
            await self._parts.distributions.place(preparation.command.distribution, folder.work)
        if preparation.copilot is not None:
            await lay_out_inputs(preparation.copilot, attempt.inputs, self._blobs)
        server = await self._parts.servers.for_python(preparation.python)
        if preparation.command.entry and server.trouble:
            raise Refusal("FlytekitNotFound", _without_flytekit(preparation.python, server))
        launch = Launch(owner_of(attempt), server.key, server.identity, runs + 1)
        await in_time(attempt)
        folder.write_launch(launch)
        end = server.client.expect(attempt.name)
        try:
            ended = await self._send(attempt, folder, server, preparation)
        except ServerLost:
            return await self._dead(attempt.name, folder)
        except BaseException:
            end.cancel()
            raise
        if ended is not None:
            end.cancel()
            return ended
        self._running(attempt, folder, entry)
        return await self._await_end(attempt.name, folder, launch, end)

    async def _with_readable_inputs(self, attempt: Attempt) -> Attempt:
        """The attempt with all inputs in place, if what it runs would not look for them in files of their own."""
        if not has_offloaded(attempt.inputs):
            return attempt
        if reads_offloaded(attempt.task) and copilot_of(attempt.task, Path()) is None:
            return attempt
        try:
            return replace(attempt, inputs=await loaded(attempt.inputs, self._blobs))
        except InvalidArgument as error:
            raise Refusal("InputDownloadFailed", error.message) from error

    async def _send(
        self, attempt: Attempt, folder: AttemptFolder, server: ForkServer, preparation: Preparation
    ) -> Exit | None:
        """Have an attempt launched; answers its end only if it has ended already."""
        name, tries = attempt.name, _HELD_TRIES
        while tries:
            answer = await server.client.launch(name, folder.path, preparation.spec(), attempt.until())
            if answer["state"] == "late":
                await in_time(attempt)
                continue
            tries -= 1
            if answer["state"] == "running":
                return None
            if answer["state"] == "exited":
                return Exit(**answer["exit"])
            await asyncio.to_thread(sweep, folder)
            await asyncio.sleep(_HELD_PAUSE)
        raise FailedPrecondition(f"something holds the lock of attempt {name} and cannot be killed")

    async def _await_end(
        self, name: str, folder: AttemptFolder, launch: Launch, end: asyncio.Future[Exit]
    ) -> Exit | None:
        """Wait for the end, across lost connections; None when the server died with the attempt."""
        while True:
            try:
                return await asyncio.shield(end)
            except ServerLost:
                found = await self._attach(name, folder, launch)
            if not isinstance(found, asyncio.Future):
                return found
            end = found

    async def _dead(self, name: str, folder: AttemptFolder) -> Exit | None:
        """See to it that nothing lives of an attempt without a server; answers its end if it was recorded."""
        if not await asyncio.to_thread(sweep, folder):
            raise FailedPrecondition(f"processes of attempt {name} cannot be killed")
        return folder.read_exit()

    async def _conclude(self, attempt: Attempt, folder: AttemptFolder, ended: Exit) -> Report:
        copilot = copilot_of(attempt.task, folder.path)
        if copilot is not None and ended.code >= 0:
            await take_outputs(copilot, attempt, self._blobs, succeeded=ended.code == 0)
        tail = await asyncio.to_thread(folder.log_tail) if ended.code else ""
        ending = Ending(ended.code, ended.out_of_memory, tail)
        return await self._parts.examiner.conclude(attempt, ending, self._logs(attempt, folder))

    # -- names that collide: they are hashes, and executions of different projects may have one name

    def _refuse_stranger(self, name: str, owner: str) -> Report:
        self._strangers[name] += 1
        message = f"another attempt, {owner}, has the same name {name} and is not finalized"
        return reports.retryable(self._clock(), "NameCollision", message, reports.SYSTEM)

    def _was_stranger(self, name: str) -> bool:
        """Whether the next word about a name is meant for an attempt that was refused, not for the one that runs."""
        if not self._strangers[name]:
            del self._strangers[name]
            return False
        self._strangers[name] -= 1
        return True

    # -- pieces

    async def _take_slot(self, attempt: Attempt, entry: _Entry) -> None:
        slots = self._parts.slots
        if entry.holds_slot or attempt.task.metadata.is_eager:
            return  # an eager workflow waits for tasks that need slots: with slots of their own they would lock up
        if not slots.take_if_free():
            reason = f"waiting for one of {slots.size} places, {slots.waiting} attempts before it"
            entry.report(Report(AttemptPhase.QUEUED, self._clock(), reason=reason))
            await slots.take()
        entry.holds_slot = True

    def _hold_slot(self, attempt: Attempt, entry: _Entry) -> None:
        if not entry.holds_slot and not attempt.task.metadata.is_eager:
            self._parts.slots.take_by_force()
            entry.holds_slot = True

    async def _write_inputs(self, attempt: Attempt, preparation: Preparation, *, again: bool) -> None:
        paths = attempt.paths
        if again:  # what an interrupted run wrote must not be taken for the result of the next
            for uri in (paths.outputs, paths.error, paths.futures, paths.deck):
                await ATOMIC.run(partial(self._blobs.delete, uri), what="delete an old result")
        if not attempt.shares_inputs_file:
            inputs = attempt.inputs.SerializeToString(deterministic=True)
            await ATOMIC.run(lambda: self._blobs.write(paths.inputs, inputs), what="write inputs")
        if preparation.needs_task_template:
            template = attempt.task.SerializeToString(deterministic=True)
            await ATOMIC.run(lambda: self._blobs.write(paths.task_template, template), what="write the task")

    def _running(self, attempt: Attempt, folder: AttemptFolder, entry: _Entry) -> None:
        entry.report(Report(AttemptPhase.RUNNING, self._clock(), logs=self._logs(attempt, folder)))

    def _logs(self, attempt: Attempt, folder: AttemptFolder) -> tuple[core.TaskLog, ...]:
        uri = self._settings.log_link.format(path=folder.log, name=attempt.name)
        return (core.TaskLog(uri=uri, name="Task Log"),)

    async def _let_go(self, name: str) -> None:
        """Stop looking after an attempt; it may go on."""
        entry = self._entries.pop(name, None)
        if entry is not None and entry.task is not None:
            entry.task.cancel()
            await asyncio.wait([entry.task])

    async def _end(self, name: str, reason: str) -> None:
        """End whatever runs of an attempt; returns when nothing does."""
        folder = self._parts.folders.of(name)
        launch = folder.read_launch()
        if launch is None:
            return
        server = await self._parts.servers.reconnect(launch.server, launch.identity)
        if server is not None:
            with contextlib.suppress(ServerLost):
                await server.client.stop(name, reason, self._settings.kill_grace.total_seconds())
                return
        await self._dead(name, folder)

    async def _prune_logs(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY_SECONDS)
            await asyncio.to_thread(self._parts.folders.prune_logs, self._settings.keep_logs)

    async def _warm(self) -> None:
        try:
            await self._parts.servers.for_python(python_of(self._settings))
        except ElevonError as error:
            log.error("the fork server does not start", error=error.message)


def owner_of(attempt: Attempt) -> str:
    """Whose an attempt is; names alone are hashes and may collide."""
    execution = attempt.execution_id
    return f"{execution.project}/{execution.domain}/{execution.name}/{attempt.node_id}/{attempt.number}"


def _leftover(name: str, launch: Launch) -> Leftover:
    project, domain, execution, rest = launch.owner.split("/", 3)
    node_id, _, number = rest.rpartition("/")
    return Leftover(name, project, domain, execution, node_id, int(number))


def _without_flytekit(python: Path, server: ForkServer) -> str:
    return (
        f"flytekit cannot be imported by {python} ({server.trouble}); install it there, or set plugins.process.python "
        "to the interpreter of an environment that has flytekit and what the tasks import"
    )
