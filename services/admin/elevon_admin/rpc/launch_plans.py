"""Launch plan calls of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.usecases.launch_plans import LaunchPlans
from elevon_admin.usecases.named_entities import NamedEntities


class LaunchPlanRpcs:
    """Decodes, calls, encodes."""

    launch_plans: LaunchPlans
    named_entities: NamedEntities

    async def CreateLaunchPlan(
        self, request: admin.LaunchPlanCreateRequest, context: object
    ) -> admin.LaunchPlanCreateResponse:
        """Register a launch plan."""
        await self.launch_plans.create(request)
        return admin.LaunchPlanCreateResponse()

    async def GetLaunchPlan(self, request: admin.ObjectGetRequest, context: object) -> admin.LaunchPlan:
        """Answer one launch plan."""
        return await self.launch_plans.get(request.id)

    async def GetActiveLaunchPlan(self, request: admin.ActiveLaunchPlanRequest, context: object) -> admin.LaunchPlan:
        """Answer the active version of a name."""
        return await self.launch_plans.get_active(request)

    async def ListActiveLaunchPlans(
        self, request: admin.ActiveLaunchPlanListRequest, context: object
    ) -> admin.LaunchPlanList:
        """Answer a page of active launch plans."""
        return await self.launch_plans.list_active(request)

    async def ListLaunchPlanIds(
        self, request: admin.NamedEntityIdentifierListRequest, context: object
    ) -> admin.NamedEntityIdentifierList:
        """Answer a page of launch plan names."""
        return await self.named_entities.list_ids(core.LAUNCH_PLAN, request, "ListLaunchPlanIds")

    async def ListLaunchPlans(self, request: admin.ResourceListRequest, context: object) -> admin.LaunchPlanList:
        """Answer a page of launch plans."""
        return await self.launch_plans.list(request)

    async def UpdateLaunchPlan(
        self, request: admin.LaunchPlanUpdateRequest, context: object
    ) -> admin.LaunchPlanUpdateResponse:
        """Activate or deactivate a version."""
        await self.launch_plans.update(request)
        return admin.LaunchPlanUpdateResponse()
