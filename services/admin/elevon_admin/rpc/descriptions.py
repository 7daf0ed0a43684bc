"""Description calls of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin

from elevon_admin.usecases.descriptions import Descriptions


class DescriptionRpcs:
    """Decodes, calls, encodes."""

    descriptions: Descriptions

    async def GetDescriptionEntity(self, request: admin.ObjectGetRequest, context: object) -> admin.DescriptionEntity:
        """Answer the description of one version."""
        return await self.descriptions.get(request.id)

    async def ListDescriptionEntities(
        self, request: admin.DescriptionEntityListRequest, context: object
    ) -> admin.DescriptionEntityList:
        """Answer a page of descriptions."""
        return await self.descriptions.list(request)
