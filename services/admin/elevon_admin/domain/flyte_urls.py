"""`flyte://v1/…` URLs: names for the inputs, outputs and decks of nodes and task attempts."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.records import ExecutionKey, NodeKey, TaskKey

PREFIX = "flyte://v1/"

_PART = r"([a-zA-Z0-9_-]+)"
_NODE = re.compile(rf"{PREFIX}{_PART}/{_PART}/{_PART}/{_PART}(?:/([0-9]+))?/([iod])(?:/{_PART})?")
_LONGEST_ATTEMPT = 10


class ArtifactKind(enum.StrEnum):
    """What a URL names."""

    INPUTS = "i"
    OUTPUTS = "o"
    DECK = "d"


@dataclass(frozen=True, slots=True)
class FlyteUrl:
    """A URL taken apart; `attempt` is None for a node as a whole, `name` empty for all literals."""

    node: NodeKey
    kind: ArtifactKind
    attempt: int | None = None
    name: str = ""


def parse_flyte_url(text: str) -> FlyteUrl:
    """Take a URL apart; raises InvalidArgument naming the form that is expected."""
    form = f"{PREFIX}<project>/<domain>/<execution>/<node>[/<attempt>]/(i|o|d)[/<literal>]"
    match = _NODE.fullmatch(text)
    if match is None:
        raise InvalidArgument.invalid("flyte_url", text, f"must have the form {form}")
    project, domain, execution, node_id, attempt, kind, name = match.groups()
    if attempt is not None and len(attempt) > _LONGEST_ATTEMPT:
        raise InvalidArgument.invalid("flyte_url", text, "the attempt is too large a number")
    if kind == ArtifactKind.DECK and (attempt is not None or name):
        raise InvalidArgument.invalid("flyte_url", text, "a deck belongs to a node and has neither attempt nor name")
    node = NodeKey(ExecutionKey(project, domain, execution), node_id)
    return FlyteUrl(node, ArtifactKind(kind), None if attempt is None else int(attempt), name or "")


def _base(node: NodeKey) -> str:
    return f"{PREFIX}{node.execution.project}/{node.execution.domain}/{node.execution.name}/{node.node_id}"


def node_urls(node: NodeKey, *, deck: bool) -> admin.FlyteURLs:
    """The URLs of a node."""
    base = _base(node)
    return admin.FlyteURLs(inputs=f"{base}/i", outputs=f"{base}/o", deck=f"{base}/d" if deck else "")


def task_urls(task: TaskKey) -> admin.FlyteURLs:
    """The URLs of a task attempt."""
    base = f"{_base(task.node)}/{task.attempt}"
    return admin.FlyteURLs(inputs=f"{base}/i", outputs=f"{base}/o")
