"""Matchable attributes in memory, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from elevon_idl.admin import v1 as admin

from elevon_admin.domain.attributes import AttributeScope, StoredAttributes


class MemoryAttributes:
    """The AttributeRepository that forgets; `reads` counts the look-ups of projects."""

    def __init__(self) -> None:
        self.reads = 0
        self._kept: dict[tuple[AttributeScope, int], StoredAttributes] = {}

    async def of_project(self, project: str) -> Sequence[StoredAttributes]:
        """See AttributeRepository."""
        self.reads += 1
        return [stored for stored in self._kept.values() if stored.scope.project == project]

    async def of_type(self, resource_type: int) -> Sequence[StoredAttributes]:
        """See AttributeRepository."""
        found = [stored for stored in self._kept.values() if stored.resource_type == resource_type]
        return sorted(found, key=lambda stored: (-stored.scope.priority, stored.scope))

    async def put(
        self,
        scope: AttributeScope,
        resource_type: int,
        change: Callable[[admin.MatchingAttributes | None], admin.MatchingAttributes],
        now: int,
    ) -> None:
        """See AttributeRepository."""
        present = self._kept.get((scope, resource_type))
        changed = admin.MatchingAttributes()
        changed.CopyFrom(change(None if present is None else present.attributes))
        self._kept[scope, resource_type] = StoredAttributes(scope, resource_type, changed)

    async def delete(self, scope: AttributeScope, resource_type: int) -> None:
        """See AttributeRepository."""
        self._kept.pop((scope, resource_type), None)
