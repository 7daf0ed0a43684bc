"""The filters and pages of listings."""

from __future__ import annotations

import string
from dataclasses import dataclass

from elevon_core.errors import InvalidArgument
from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain.validation import required

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000
LARGEST_TOKEN = 2**32 - 1
ENTITIES = {
    "tag_filter": "Tag",
    "partition_filter": "Partition",
    "artifact_filter": "Artifact",
    "dataset_filter": "Dataset",
}


@dataclass(frozen=True, slots=True)
class ArtifactFilters:
    """Conditions that an artifact must meet all."""

    artifact_ids: tuple[str, ...] = ()
    tag_names: tuple[str, ...] = ()
    partitions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetFilters:
    """Conditions that a dataset must meet all: a property among project, domain, name and version, and its value."""

    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing sorted by time of creation."""

    offset: int = 0
    limit: int = DEFAULT_PAGE
    ascending: bool = False

    def next_token(self, returned: int) -> str:
        """The token of the page behind this one; empty when this one is empty, so that both ways to loop end."""
        return str(self.offset + returned) if returned else ""


def artifact_filters(expression: catalog.FilterExpression) -> ArtifactFilters:
    """Read the filters of an artifact listing; a filter by dataset is refused."""
    artifact_ids: list[str] = []
    tag_names: list[str] = []
    partitions: list[tuple[str, str]] = []
    for condition in expression.filters:
        kind = _kind(condition)
        if kind == "tag_filter":
            tag_names.append(required(condition.tag_filter.tag_name, "TagName"))
        elif kind == "artifact_filter":
            artifact_ids.append(required(condition.artifact_filter.artifact_id, "artifactID"))
        elif kind == "partition_filter":
            pair = condition.partition_filter.key_val
            partitions.append((required(pair.key, "PartitionKey"), required(pair.value, "PartitionValue")))
        else:
            raise _refused("Artifact", kind)
    return ArtifactFilters(tuple(artifact_ids), tuple(tag_names), tuple(partitions))


def dataset_filters(expression: catalog.FilterExpression) -> DatasetFilters:
    """Read the filters of a dataset listing; others than by dataset are refused, org has no effect."""
    properties: list[tuple[str, str]] = []
    for condition in expression.filters:
        kind = _kind(condition)
        if kind != "dataset_filter":
            raise _refused("Dataset", kind)
        name = condition.dataset_filter.WhichOneof("property")
        if name is None:
            raise InvalidArgument.missing("dataset property")
        if name != "org":
            properties.append((name, required(getattr(condition.dataset_filter, name), name)))
    return DatasetFilters(tuple(properties))


def page(options: catalog.PaginationOptions, present: bool) -> Page:
    """Read the page that is asked for; the first page of the newest items when nothing is said."""
    if not present:
        return Page()
    if options.sortKey != catalog.PaginationOptions.CREATION_TIME:
        raise InvalidArgument.invalid("sortKey", options.sortKey, "must be CREATION_TIME")
    if options.sortOrder not in (catalog.PaginationOptions.DESCENDING, catalog.PaginationOptions.ASCENDING):
        raise InvalidArgument.invalid("sortOrder", options.sortOrder, "must be DESCENDING or ASCENDING")
    return Page(
        offset=_offset(options.token),
        limit=min(options.limit or DEFAULT_PAGE, LARGEST_PAGE),
        ascending=options.sortOrder == catalog.PaginationOptions.ASCENDING,
    )


def _offset(token: str) -> int:
    if not token.strip():
        return 0
    text = token.strip(string.whitespace)  # what else Python strips, separators of records and the like, is a mistake
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > LARGEST_TOKEN:
        raise InvalidArgument(f"Invalid token value: {token[:100]!r}: must be an unsigned 32-bit decimal number")
    return int(text)


def _kind(condition: catalog.SinglePropertyFilter) -> str:
    if condition.operator != catalog.SinglePropertyFilter.EQUALS:
        raise InvalidArgument.invalid("operator", condition.operator, "must be EQUALS")
    kind = condition.WhichOneof("property_filter")
    if kind is None:
        raise InvalidArgument.missing("property_filter")
    return kind


def _refused(entity: str, kind: str) -> InvalidArgument:
    return InvalidArgument(f"{entity} cannot be filtered by {ENTITIES[kind]} properties")
