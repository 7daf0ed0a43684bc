"""Calls of AdminService about matchable attributes."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin

from elevon_admin.usecases.attributes import Attributes


class AttributeRpcs:
    """Decodes, calls, encodes."""

    attributes: Attributes

    async def UpdateProjectAttributes(
        self, request: admin.ProjectAttributesUpdateRequest, context: object
    ) -> admin.ProjectAttributesUpdateResponse:
        """Set something for a project."""
        await self.attributes.update_project(request)
        return admin.ProjectAttributesUpdateResponse()

    async def GetProjectAttributes(
        self, request: admin.ProjectAttributesGetRequest, context: object
    ) -> admin.ProjectAttributesGetResponse:
        """Answer a project's own setting."""
        return admin.ProjectAttributesGetResponse(attributes=await self.attributes.of_project(request))

    async def DeleteProjectAttributes(
        self, request: admin.ProjectAttributesDeleteRequest, context: object
    ) -> admin.ProjectAttributesDeleteResponse:
        """Remove a project's own setting."""
        await self.attributes.delete_of_project(request)
        return admin.ProjectAttributesDeleteResponse()

    async def UpdateProjectDomainAttributes(
        self, request: admin.ProjectDomainAttributesUpdateRequest, context: object
    ) -> admin.ProjectDomainAttributesUpdateResponse:
        """Set something for a domain of a project."""
        await self.attributes.update_project_domain(request)
        return admin.ProjectDomainAttributesUpdateResponse()

    async def GetProjectDomainAttributes(
        self, request: admin.ProjectDomainAttributesGetRequest, context: object
    ) -> admin.ProjectDomainAttributesGetResponse:
        """Answer the setting that counts in a domain."""
        return admin.ProjectDomainAttributesGetResponse(attributes=await self.attributes.of_project_domain(request))

    async def DeleteProjectDomainAttributes(
        self, request: admin.ProjectDomainAttributesDeleteRequest, context: object
    ) -> admin.ProjectDomainAttributesDeleteResponse:
        """Remove a domain's own setting."""
        await self.attributes.delete_of_project_domain(request)
        return admin.ProjectDomainAttributesDeleteResponse()

    async def UpdateWorkflowAttributes(
        self, request: admin.WorkflowAttributesUpdateRequest, context: object
    ) -> admin.WorkflowAttributesUpdateResponse:
        """Set something for a workflow."""
        await self.attributes.update_workflow(request)
        return admin.WorkflowAttributesUpdateResponse()

    async def GetWorkflowAttributes(
        self, request: admin.WorkflowAttributesGetRequest, context: object
    ) -> admin.WorkflowAttributesGetResponse:
        """Answer the setting that counts for a workflow."""
        return admin.WorkflowAttributesGetResponse(attributes=await self.attributes.of_workflow(request))

    async def DeleteWorkflowAttributes(
        self, request: admin.WorkflowAttributesDeleteRequest, context: object
    ) -> admin.WorkflowAttributesDeleteResponse:
        """Remove a workflow's own setting."""
        await self.attributes.delete_of_workflow(request)
        return admin.WorkflowAttributesDeleteResponse()

    async def ListMatchableAttributes(
        self, request: admin.ListMatchableAttributesRequest, context: object
    ) -> admin.ListMatchableAttributesResponse:
        """Answer all settings of a kind."""
        return await self.attributes.list(request)
