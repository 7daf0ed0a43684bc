"""The plugins of a propeller, made from its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from elevon_core.errors import InvalidArgument
from elevon_kit.blobs import BlobStore

from elevon_propeller.plugins.connector.plugin import ConnectorPlugin
from elevon_propeller.plugins.contract import Plugin
from elevon_propeller.plugins.core_sleep import CoreSleepPlugin
from elevon_propeller.plugins.echo import EchoPlugin
from elevon_propeller.plugins.guard import GuardedPlugin
from elevon_propeller.plugins.process.plugin import ProcessPlugin
from elevon_propeller.plugins.registry import Registry, installed_plugins
from elevon_propeller.plugins.settings import PluginSettings
from elevon_propeller.plugins.state import PluginState, PluginStates


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin of another package is given: the blob store, a folder of its own, its options from settings.

    What is in the folder stays on this machine; `state` holds small records, durable and shared by all replicas.
    """

    blobs: BlobStore
    folder: Path
    state: PluginState
    options: Mapping[str, Any] = field(default_factory=dict)


PluginFactory = Callable[[PluginContext], Plugin]
"""What an entry point of the group `elevon.plugins` names."""


def build_registry(settings: PluginSettings, blobs: BlobStore, data_folder: Path, states: PluginStates) -> Registry:
    """All plugins that are configured or installed, not yet opened.

    Raises InvalidArgument when settings name plugins that are absent or do not load, or when two claim one task type.
    """
    plugins: list[Plugin] = [EchoPlugin(settings.echo.delay), CoreSleepPlugin()]
    limit = settings.max_outputs_mib * 1024 * 1024
    if settings.process.enabled:
        offloading = settings.literal_offloading if settings.literal_offloading.enabled else None
        process = ProcessPlugin(settings.process, blobs, data_folder, outputs_limit=limit, offloading=offloading)
        plugins.append(process)
    plugins += _others(settings, blobs, data_folder, states)
    remote = ConnectorPlugin.id if settings.connector.endpoints else ""
    if remote:
        plugins.append(ConnectorPlugin(settings.connector, blobs, states.of(remote), outputs_limit=limit))
    default = settings.default if settings.process.enabled or settings.default != "process" else ""
    return Registry(plugins, default=default, assigned=settings.task_types, remote=remote)


def _others(settings: PluginSettings, blobs: BlobStore, data_folder: Path, states: PluginStates) -> list[Plugin]:
    if settings.extra is not None and not settings.extra:
        return []
    found = installed_plugins(settings.extra or ())
    made: list[Plugin] = []
    for name, entry in sorted(found.items()):
        try:
            factory = cast(PluginFactory, entry.load())
        except Exception as error:
            rule = f"{entry.value} cannot be loaded: {type(error).__name__}: {error}"
            raise InvalidArgument.invalid("plugins.extra", name, rule) from error
        context = PluginContext(blobs, data_folder / "plugins" / name, states.of(name), settings.options.get(name, {}))
        made.append(GuardedPlugin(factory(context)))
    return made
