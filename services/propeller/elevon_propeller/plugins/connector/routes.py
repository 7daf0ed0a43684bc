"""Which endpoint serves which task type: what was listed, what is configured, what was known before a restart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from elevon_idl.connector import v1 as connector

from elevon_propeller.plugins.connector.settings import DEFAULT


@dataclass(frozen=True, slots=True, order=True)
class Category:
    """A task type in one version of its rules."""

    name: str
    version: int = 0

    def __str__(self) -> str:
        return f"{self.name!r} version {self.version}"


@dataclass(frozen=True, slots=True)
class Route:
    """Where tasks of a category go, and whether they are answered within the call."""

    endpoint: str
    category: Category
    is_sync: bool


Listing = Mapping[Category, bool]
"""What an endpoint serves: by category, whether it answers within the call."""


class Routes:
    """The routes of all endpoints; a listing stays until the next one that succeeds.

    Where several endpoints serve a category, `assigned` decides by task type, then the endpoint named `default` wins,
    then the first by name.
    """

    def __init__(self, endpoints: Iterable[str], assigned: Mapping[str, str]) -> None:
        self.endpoints = sorted(endpoints, key=lambda name: (name != DEFAULT, name))
        self._assigned = dict(assigned)
        self._listings: dict[str, Listing] = {}
        self._fresh: set[str] = set()
        self.task_types = frozenset(assigned)

    @property
    def unlisted(self) -> list[str]:
        """The endpoints that have not been asked with success since the start."""
        return [name for name in self.endpoints if name not in self._fresh]

    def remember(self, endpoint: str, listing: Listing) -> None:
        """Take what an endpoint served before the restart; it counts as unlisted still."""
        self._listings[endpoint] = listing
        self._count()

    def replace(self, endpoint: str, listing: Listing) -> bool:
        """Take what an endpoint serves now; tells whether that is news."""
        is_news = self._listings.get(endpoint) != listing
        self._fresh.add(endpoint)
        self._listings[endpoint] = listing
        self._count()
        return is_news

    def find(self, category: Category) -> Route | None:
        """Where a category goes, None when nobody is known to serve it."""
        assigned = self._assigned.get(category.name)
        if assigned is not None:
            return Route(assigned, category, self._listings.get(assigned, {}).get(category, False))
        for endpoint in self.endpoints:
            is_sync = self._listings.get(endpoint, {}).get(category)
            if is_sync is not None:
                return Route(endpoint, category, is_sync)
        return None

    def versions(self, name: str) -> list[int]:
        """The versions in which a task type is served."""
        return sorted({each.version for listing in self._listings.values() for each in listing if each.name == name})

    def _count(self) -> None:
        listed = {each.name for listing in self._listings.values() for each in listing}
        self.task_types = frozenset(listed | set(self._assigned))


def listing_of(agents: Sequence[connector.Agent]) -> dict[Category, bool]:
    """What some connectors serve; types of agents without categories, which are older ones, are of version 0."""
    listing: dict[Category, bool] = {}
    for agent in agents:
        served = [Category(each.name, each.version) for each in agent.supported_task_categories]
        for category in served or [Category(name) for name in agent.supported_task_types]:
            if category.name:
                listing[category] = agent.is_sync
    return listing


def packed(listing: Listing) -> bytes:
    """A listing as it is remembered."""
    return json.dumps([[each.name, each.version, is_sync] for each, is_sync in sorted(listing.items())]).encode()


def unpacked(data: bytes) -> dict[Category, bool]:
    """A remembered listing; raises ValueError for bytes that are none."""
    return {Category(str(name), int(version)): bool(is_sync) for name, version, is_sync in json.loads(data)}
