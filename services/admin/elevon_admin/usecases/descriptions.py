"""Descriptions of tasks and workflows."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument, NotFound
from elevon_core.identifiers import validate_identifier
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.entities import KIND_NAMES, EntityKey
from elevon_admin.domain.paging import cut
from elevon_admin.ports import DescriptionRepository
from elevon_admin.usecases.listing import resource_listing


class Descriptions:
    """Descriptions as they came with the registrations."""

    def __init__(self, descriptions: DescriptionRepository) -> None:
        self._descriptions = descriptions

    async def get(self, identifier: core.Identifier) -> admin.DescriptionEntity:
        """The description of one version; raises InvalidArgument and NotFound."""
        if identifier.ByteSize() and identifier.resource_type == core.UNSPECIFIED:
            raise InvalidArgument.missing("resource_type")
        validate_identifier(identifier, identifier.resource_type)
        found = await self._descriptions.get(identifier.resource_type, EntityKey.of(identifier))
        if found is None:
            raise NotFound("entry not found")
        return found

    async def list(self, request: admin.DescriptionEntityListRequest) -> admin.DescriptionEntityList:
        """A page of the descriptions of one name, or of all names in a project and domain."""
        kind = request.resource_type
        if kind not in (core.TASK, core.WORKFLOW, core.LAUNCH_PLAN):
            rule = "must be TASK, WORKFLOW or LAUNCH_PLAN"
            raise InvalidArgument.invalid("resource_type", KIND_NAMES.get(kind, str(kind)), rule)
        scope, filters, sort, page = resource_listing(request, "ListDescriptionEntities")
        rows, token = cut(page, await self._descriptions.list(kind, scope, filters, sort, page))
        return admin.DescriptionEntityList(descriptionEntities=rows, token=token)
