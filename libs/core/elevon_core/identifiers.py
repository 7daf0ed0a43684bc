"""Identifiers: their rules, their text, their keys."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, TypeVar

from elevon_idl.core import v1 as core
from google.protobuf.message import Message

from elevon_core.errors import InvalidArgument

LONGEST_PART: Final = 255
GENERATED_PREFIX: Final = ".flytegen."
"""Names of workflows and launch plans that exist to run a single task are this and the task's name."""
EXECUTION_NAME: Final = re.compile(r"[a-z][a-z\-0-9]*")
LONGEST_EXECUTION_NAME: Final = 63

_AnyIdentifier = TypeVar("_AnyIdentifier", bound=Message)


def validate_identifier(
    identifier: core.Identifier | None, resource_type: core.ResourceType.ValueType, field: str = "id"
) -> None:
    """Checks presence, resource type, and every part of the identifier of a task, workflow or launch plan.

    Parts are non-empty, have at most 255 characters and no control characters; names may hold dots, slashes and blanks.
    The prefix of generated names does not count: the task's name may be as long as any.
    """
    present = _present(identifier, field)
    if present.resource_type != resource_type:
        found, expected = _type_name(present.resource_type), _type_name(resource_type)
        raise InvalidArgument(f"unexpected resource type {found} for identifier [{text(present)}], expected {expected}")
    name = present.name if resource_type == core.TASK else _own_name(present.name)
    _validate_parts(present.project, present.domain, name, present.version, org=present.org)


def validate_execution_identifier(identifier: core.WorkflowExecutionIdentifier | None, field: str = "id") -> None:
    """Checks that an execution is named by project, domain and name; the name's own rule holds at creation only."""
    present = _present(identifier, field)
    _validate_parts(present.project, present.domain, present.name, org=present.org)


def validate_node_execution_identifier(identifier: core.NodeExecutionIdentifier | None, field: str = "id") -> None:
    """Checks the execution and the node id within it."""
    present = _present(identifier, field)
    validate_execution_identifier(present.execution_id, "execution_id")
    validate_part(present.node_id, "node_id")


def validate_task_execution_identifier(identifier: core.TaskExecutionIdentifier | None, field: str = "id") -> None:
    """Checks the task and the node execution; any retry attempt is valid."""
    present = _present(identifier, field)
    validate_identifier(present.task_id, core.TASK, "task_id")
    validate_node_execution_identifier(present.node_execution_id, "node_execution_id")


def validate_signal_identifier(identifier: core.SignalIdentifier | None, field: str = "id") -> None:
    """Checks the execution and the signal id within it."""
    present = _present(identifier, field)
    validate_execution_identifier(present.execution_id, "execution_id")
    validate_part(present.signal_id, "signal_id")


def validate_execution_name(name: str, field: str = "name") -> None:
    """The rule for the name of a new execution: it must serve as a DNS label, so upper case is refused, not folded."""
    if len(name) > LONGEST_EXECUTION_NAME:
        raise InvalidArgument.invalid(field, name, f"must have at most {LONGEST_EXECUTION_NAME} characters")
    if not EXECUTION_NAME.fullmatch(name):
        raise InvalidArgument.invalid(field, name, f"must match ^{EXECUTION_NAME.pattern}$")


def validate_part(value: str, field: str) -> None:
    """The rule for one part of an identifier: non-empty, at most 255 characters, no control characters."""
    if not value:
        raise InvalidArgument.missing(field)
    _validate_text(value, field)


def validate_name(value: str, field: str = "name") -> None:
    """The rule for the name of a task, workflow or launch plan, of which it is not known which: that of any of them."""
    validate_part(_own_name(value), field)


def text(identifier: core.Identifier) -> str:
    """The identifier without its resource type: `project:domain:name:version`."""
    return f"{identifier.project}:{identifier.domain}:{identifier.name}:{identifier.version}"


def key(identifier: core.Identifier) -> tuple[str, str, str, str]:
    """What tells an entity from another of the same resource type: (project, domain, name, version)."""
    return identifier.project, identifier.domain, identifier.name, identifier.version


def _own_name(name: str) -> str:
    return name.removeprefix(GENERATED_PREFIX) or name


def _present(identifier: _AnyIdentifier | None, field: str) -> _AnyIdentifier:
    # An unset message field reads as an empty message: both mean that the caller gave none.
    if identifier is None or not identifier.ByteSize():
        raise InvalidArgument.missing(field)
    return identifier


@lru_cache(maxsize=4096)
def _validate_parts(*parts: str, org: str) -> None:
    """The rule for each part in its order; what passed is remembered, since events name the same few again."""
    for name, value in zip(("project", "domain", "name", "version"), parts, strict=False):
        validate_part(value, name)
    _validate_text(org, "org")


def _validate_text(value: str, field: str) -> None:
    if len(value) > LONGEST_PART:
        raise InvalidArgument.invalid(field, value, f"must have at most {LONGEST_PART} characters")
    if not value.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in value):
        raise InvalidArgument.invalid(field, value, "must not contain control characters")


def _type_name(resource_type: core.ResourceType.ValueType) -> str:
    names = core.ResourceType.DESCRIPTOR.values_by_number
    return names[resource_type].name.lower() if resource_type in names else str(resource_type)
