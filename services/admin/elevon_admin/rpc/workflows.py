"""Workflow calls of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.usecases.named_entities import NamedEntities
from elevon_admin.usecases.workflows import Workflows


class WorkflowRpcs:
    """Decodes, calls, encodes."""

    workflows: Workflows
    named_entities: NamedEntities

    async def CreateWorkflow(
        self, request: admin.WorkflowCreateRequest, context: object
    ) -> admin.WorkflowCreateResponse:
        """Register a workflow."""
        await self.workflows.create(request)
        return admin.WorkflowCreateResponse()

    async def GetWorkflow(self, request: admin.ObjectGetRequest, context: object) -> admin.Workflow:
        """Answer one workflow."""
        return await self.workflows.get(request.id)

    async def ListWorkflowIds(
        self, request: admin.NamedEntityIdentifierListRequest, context: object
    ) -> admin.NamedEntityIdentifierList:
        """Answer a page of workflow names."""
        return await self.named_entities.list_ids(core.WORKFLOW, request, "ListWorkflowIds")

    async def ListWorkflows(self, request: admin.ResourceListRequest, context: object) -> admin.WorkflowList:
        """Answer a page of workflows without their nodes."""
        return await self.workflows.list(request)
