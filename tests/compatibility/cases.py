"""What a table of calls is made of: a title, a request in proto3 JSON, and what it is answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

OK = "OK"
INVALID = "INVALID_ARGUMENT"
MISSING = "NOT_FOUND"
EXISTS = "ALREADY_EXISTS"
PRECONDITION = "FAILED_PRECONDITION"
EXHAUSTED = "RESOURCE_EXHAUSTED"
UNIMPLEMENTED = "UNIMPLEMENTED"


@dataclass(frozen=True, slots=True)
class Case:
    """One call, which is made twice.

    `words` are in the message of a refusal, `detail` is within the details of its status, by the name of a message;
    `answer` is within the response. `again` is the status of the second call where it is not that of the first.
    """

    title: str
    request: Json
    code: str = OK
    words: str = ""
    again: str = ""
    answer: Json | None = None
    detail: tuple[str, Json] | None = None


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


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call: `answer` is the response, `details` are those of a refusal by the name of their message."""

    code: str
    message: str = ""
    answer: Json = field(default_factory=dict)
    details: Sequence[tuple[str, Json]] = ()


PLACE: Json = {"project": "flytesnacks", "domain": "development"}


def judge(case: Case, reply: Reply, *, repeated: bool) -> None:
    """Assert that a call, or its repetition, was answered as the table says."""
    which = f"{case.title}, {'repeated' if repeated else 'the first time'}"
    other = repeated and case.again
    assert reply.code == (case.again if other else case.code), f"{which}: {reply}"
    if other:
        return
    assert case.words in reply.message, f"{which}: {reply.message}"
    if case.answer is not None:
        assert holds(reply.answer, case.answer), f"{which}: {reply.answer}"
    if case.detail is not None:
        name, within = case.detail
        assert any(found == name and holds(detail, within) for found, detail in reply.details), f"{which}: {reply}"


def holds(whole: Any, part: Any) -> bool:
    """Whether a JSON value has all that another one has, where `...` stands for anything.

    Lists have the same length, and nothing is in what is empty.
    """
    if part is ...:
        return True
    if isinstance(part, Mapping) and not part:
        return bool(whole == {})
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(name in whole and holds(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def entity(kind: str, name: str, version: str = "v1", **changes: str) -> dict[str, Any]:
    """An identifier of an entity."""
    return {"resourceType": kind, **PLACE, "name": name, "version": version, **changes}


def execution(name: str, **changes: str) -> dict[str, Any]:
    """An identifier of an execution."""
    return {**PLACE, "name": name, **changes}


def node(name: str, node_id: str = "n0") -> dict[str, Any]:
    """An identifier of a node execution."""
    return {"executionId": execution(name), "nodeId": node_id}


def attempt(name: str, number: int = 0, node_id: str = "n0") -> dict[str, Any]:
    """An identifier of a task execution."""
    return {"taskId": entity("TASK", "t"), "nodeExecutionId": node(name, node_id), "retryAttempt": number}
