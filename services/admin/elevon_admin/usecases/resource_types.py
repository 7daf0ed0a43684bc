"""Resource types that a call implies."""

from __future__ import annotations

from elevon_idl.core import v1 as core


def with_type(identifier: core.Identifier, kind: core.ResourceType.ValueType) -> core.Identifier:
    """Fill in the resource type where the caller left it out, as paths over HTTP do; an empty id stays empty."""
    if identifier.resource_type == core.UNSPECIFIED and identifier.ByteSize():
        identifier.resource_type = kind
    return identifier
