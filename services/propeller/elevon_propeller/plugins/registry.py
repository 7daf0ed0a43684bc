"""Which plugin runs a task type: overrides, then configuration, then the plugins' own claims, then the default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

from elevon_core.errors import InvalidArgument, Unavailable
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.logging import get_logger

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.contract import Attempt, KeepsRecords, Plugin, ReportSink

log = get_logger("plugins")

ENTRY_POINT_GROUP = "elevon.plugins"
"""Third parties announce plugins under this group; see `installed_plugins`."""


class Registry:
    """The plugins of this process, by id and by task type.

    `default` is the id of the plugin for task types nobody claims, empty for none; of these, tasks without a target of
    their own (a container, a pod) go to `remote`, which may come to serve them. `assigned` maps task types to plugin
    ids and decides where two plugins claim one type; otherwise the first one wins that claims it.
    Raises InvalidArgument when an id is unknown or used twice, or when a type is claimed twice from the start and not
    assigned.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin],
        default: str = "",
        assigned: Mapping[str, str] | None = None,
        clock: Clock = system_clock,
        remote: str = "",
    ) -> None:
        self._plugins: dict[str, Plugin] = {}
        for plugin in plugins:
            if plugin.id in self._plugins:
                raise InvalidArgument.invalid("plugins", plugin.id, "two plugins have this id")
            self._plugins[plugin.id] = plugin
        self._assigned = {
            task_type: self._known(plugin_id, f"plugins.task_types[{task_type}]")
            for task_type, plugin_id in (assigned or {}).items()
        }
        self._default = self._known(default, "plugins.default") if default else None
        self._remote = self._known(remote, "remote") if remote else None
        self._clock = clock
        self._check_claims()

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins, in the order given."""
        return tuple(self._plugins.values())

    def resolve(
        self, task_type: str, overrides: Sequence[admin.PluginOverride] = (), template: core.TaskTemplate | None = None
    ) -> Plugin:
        """The plugin for a task type; never fails.

        Where nothing fits, the answer is a plugin that reports a permanent failure saying why. Claims are asked for
        each time, because connectors may come to serve more types while running. To start an attempt, give its
        `template`; without one the answer is good for ending an attempt that may have been started by a restarted
        process, and may stand for two plugins.
        """
        for override in overrides:
            if override.task_type == task_type:
                chosen = self._overridden(override)
                if chosen is not None:
                    return chosen
        return self._assigned.get(task_type) or self._claimant(task_type) or self._fallback(task_type, template)

    async def open(self) -> None:
        """Open every plugin, in order."""
        for plugin in self.plugins:
            await plugin.open()

    async def close(self) -> None:
        """Close every plugin, last first."""
        for plugin in reversed(self.plugins):
            await plugin.close()

    async def forget(self, names: Sequence[str]) -> None:
        """Have every plugin delete what it keeps of attempts after their end.

        Raises Unavailable when one cannot at the moment. What else goes wrong is told in the log: records that stay
        must not keep an execution from being deleted.
        """
        for plugin in self.plugins:
            if isinstance(plugin, KeepsRecords):
                try:
                    await plugin.forget(names)
                except Unavailable:
                    raise
                except Exception as error:
                    log.error("records of attempts stay", plugin=plugin.id, exc_info=error)

    def _known(self, plugin_id: str, field: str) -> Plugin:
        plugin = self._plugins.get(plugin_id)
        if plugin is None:
            raise InvalidArgument.invalid(field, plugin_id, f"no such plugin; there are {sorted(self._plugins)}")
        return plugin

    def _check_claims(self) -> None:
        claims: dict[str, str] = {}
        for plugin in self.plugins:
            for task_type in plugin.task_types:
                if task_type in self._assigned:
                    continue
                other = claims.setdefault(task_type, plugin.id)
                if other != plugin.id:
                    raise InvalidArgument.invalid(
                        "plugins.task_types", task_type, f"claimed by {other} and {plugin.id}: assign it to one of them"
                    )

    def _overridden(self, override: admin.PluginOverride) -> Plugin | None:
        for plugin_id in override.plugin_id:
            if plugin_id in self._plugins:
                return self._plugins[plugin_id]
        if override.missing_plugin_behavior == admin.PluginOverride.USE_DEFAULT:
            return None
        return RefusingPlugin(
            f"the plugin override for task type {override.task_type!r} names {list(override.plugin_id)}, "
            f"and none of them is loaded; there are {sorted(self._plugins)}",
            self._clock,
        )

    def _claimant(self, task_type: str) -> Plugin | None:
        return next((plugin for plugin in self.plugins if task_type in plugin.task_types), None)

    def _fallback(self, task_type: str, template: core.TaskTemplate | None) -> Plugin:
        if self._remote is not None:
            if self._default is None or (template is not None and template.WhichOneof("target") is None):
                return self._remote
            if template is None:
                return Either((self._default, self._remote))
        if self._default is not None:
            return self._default
        return RefusingPlugin(
            f"no plugin runs tasks of type {task_type!r}; there are {sorted(self._plugins)}", self._clock
        )


class Either:
    """Stands for several plugins, one of which may have an attempt: names that a plugin does not know are fine."""

    id = "either"
    task_types: frozenset[str] = frozenset()

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)

    async def open(self) -> None:
        """They are open."""

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Start with the first one."""
        await self._plugins[0].start(attempt, report)

    async def abort(self, name: str, reason: str) -> None:
        """Stop an attempt, whoever has it."""
        for plugin in self._plugins:
            await plugin.abort(name, reason)

    async def finalize(self, name: str) -> None:
        """Let go of an attempt, whoever has it."""
        for plugin in self._plugins:
            await plugin.finalize(name)

    async def detach(self, name: str) -> None:
        """Stop looking after an attempt, whoever has it."""
        for plugin in self._plugins:
            await plugin.detach(name)

    async def close(self) -> None:
        """They are closed by whoever opened them."""


class RefusingPlugin:
    """Stands in where no plugin fits: every attempt fails for good with `UnsupportedTaskType` and the given message."""

    id = "none"
    task_types: frozenset[str] = frozenset()

    def __init__(self, message: str, clock: Clock = system_clock) -> None:
        self._message = message
        self._clock = clock

    async def open(self) -> None:
        """Nothing to prepare."""

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Refuse."""
        report(reports.permanent(self._clock(), "UnsupportedTaskType", self._message))

    async def abort(self, name: str, reason: str) -> None:
        """Nothing runs."""

    async def finalize(self, name: str) -> None:
        """Nothing is kept."""

    async def detach(self, name: str) -> None:
        """Nothing is looked after."""

    async def close(self) -> None:
        """Nothing to let go of."""


def installed_plugins(enabled: Sequence[str] = ()) -> dict[str, EntryPoint]:
    """The plugins third parties installed, by name; `enabled` narrows them, empty means all.

    Each entry point names a callable that takes a `PluginContext` and returns a Plugin.
    """
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    missing = sorted(set(enabled) - set(found))
    if missing:
        raise InvalidArgument.invalid("plugins.extra", missing, f"not installed; there are {sorted(found)}")
    return {name: entry for name, entry in found.items() if not enabled or name in enabled}
