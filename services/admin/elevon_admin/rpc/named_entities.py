"""Named entity calls of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin

from elevon_admin.usecases.named_entities import NamedEntities


class NamedEntityRpcs:
    """Decodes, calls, encodes."""

    named_entities: NamedEntities

    async def ListNamedEntities(self, request: admin.NamedEntityListRequest, context: object) -> admin.NamedEntityList:
        """Answer a page of names with their metadata."""
        return await self.named_entities.list(request)

    async def GetNamedEntity(self, request: admin.NamedEntityGetRequest, context: object) -> admin.NamedEntity:
        """Answer one name with its metadata."""
        return await self.named_entities.get(request)

    async def UpdateNamedEntity(
        self, request: admin.NamedEntityUpdateRequest, context: object
    ) -> admin.NamedEntityUpdateResponse:
        """Change what is said about a name."""
        await self.named_entities.update(request)
        return admin.NamedEntityUpdateResponse()
