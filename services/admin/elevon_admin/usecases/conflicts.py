"""What a registration answers when its key is taken."""

from __future__ import annotations

from elevon_core.errors import AlreadyExists, InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.message import Message

from elevon_admin.domain.difference import difference
from elevon_admin.domain.entities import EntityKey, Kind

_WORDS = {core.TASK: "task", core.WORKFLOW: "workflow", core.LAUNCH_PLAN: "launch plan"}


def identical(kind: Kind, key: EntityKey) -> AlreadyExists:
    """The error for a registration that repeats an earlier one."""
    word = _WORDS[kind]
    return AlreadyExists(f"{word} with identical structure already exists", details=_details(kind, key, identical=True))


def different(kind: Kind, key: EntityKey, stored: Message, made: Message) -> InvalidArgument:
    """The error for a registration under a key that stands for something else; lists what differs, bounded."""
    word = _WORDS[kind]
    heading = (
        f"{key.name} {word} with different structure already exists. (Please register a new version of the {word}):"
    )
    return InvalidArgument(f"{heading}\n{difference(stored, made)}", details=_details(kind, key, identical=False))


def _details(kind: Kind, key: EntityKey, *, identical: bool) -> list[Message]:
    """Workflows carry a detail, tasks and launch plans do not: clients know it so."""
    if kind != core.WORKFLOW:
        return []
    identifier = key.identifier(core.WORKFLOW)
    if identical:
        same = admin.WorkflowErrorExistsIdenticalStructure(id=identifier)
        return [admin.CreateWorkflowFailureReason(exists_identical_structure=same)]
    other = admin.WorkflowErrorExistsDifferentStructure(id=identifier)
    return [admin.CreateWorkflowFailureReason(exists_different_structure=other)]
