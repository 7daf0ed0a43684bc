"""Reading the parts of a list request that all list calls share."""

from __future__ import annotations

from typing import NamedTuple

from elevon_core.errors import InvalidArgument
from elevon_core.identifiers import validate_name, validate_part
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.entities import EntityScope
from elevon_admin.domain.filters import Filter, parse_filters
from elevon_admin.domain.paging import Page, parse_page
from elevon_admin.domain.sorting import Sort, parse_sort


class Listing(NamedTuple):
    """What is listed, how it is filtered and sorted, and which page is wanted."""

    scope: EntityScope
    filters: tuple[Filter, ...]
    sort: Sort | None
    page: Page


def resource_listing(
    request: admin.ResourceListRequest | admin.DescriptionEntityListRequest, operation: str
) -> Listing:
    """Read a request whose `id` names project, domain and perhaps a name; raises InvalidArgument."""
    if not request.HasField("id"):
        raise InvalidArgument.missing("id")
    sort = parse_sort(request.sort_by if request.HasField("sort_by") else None)
    page = parse_page(request.limit, request.token, operation)
    scope = checked_scope(request.id.project, request.id.domain, request.id.name)
    return Listing(scope, parse_filters(request.filters), sort, page)


def names_listing(request: admin.NamedEntityIdentifierListRequest, operation: str) -> Listing:
    """Read a request for names; its filters are ignored, as they always were, and it sorts by parts of the name."""
    sort = parse_sort(request.sort_by if request.HasField("sort_by") else None)
    if sort is not None and sort.key not in ("project", "domain", "name"):
        raise InvalidArgument(f"invalid sort key '{sort.key[:200]}' (columns: domain, name, project)")
    page = parse_page(request.limit, request.token, operation)
    return Listing(checked_scope(request.project, request.domain), (), sort, page)


def checked_scope(project: str, domain: str, name: str = "") -> EntityScope:
    """A scope with project and domain; raises InvalidArgument."""
    validate_part(project, "project")
    validate_part(domain, "domain")
    if name:
        validate_name(name)
    return EntityScope(project, domain, name)
