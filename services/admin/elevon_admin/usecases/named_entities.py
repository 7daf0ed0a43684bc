"""The names of tasks, workflows and launch plans: their descriptions, their states, lists of them."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.entities import KIND_NAMES, EntityScope, Kind, StoredName
from elevon_admin.domain.filters import parse_filters
from elevon_admin.domain.paging import cut, parse_page
from elevon_admin.domain.sorting import parse_sort
from elevon_admin.ports import Clock, NamedEntityRepository
from elevon_admin.usecases.listing import checked_scope, names_listing

LONGEST_DESCRIPTION = 300

_NAMED_KINDS = (core.TASK, core.WORKFLOW, core.LAUNCH_PLAN)


class NamedEntities:
    """Names under which something was registered."""

    def __init__(self, names: NamedEntityRepository, clock: Clock) -> None:
        self._names = names
        self._clock = clock

    async def get(self, request: admin.NamedEntityGetRequest) -> admin.NamedEntity:
        """The name with its metadata; raises InvalidArgument and NotFound."""
        scope = _named(request)
        found = await self._names.get(request.resource_type, scope)
        if found is None:
            raise NotFound("entry not found")
        return _message(request.resource_type, found)

    async def update(self, request: admin.NamedEntityUpdateRequest) -> None:
        """Write the state, and the description unless it is empty; raises InvalidArgument and NotFound."""
        scope = _named(request)
        if not request.HasField("metadata"):
            raise InvalidArgument.missing("metadata")
        metadata = request.metadata
        if metadata.state not in admin.NamedEntityState.values():
            raise InvalidArgument.invalid("state", metadata.state, "must be a NamedEntityState")
        if metadata.state != admin.NAMED_ENTITY_ACTIVE and request.resource_type not in _NAMED_KINDS:
            kind = KIND_NAMES.get(request.resource_type, str(request.resource_type))
            raise InvalidArgument(f"Resource [{kind}] cannot have its state updated")
        if len(metadata.description) > LONGEST_DESCRIPTION or "\0" in metadata.description:
            rule = f"at most {LONGEST_DESCRIPTION} characters, none of them NUL"
            raise InvalidArgument.invalid("description", metadata.description, rule)
        await self._names.update(request.resource_type, scope, metadata, self._clock())

    async def list(self, request: admin.NamedEntityListRequest) -> admin.NamedEntityList:
        """A page of names; generated ones are hidden unless something is filtered."""
        kind = request.resource_type
        if kind not in _NAMED_KINDS:
            raise InvalidArgument.invalid(
                "resource_type", KIND_NAMES.get(kind, str(kind)), "must be TASK, WORKFLOW or LAUNCH_PLAN"
            )
        scope = checked_scope(request.project, request.domain)
        page = parse_page(request.limit, request.token, "ListNamedEntities")
        filters = parse_filters(request.filters)
        sort = parse_sort(request.sort_by if request.HasField("sort_by") else None)
        found = await self._names.list(kind, scope, filters, sort, page, hide_generated=not filters)
        rows, token = cut(page, found)
        return admin.NamedEntityList(entities=[_message(kind, name) for name in rows], token=token)

    async def list_ids(
        self, kind: Kind, request: admin.NamedEntityIdentifierListRequest, operation: str
    ) -> admin.NamedEntityIdentifierList:
        """A page of the names of one kind, generated ones among them."""
        scope, filters, sort, page = names_listing(request, operation)
        found = await self._names.list(kind, scope, filters, sort, page, hide_generated=False)
        rows, token = cut(page, found)
        entities = [_identifier(name.scope) for name in rows]
        return admin.NamedEntityIdentifierList(entities=entities, token=token)


def _named(request: admin.NamedEntityGetRequest | admin.NamedEntityUpdateRequest) -> EntityScope:
    if request.resource_type == core.UNSPECIFIED:
        raise InvalidArgument.missing("resource_type")
    if request.resource_type not in core.ResourceType.values():
        raise InvalidArgument.invalid("resource_type", request.resource_type, "must be a ResourceType")
    if not request.HasField("id"):
        raise InvalidArgument.missing("id")
    scope = checked_scope(request.id.project, request.id.domain, request.id.name)
    if not scope.name:
        raise InvalidArgument.missing("name")
    return scope


def _identifier(scope: EntityScope) -> admin.NamedEntityIdentifier:
    return admin.NamedEntityIdentifier(project=scope.project, domain=scope.domain, name=scope.name)


def _message(kind: Kind, name: StoredName) -> admin.NamedEntity:
    metadata = admin.NamedEntityMetadata(
        description=name.description, state=admin.NamedEntityState.ValueType(name.state)
    )
    return admin.NamedEntity(resource_type=kind, id=_identifier(name.scope), metadata=metadata)
