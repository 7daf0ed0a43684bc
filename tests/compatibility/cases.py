"""What a table of calls is made of: a title, a request in proto3 JSON, and the status it is answered with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

OK = "OK"
INVALID = "INVALID_ARGUMENT"
MISSING = "NOT_FOUND"
EXISTS = "ALREADY_EXISTS"
PRECONDITION = "FAILED_PRECONDITION"
UNIMPLEMENTED = "UNIMPLEMENTED"


@dataclass(frozen=True, slots=True)
class Case:
    """One call; `words` are in the message of a refusal, `twice` says that repeating the call answers the same."""

    title: str
    request: Json
    code: str = OK
    words: str = ""
    twice: bool = False


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC of a compatible service; `better` says what it does beyond the original, for the document.

    One that is `alone` changes what the cases of others need, and gets a world of its own.
    """

    name: str
    cases: tuple[Case, ...]
    better: str = ""
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service under its original name."""

    name: str
    rpcs: tuple[Rpc, ...] = field(default=())


PLACE: Json = {"project": "flytesnacks", "domain": "development"}


def entity(kind: str, name: str, version: str = "v1", **changes: str) -> dict[str, Any]:
    """An identifier of an entity."""
    return {"resourceType": kind, **PLACE, "name": name, "version": version, **changes}


def execution(name: str) -> dict[str, Any]:
    """An identifier of an execution."""
    return {**PLACE, "name": name}


def node(name: str, node_id: str = "n0") -> dict[str, Any]:
    """An identifier of a node execution."""
    return {"executionId": execution(name), "nodeId": node_id}


def attempt(name: str, number: int = 0) -> dict[str, Any]:
    """An identifier of a task execution."""
    return {"taskId": entity("TASK", "t"), "nodeExecutionId": node(name), "retryAttempt": number}
