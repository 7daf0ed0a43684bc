"""What operators do: delete, prune, see what is stored; and what the service does by itself from time to time."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument
from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain import validation
from elevon_catalog.domain.names import TagKey
from elevon_catalog.domain.records import PruneRule
from elevon_catalog.ports import CatalogStore, Clock, LeaseStore
from elevon_catalog.usecases.artifacts import EntryRules
from elevon_catalog.usecases.values import Values

PRUNE_BATCH = 1000
LEASES_KEPT = 86_400 * 10**9
"""How long a lease that ran out stays visible to operators, in nanoseconds."""


class Upkeep:
    """What can be done to keep the catalog small."""

    def __init__(
        self, store: CatalogStore, leases: LeaseStore, values: Values, clock: Clock, rules: EntryRules
    ) -> None:
        self._store = store
        self._leases = leases
        self._values = values
        self._clock = clock
        self._rules = rules

    async def delete_artifact(self, request: catalog.DeleteArtifactRequest) -> str:
        """Delete an artifact; answers its id. Raises NotFound."""
        artifact_id = await self._store.delete_artifact(validation.handle(request, dataset_required=True))
        await self._values.sweep_quietly()
        return artifact_id

    async def evict_tag(self, request: catalog.EvictTagRequest) -> str:
        """Delete a tag; answers the id of the artifact that went with it, or "". Raises NotFound."""
        dataset = validation.dataset_key(request.dataset, request.HasField("dataset"))
        artifact_id = await self._store.evict_tag(TagKey(dataset, validation.required(request.tag_name, "tagName")))
        await self._values.sweep_quietly()
        return artifact_id

    async def delete_dataset(self, request: catalog.DeleteDatasetRequest) -> int:
        """Delete a dataset; answers how many artifacts went with it. Raises NotFound."""
        count = await self._store.delete_dataset(validation.dataset_key(request.dataset, request.HasField("dataset")))
        await self._values.sweep_quietly()
        return count

    async def prune(self, request: catalog.PruneArtifactsRequest) -> int:
        """Delete some old or untagged artifacts of a project, or only count all of them; answers how many."""
        project = validation.required(request.project, "project")
        domain = validation.bounded(request.domain, "domain")
        age = validation.duration(request.older_than, request.HasField("older_than"), "older_than")
        if age is None and not request.only_untagged:
            raise InvalidArgument.missing("older_than, or only_untagged")
        written_before = None if age is None else self._clock() - age
        rule = PruneRule(project, domain, written_before, request.only_untagged)
        if request.dry_run:
            return await self._store.count_prunable(rule)
        count = await self._store.prune(rule, PRUNE_BATCH)
        await self._values.sweep_quietly()
        return count

    async def evict_pointing(self, request: catalog.EvictPointingRequest) -> int:
        """Delete all artifacts that point at places, or only count them. Raises InvalidArgument."""
        if not request.places:
            raise InvalidArgument.missing("places")
        wanted = sorted({validation.required(place, f"places[{index}]") for index, place in enumerate(request.places)})
        if request.dry_run:
            return await self._store.count_pointing(wanted)
        count = await self._store.evict_pointing(wanted)
        await self._values.sweep_quietly()
        return count

    async def list_usage(self, request: catalog.ListUsageRequest) -> list[catalog.ProjectUsage]:
        """Tell what each project and domain stores."""
        found = await self._store.list_usage(
            validation.bounded(request.project, "project"), validation.bounded(request.domain, "domain")
        )
        return [
            catalog.ProjectUsage(
                project=usage.project,
                domain=usage.domain,
                datasets=usage.datasets,
                artifacts=usage.artifacts,
                untagged_artifacts=usage.untagged_artifacts,
                value_bytes=usage.value_bytes,
            )
            for usage in found
        ]

    async def tidy(self) -> None:
        """Delete what is over: entries of more than the configured age, old leases, values that nobody names."""
        now = self._clock()
        if self._rules.max_age is not None:
            rule = PruneRule("", "", now - self._rules.max_age, only_untagged=False)
            while await self._store.prune(rule, PRUNE_BATCH) == PRUNE_BATCH:
                continue
        await self._leases.forget(now - LEASES_KEPT)
        while await self._values.sweep():
            continue
