"""Between the engine and plugins of other packages: whatever these do, one attempt fails and says why."""

from __future__ import annotations

from collections.abc import Sequence

from elevon_idl.core import v1 as core
from elevon_kit.logging import get_logger

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.contract import (
    Attempt,
    AttemptPhase,
    KeepsLeftovers,
    KeepsRecords,
    Leftover,
    Plugin,
    Report,
    ReportSink,
)
from elevon_propeller.plugins.results import is_item, mismatch

log = get_logger("plugins")


class PluginMisbehaved(Exception):
    """A plugin raised what would end the process, or something no plugin may raise."""


class GuardedPlugin:
    """Hands everything on to a plugin, and checks what comes back.

    What is no report, or a success with outputs that do not fit the task, becomes a failure of the attempt. After a
    final report nothing more is heard of it. Exceptions that are no `Exception`, such as SystemExit, are told as
    PluginMisbehaved.
    """

    def __init__(self, plugin: Plugin, clock: Clock = system_clock) -> None:
        self._plugin = plugin
        self._clock = clock

    @property
    def id(self) -> str:
        """The plugin's own."""
        return self._plugin.id

    @property
    def task_types(self) -> frozenset[str]:
        """The plugin's own."""
        return self._plugin.task_types

    async def open(self) -> None:
        """Open the plugin."""
        await self._plugin.open()

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Start an attempt; see `Plugin`."""
        ended = False

        def checked(seen: Report) -> None:
            nonlocal ended
            if ended:
                log.warning("a plugin reports of an attempt that has ended", plugin=self.id, attempt=attempt.name)
                return
            sound = self._checked(attempt, seen)
            ended = sound.phase.is_final
            report(sound)

        try:
            await self._plugin.start(attempt, checked)
        except SystemExit as leaving:
            raise self._misbehaved("start", leaving) from leaving

    async def abort(self, name: str, reason: str) -> None:
        """Stop an attempt."""
        try:
            await self._plugin.abort(name, reason)
        except SystemExit as leaving:
            raise self._misbehaved("abort", leaving) from leaving

    async def finalize(self, name: str) -> None:
        """Let go of an attempt."""
        try:
            await self._plugin.finalize(name)
        except SystemExit as leaving:
            raise self._misbehaved("finalize", leaving) from leaving

    async def detach(self, name: str) -> None:
        """Stop looking after an attempt."""
        try:
            await self._plugin.detach(name)
        except SystemExit as leaving:
            raise self._misbehaved("detach", leaving) from leaving

    async def leftovers(self) -> list[Leftover]:
        """What the plugin says is left over; nothing when it keeps nothing."""
        return await self._plugin.leftovers() if isinstance(self._plugin, KeepsLeftovers) else []

    async def forget(self, names: Sequence[str]) -> None:
        """Have what is kept of attempts deleted, if the plugin keeps anything."""
        if isinstance(self._plugin, KeepsRecords):
            await self._plugin.forget(names)

    async def close(self) -> None:
        """Close the plugin."""
        await self._plugin.close()

    def _misbehaved(self, where: str, leaving: SystemExit) -> PluginMisbehaved:
        return PluginMisbehaved(f"plugin {self.id!r} tried to end the process in {where}: SystemExit({leaving.code!r})")

    def _checked(self, attempt: Attempt, seen: object) -> Report:
        if not isinstance(seen, Report) or not isinstance(seen.phase, AttemptPhase):
            message = f"plugin {self.id!r} reported {_shown(seen)}, which is no Report"
            return reports.retryable(self._clock(), "PluginReportInvalid", message, reports.SYSTEM)
        if seen.phase is AttemptPhase.SUCCEEDED and seen.futures is None:
            return self._fitting(attempt, seen)
        if seen.phase.is_final and seen.phase is not AttemptPhase.SUCCEEDED and seen.error is None:
            message = f"plugin {self.id!r} reported a failure and gave no error; {seen.reason or 'it gave no reason'}"
            return reports.retryable(self._clock(), "UnknownError", message, reports.SYSTEM)
        return seen

    def _fitting(self, attempt: Attempt, seen: Report) -> Report:
        outputs = seen.outputs if isinstance(seen.outputs, core.LiteralMap) else core.LiteralMap()
        problem = mismatch(outputs, attempt.task.interface.outputs.variables, item=is_item(attempt))
        if not problem:
            return seen
        message = f"plugin {self.id!r} reported outputs that do not fit the interface: {problem}"
        return reports.permanent(self._clock(), "OutputsTypeMismatch", message, reports.SYSTEM)


def _shown(seen: object) -> str:
    return repr(seen)[:200]
