"""What launching takes from the registry."""

from __future__ import annotations

from elevon_core.errors import NotFound
from elevon_idl.core import v1 as core

from elevon_admin.domain.entities import EntityKey, LaunchParts
from elevon_admin.ports import WorkflowRepository
from elevon_admin.usecases.entity_cache import EntityCache
from elevon_admin.usecases.registry_reads import RegistryReads
from elevon_admin.usecases.single_tasks import SingleTasks


class RegistrySource:
    """The LaunchSource of the registry."""

    def __init__(
        self, reads: RegistryReads, single_tasks: SingleTasks, workflows: WorkflowRepository, cache_bytes: int
    ) -> None:
        self._reads = reads
        self._single_tasks = single_tasks
        self._workflows = workflows
        self._kept: EntityCache[core.CompiledWorkflowClosure] = EntityCache(cache_bytes)

    async def launch_plan(self, identifier: core.Identifier) -> LaunchParts:
        """See LaunchSource."""
        return await self._reads.launch_parts(EntityKey.of(identifier))

    async def task(self, identifier: core.Identifier) -> LaunchParts:
        """See LaunchSource."""
        return await self._single_tasks.launch_parts(EntityKey.of(identifier))

    async def workflow(self, row: int) -> core.CompiledWorkflowClosure:
        """See LaunchSource."""
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        stored = await self._workflows.get_row(row)
        if stored is None:
            raise NotFound(f"workflow of row {row} is not stored")
        self._kept.put(row, stored.closure, stored.size)
        return stored.closure
