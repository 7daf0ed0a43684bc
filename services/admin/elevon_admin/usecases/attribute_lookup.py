"""Which attributes count for a task, a launch, a request: remembered for a moment, so that launching reads nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.attributes import AttributeScope, ResourceType, StoredAttributes
from elevon_admin.execution_ports import LaunchAttributes
from elevon_admin.ports import AttributeRepository, Clock

FRESH = 1_000_000_000
"""Nanoseconds that a project's attributes are remembered; what another replica changed counts after that time."""

_MOST_PROJECTS = 1_000

Settings = Mapping[tuple[int, AttributeScope], StoredAttributes]
"""The settings of one project, by what they set and where."""


class RememberedAttributes:
    """An AttributeRepository that remembers what it has just read, for `settings`; changes made here count at once."""

    def __init__(self, repository: AttributeRepository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._read: OrderedDict[str, tuple[int, Settings]] = OrderedDict()
        self._changes = 0

    async def settings(self, project: str) -> Settings:
        """The settings of a project as they were within the last second."""
        now = self._clock()
        known = self._read.get(project)
        if known is not None and 0 <= now - known[0] < FRESH:
            return known[1]
        changes = self._changes
        stored = await self._repository.of_project(project)
        found = {(each.resource_type, each.scope): each for each in stored}
        if changes == self._changes:
            self._keep(project, now, found)
        return found

    def _keep(self, project: str, now: int, found: Settings) -> None:
        self._read.pop(project, None)
        self._read[project] = (now, found)
        if len(self._read) > _MOST_PROJECTS:
            self._read.popitem(last=False)

    async def of_project(self, project: str) -> Sequence[StoredAttributes]:
        """See AttributeRepository."""
        return await self._repository.of_project(project)

    async def of_type(self, resource_type: int) -> Sequence[StoredAttributes]:
        """See AttributeRepository."""
        return await self._repository.of_type(resource_type)

    async def put(
        self,
        scope: AttributeScope,
        resource_type: int,
        change: Callable[[admin.MatchingAttributes | None], admin.MatchingAttributes],
        now: int,
    ) -> None:
        """See AttributeRepository."""
        try:
            await self._repository.put(scope, resource_type, change, now)
        finally:
            self._forget(scope.project)

    async def delete(self, scope: AttributeScope, resource_type: int) -> None:
        """See AttributeRepository."""
        try:
            await self._repository.delete(scope, resource_type)
        finally:
            self._forget(scope.project)

    def _forget(self, project: str) -> None:
        """Whatever became of the change: a look-up under way must not be kept either."""
        self._changes += 1
        self._read.pop(project, None)


class AttributeLookup:
    """The AttributeSource and PlatformLimits of what is set; `limits` counts where nothing is."""

    def __init__(self, attributes: RememberedAttributes, limits: admin.TaskResourceSpec) -> None:
        self._attributes = attributes
        self._limits = limits

    async def task_resource_limits(self, project: str, domain: str) -> admin.TaskResourceSpec:
        """See PlatformLimits; what is set counts as a whole, nothing of it is taken from the settings."""
        settings = await self._attributes.settings(project)
        found = most_specific(settings, AttributeScope(project, domain), admin.TASK_RESOURCE)
        return self._limits if found is None else found.attributes.task_resource_attributes.limits

    async def for_launch(
        self, project: str, domain: str, workflow: core.Identifier, launch_plan: str
    ) -> LaunchAttributes:
        """See AttributeSource."""
        settings = await self._attributes.settings(project)
        theirs = settings if workflow.project == project else await self._attributes.settings(workflow.project)
        if not settings and not theirs:
            return _NOTHING
        scope = AttributeScope(project, domain, workflow.name, launch_plan)
        overrides = most_specific(settings, scope, admin.PLUGIN_OVERRIDE)
        pool = most_specific(settings, AttributeScope(project, domain), admin.CLUSTER_ASSIGNMENT)
        queue = most_specific(settings, AttributeScope(*scope[:3]), admin.EXECUTION_QUEUE)
        of_workflow = AttributeScope(workflow.project, workflow.domain, workflow.name)
        resources = most_specific(theirs, of_workflow, admin.TASK_RESOURCE)
        return LaunchAttributes(
            execution_configs=_execution_configs(settings, AttributeScope(*scope[:3])),
            plugin_overrides=() if overrides is None else overrides.attributes.plugin_overrides.overrides,
            task_resources=None if resources is None else resources.attributes.task_resource_attributes,
            cluster_pool="" if pool is None else pool.attributes.cluster_assignment.cluster_pool_name,
            queue_tags=() if queue is None else tuple(queue.attributes.execution_queue_attributes.tags),
        )


_NOTHING = LaunchAttributes()


def most_specific(settings: Settings, scope: AttributeScope, resource_type: ResourceType) -> StoredAttributes | None:
    """The one setting that counts in a scope: levels are not merged."""
    for wider in scope.wider():
        found = settings.get((resource_type, wider))
        if found is not None:
            return found
    return None


def _execution_configs(settings: Settings, scope: AttributeScope) -> Sequence[admin.WorkflowExecutionConfig]:
    """The most specific one, then the project's own."""
    found = [
        most_specific(settings, scope, admin.WORKFLOW_EXECUTION_CONFIG),
        settings.get((admin.WORKFLOW_EXECUTION_CONFIG, AttributeScope(scope.project))),
    ]
    distinct = {id(each): each.attributes.workflow_execution_config for each in found if each is not None}
    return tuple(distinct.values())
