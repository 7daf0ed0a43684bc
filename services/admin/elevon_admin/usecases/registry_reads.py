"""Looking up registered entities by key, as registration, launching and the read calls need them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from elevon_core.errors import Internal, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.entities import (
    KIND_NAMES,
    EntityKey,
    Kind,
    LaunchParts,
    StoredLaunchPlan,
    StoredTask,
    StoredWorkflow,
)
from elevon_admin.ports import LaunchPlanRepository, TaskRepository, WorkflowRepository
from elevon_admin.usecases.entity_cache import EntityCache

_PARTS_SIZE = 4096


class RegistryReads:
    """Reads through a cache of what never changes; what it answers is shared and must not be changed.

    A launch plan's state does change: `launch_plan` and `launch_plans` always read it anew.
    """

    def __init__(
        self,
        tasks: TaskRepository,
        workflows: WorkflowRepository,
        launch_plans: LaunchPlanRepository,
        cache_bytes: int,
    ) -> None:
        self._tasks = tasks
        self._workflows = workflows
        self._launch_plans = launch_plans
        self._kept_tasks: EntityCache[StoredTask] = EntityCache(cache_bytes // 4)
        self._kept_workflows: EntityCache[StoredWorkflow] = EntityCache(cache_bytes // 2)
        self._kept_parts: EntityCache[LaunchParts] = EntityCache(cache_bytes // 4)

    async def task(self, key: EntityKey) -> StoredTask:
        """The task; raises NotFound."""
        found = await self.tasks([key])
        if key not in found:
            raise missing(core.TASK, key)
        return found[key]

    async def tasks(self, keys: Collection[EntityKey]) -> Mapping[EntityKey, StoredTask]:
        """Those of the tasks that exist, with one SELECT for all that are not kept."""
        found: dict[EntityKey, StoredTask] = {}
        unknown: list[EntityKey] = []
        for key in keys:
            kept = self._kept_tasks.get(key)
            if kept is None:
                unknown.append(key)
            else:
                found[key] = kept
        if unknown:
            for key, task in (await self._tasks.get_many(unknown)).items():
                self.keep_task(task)
                found[key] = task
        return found

    async def workflow(self, key: EntityKey) -> StoredWorkflow:
        """The workflow; raises NotFound."""
        found = await self.find_workflow(key)
        if found is None:
            raise missing(core.WORKFLOW, key)
        return found

    async def find_workflow(self, key: EntityKey) -> StoredWorkflow | None:
        """The workflow, or None."""
        found = self._kept_workflows.get(key)
        if found is None:
            found = await self._workflows.get(key)
            if found is not None:
                self.keep_workflow(found)
        return found

    async def launch_plan(self, key: EntityKey) -> StoredLaunchPlan:
        """The launch plan as it is now; raises NotFound."""
        found = await self.launch_plans([key])
        if key not in found:
            raise missing(core.LAUNCH_PLAN, key)
        return found[key]

    async def launch_plans(self, keys: Collection[EntityKey]) -> Mapping[EntityKey, StoredLaunchPlan]:
        """Those of the launch plans that exist, as they are now."""
        return await self._launch_plans.get_many(keys) if keys else {}

    async def launch_parts(self, key: EntityKey) -> LaunchParts:
        """Everything needed to launch a launch plan; raises NotFound."""
        kept = self._kept_parts.get(key)
        if kept is not None:
            return kept
        plan = await self.launch_plan(key)
        workflow_key = EntityKey.of(plan.spec.workflow_id)
        workflow = await self.find_workflow(workflow_key)
        if workflow is None or workflow.row != plan.workflow_row:
            workflow = await self._workflows.get_row(plan.workflow_row)
        if workflow is None:
            raise Internal(f"launch plan {key} refers to a workflow that is not stored: {workflow_key}")
        return self.keep_parts(plan, workflow, None)

    def keep_task(self, task: StoredTask) -> None:
        """Remember a task that is stored."""
        self._kept_tasks.put(task.key, task, task.size)

    def keep_workflow(self, workflow: StoredWorkflow) -> None:
        """Remember a workflow that is stored."""
        self._kept_workflows.put(workflow.key, workflow, workflow.size)

    def kept_parts(self, key: EntityKey) -> LaunchParts | None:
        """The parts under the key of a launch plan, if they are remembered."""
        return self._kept_parts.get(key)

    def keep_parts(self, plan: StoredLaunchPlan, workflow: StoredWorkflow, task: StoredTask | None) -> LaunchParts:
        """Put the parts together and remember them."""
        parts = LaunchParts(
            launch_plan_message(plan), plan.row, workflow.row, workflow.closure, None if task is None else task.row
        )
        self._kept_parts.put(plan.key, parts, _PARTS_SIZE + workflow.size)
        return parts


def missing(kind: Kind, key: EntityKey) -> NotFound:
    """The error for an entity that was asked for by its key."""
    return NotFound(f"missing entity of type {KIND_NAMES[kind]} with identifier {key}")


def launch_plan_message(plan: StoredLaunchPlan) -> admin.LaunchPlan:
    """The launch plan as clients read it: state and times come from the columns."""
    message = admin.LaunchPlan(id=plan.key.identifier(core.LAUNCH_PLAN), spec=plan.spec, closure=plan.closure)
    message.closure.state = admin.LaunchPlanState.ValueType(plan.state)
    message.closure.created_at.FromNanoseconds(plan.created_at)
    message.closure.updated_at.FromNanoseconds(plan.updated_at)
    return message
