"""The workflow and launch plan that let a task be launched by itself; made at the first launch."""

from __future__ import annotations

from elevon_core.errors import AlreadyExists
from elevon_core.inputs import check_default_and_fixed
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.digests import digests, request_digest
from elevon_admin.domain.entities import (
    Digests,
    EntityKey,
    LaunchParts,
    NewEntity,
    NewLaunchPlan,
    StoredLaunchPlan,
    StoredTask,
    StoredWorkflow,
)
from elevon_admin.domain.skeletons import skeleton_key, skeleton_launch_plan, skeleton_workflow
from elevon_admin.ports import Clock, LaunchPlanRepository, WorkflowRepository
from elevon_admin.usecases.registry_reads import RegistryReads
from elevon_admin.usecases.workflows import compiled


class SingleTasks:
    """Makes and finds the skeletons; several callers may ask for the same one at once."""

    def __init__(
        self, reads: RegistryReads, workflows: WorkflowRepository, launch_plans: LaunchPlanRepository, clock: Clock
    ) -> None:
        self._reads = reads
        self._workflows = workflows
        self._launch_plans = launch_plans
        self._clock = clock

    async def launch_parts(self, task: EntityKey) -> LaunchParts:
        """Everything needed to launch the task; raises NotFound for a task that is not registered."""
        key = skeleton_key(task)
        kept = self._reads.kept_parts(key)
        if kept is not None and kept.task_row is not None:
            return kept
        stored = await self._reads.task(task)
        workflow = await self._reads.find_workflow(key) or await self._add_workflow(key, stored)
        plans = await self._reads.launch_plans([key])
        plan = plans.get(key) or await self._add_launch_plan(key, stored, workflow)
        return self._reads.keep_parts(plan, workflow, stored)

    async def _add_workflow(self, key: EntityKey, task: StoredTask) -> StoredWorkflow:
        template = skeleton_workflow(task.compiled.template)
        closure = await compiled(template, [], {task.key: task}, {})
        made = digests(request_digest([template]), closure)
        try:
            workflow = await self._workflows.add(self._generated(key, made), closure)
        except AlreadyExists:
            return await self._reads.workflow(key)
        self._reads.keep_workflow(workflow)
        return workflow

    async def _add_launch_plan(self, key: EntityKey, task: StoredTask, workflow: StoredWorkflow) -> StoredLaunchPlan:
        spec = skeleton_launch_plan(task.key)
        requested = request_digest([key.identifier(core.LAUNCH_PLAN), spec])
        interface = task.compiled.template.interface
        expected = check_default_and_fixed(core.ParameterMap(), core.LiteralMap(), interface.inputs)
        spec.default_inputs.CopyFrom(expected)
        closure = admin.LaunchPlanClosure(expected_inputs=expected, expected_outputs=interface.outputs)
        made = digests(requested, admin.LaunchPlan(id=key.identifier(core.LAUNCH_PLAN), spec=spec, closure=closure))
        plan = NewLaunchPlan(spec, closure, workflow.row, "NONE")
        try:
            return await self._launch_plans.add(self._generated(key, made), plan)
        except AlreadyExists:
            return await self._reads.launch_plan(key)

    def _generated(self, key: EntityKey, made: Digests) -> NewEntity:
        return NewEntity(key, made, self._clock(), name_state=admin.SYSTEM_GENERATED)
