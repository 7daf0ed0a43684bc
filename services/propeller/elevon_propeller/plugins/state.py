"""What plugins remember of attempts that run elsewhere: the port, and its implementation in memory."""

from __future__ import annotations

from typing import Protocol


class PluginState(Protocol):
    """Small records of one plugin, by key; durable once written, and shared by all replicas of propeller.

    Records stay until they are deleted: a plugin that keeps them for attempts also `KeepsLeftovers`. Every method
    raises Unavailable when the database is out of reach.
    """

    async def read(self, key: str) -> bytes | None:
        """The record of a key, None when there is none."""

    async def write(self, key: str, data: bytes) -> None:
        """Keep a record instead of the one before."""

    async def delete(self, key: str) -> None:
        """Forget a record; one that is not there is fine."""

    async def find(self, prefix: str) -> dict[str, bytes]:
        """The records whose keys begin with a prefix that has no `%` and no `_`."""


class PluginStates(Protocol):
    """The records of all plugins."""

    def of(self, plugin_id: str) -> PluginState:
        """The records of one plugin."""


class MemoryPluginStates:
    """Keeps records in memory: they outlive the plugin, not the process."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, bytes]] = {}

    def of(self, plugin_id: str) -> MemoryPluginState:
        """The records of one plugin."""
        return MemoryPluginState(self._records.setdefault(plugin_id, {}))


class MemoryPluginState:
    """The records of one plugin, in memory."""

    def __init__(self, records: dict[str, bytes] | None = None) -> None:
        self.records = {} if records is None else records

    async def read(self, key: str) -> bytes | None:
        """The record of a key."""
        return self.records.get(key)

    async def write(self, key: str, data: bytes) -> None:
        """Keep a record."""
        self.records[key] = data

    async def delete(self, key: str) -> None:
        """Forget a record."""
        self.records.pop(key, None)

    async def find(self, prefix: str) -> dict[str, bytes]:
        """The records whose keys begin with a prefix."""
        return {key: data for key, data in self.records.items() if key.startswith(prefix)}
