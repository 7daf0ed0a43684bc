"""Registering, activating and reading launch plans."""

from __future__ import annotations

import asyncio

from elevon_core.errors import AlreadyExists, ElevonError, InvalidArgument, NotFound
from elevon_core.identifiers import validate_identifier
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.digests import digests, request_digest
from elevon_admin.domain.entities import (
    Digests,
    EntityKey,
    NewEntity,
    NewLaunchPlan,
    Standing,
    StoredWorkflow,
    check_reference,
)
from elevon_admin.domain.launch_plan_rules import expected_inputs
from elevon_admin.domain.paging import cut, parse_page
from elevon_admin.domain.schedules import schedule_type
from elevon_admin.domain.sorting import parse_sort
from elevon_admin.ports import Clock, LaunchPlanRepository
from elevon_admin.usecases.conflicts import different, identical
from elevon_admin.usecases.listing import checked_scope, resource_listing
from elevon_admin.usecases.projects import Projects
from elevon_admin.usecases.registry_reads import RegistryReads, launch_plan_message
from elevon_admin.usecases.resource_types import with_type
from elevon_admin.usecases.workflows import BYTES_COMPILED_IN_PLACE


class LaunchPlans:
    """The launch plans of the registry."""

    def __init__(
        self,
        launch_plans: LaunchPlanRepository,
        reads: RegistryReads,
        projects: Projects,
        most_labels: int,
        clock: Clock,
    ) -> None:
        self._launch_plans = launch_plans
        self._reads = reads
        self._projects = projects
        self._most_labels = most_labels
        self._clock = clock

    async def create(self, request: admin.LaunchPlanCreateRequest) -> None:
        """Register an inactive launch plan; a repeated request costs one look-up.

        Raises NotFound for an unknown workflow, InvalidArgument for what is wrong or differs from what is registered
        under the id, AlreadyExists for a repetition.
        """
        workflow = await self._workflow(request.spec.workflow_id)
        validate_identifier(request.id, core.LAUNCH_PLAN)
        key = EntityKey.of(request.id)
        standing = await self._launch_plans.standing(key)
        self._projects.check_state(key.project, standing.project_state, key.domain)
        if not request.HasField("spec"):
            raise InvalidArgument.missing("spec")
        validate_identifier(request.spec.workflow_id, core.WORKFLOW, "workflow_id")
        if workflow is None:
            raise InvalidArgument.missing("workflow_id")
        requested = request_digest([request.id, request.spec])
        if standing.existing is not None and standing.existing.request == requested:
            raise identical(core.LAUNCH_PLAN, key)
        plan = await self._checked(request.spec, workflow)
        made = digests(requested, _digested(key, plan))
        if standing.existing is not None:
            raise await self._conflict(key, standing, plan, made)
        await self._add(key, plan, made)

    async def _workflow(self, identifier: core.Identifier) -> StoredWorkflow | None:
        """The workflow, looked for before anything else is checked; None when the reference itself is incomplete."""
        key = EntityKey.of(identifier)
        check_reference(key, "workflow_id")
        return await self._reads.workflow(key) if all(key) else None

    async def _checked(self, spec: admin.LaunchPlanSpec, workflow: StoredWorkflow) -> NewLaunchPlan:
        """`_complete`, in a thread where the types are so large that other calls would wait for them."""
        size = spec.ByteSize() + workflow.closure.primary.template.interface.ByteSize()
        if size <= BYTES_COMPILED_IN_PLACE:
            return self._complete(spec, workflow)
        return await asyncio.to_thread(self._complete, spec, workflow)

    def _complete(self, spec: admin.LaunchPlanSpec, workflow: StoredWorkflow) -> NewLaunchPlan:
        """The plan to store: its default inputs become everything that its executions expect."""
        interface = workflow.closure.primary.template.interface
        expected = expected_inputs(spec, interface, self._most_labels)
        completed = admin.LaunchPlanSpec()
        completed.CopyFrom(spec)
        completed.default_inputs.CopyFrom(expected)
        closure = admin.LaunchPlanClosure(expected_inputs=expected, expected_outputs=interface.outputs)
        return NewLaunchPlan(completed, closure, workflow.row, schedule_type(spec.entity_metadata.schedule))

    async def _add(self, key: EntityKey, plan: NewLaunchPlan, made: Digests) -> None:
        try:
            await self._launch_plans.add(NewEntity(key, made, self._clock()), plan)
        except AlreadyExists:
            raise await self._conflict(key, await self._launch_plans.standing(key), plan, made) from None

    async def _conflict(self, key: EntityKey, standing: Standing, plan: NewLaunchPlan, made: Digests) -> ElevonError:
        if standing.existing is not None and standing.existing.structure == made.structure:
            return identical(core.LAUNCH_PLAN, key)
        stored = await self._reads.launch_plan(key)
        before = admin.LaunchPlan(spec=stored.spec, closure=stored.closure)
        return different(core.LAUNCH_PLAN, key, before, admin.LaunchPlan(spec=plan.spec, closure=plan.closure))

    async def update(self, request: admin.LaunchPlanUpdateRequest) -> None:
        """Activate or deactivate a version; at most one of a name is active, repeating does no harm.

        Raises InvalidArgument and NotFound. An id without resource type is taken for a launch plan's.
        """
        validate_identifier(with_type(request.id, core.LAUNCH_PLAN), core.LAUNCH_PLAN)
        key = EntityKey.of(request.id)
        if request.state == admin.ACTIVE:
            await self._launch_plans.activate(key, self._clock())
        elif request.state == admin.INACTIVE:
            await self._launch_plans.deactivate(key, self._clock())
        else:
            raise InvalidArgument.invalid("state", request.state, "must be INACTIVE or ACTIVE")

    async def get(self, identifier: core.Identifier) -> admin.LaunchPlan:
        """The launch plan; raises InvalidArgument and NotFound."""
        validate_identifier(with_type(identifier, core.LAUNCH_PLAN), core.LAUNCH_PLAN)
        return launch_plan_message(await self._reads.launch_plan(EntityKey.of(identifier)))

    async def get_active(self, request: admin.ActiveLaunchPlanRequest) -> admin.LaunchPlan:
        """The active version of a name; raises InvalidArgument and NotFound."""
        if not request.HasField("id"):
            raise InvalidArgument.missing("id")
        scope = checked_scope(request.id.project, request.id.domain, request.id.name)
        if not scope.name:
            raise InvalidArgument.missing("name")
        found = await self._launch_plans.active(*scope)
        if found is None:
            raise NotFound(f"No active launch plan could be found: {':'.join(scope)}")
        return launch_plan_message(found)

    async def list(self, request: admin.ResourceListRequest) -> admin.LaunchPlanList:
        """A page of launch plans."""
        scope, filters, sort, page = resource_listing(request, "ListLaunchPlans")
        rows, token = cut(page, await self._launch_plans.list(scope, filters, sort, page))
        return admin.LaunchPlanList(launch_plans=[launch_plan_message(plan) for plan in rows], token=token)

    async def list_active(self, request: admin.ActiveLaunchPlanListRequest) -> admin.LaunchPlanList:
        """A page of all active launch plans of a project and domain."""
        sort = parse_sort(request.sort_by if request.HasField("sort_by") else None)
        page = parse_page(request.limit, request.token, "ListActiveLaunchPlans")
        scope = checked_scope(request.project, request.domain)
        rows, token = cut(page, await self._launch_plans.list(scope, (), sort, page, only_active=True))
        return admin.LaunchPlanList(launch_plans=[launch_plan_message(plan) for plan in rows], token=token)


def _digested(key: EntityKey, plan: NewLaunchPlan) -> admin.LaunchPlan:
    return admin.LaunchPlan(id=key.identifier(core.LAUNCH_PLAN), spec=plan.spec, closure=plan.closure)
