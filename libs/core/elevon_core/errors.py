"""Everything that can go wrong, as one tree; one table elsewhere turns the kinds into status codes.

ElevonError
├── InvalidArgument          the request breaks a rule: names field, value and rule
│   └── CompilationError     a workflow or task does not compile: carries every finding
├── NotFound                 what was asked for does not exist
├── AlreadyExists            what was to be created exists
├── FailedPrecondition       right request, wrong state
│   └── OffloadedLiteral     a value lies in a blob and has to be loaded first: carries its address
├── ResourceExhausted        over a limit
├── Unauthenticated          who are you
├── PermissionDenied         not yours
├── Unavailable              a dependency is out of reach; try again
├── DeadlineExceeded         took too long
├── Cancelled                the caller went away
├── Unimplemented            not available in this version
└── Internal                 a defect of ours
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message


class ErrorKind(enum.Enum):
    """What a caller can do about an error."""

    INVALID_ARGUMENT = "invalid argument"
    NOT_FOUND = "not found"
    ALREADY_EXISTS = "already exists"
    FAILED_PRECONDITION = "failed precondition"
    RESOURCE_EXHAUSTED = "resource exhausted"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission denied"
    UNAVAILABLE = "unavailable"
    DEADLINE_EXCEEDED = "deadline exceeded"
    CANCELLED = "cancelled"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"


class ElevonError(Exception):
    """The root: a message for people, and messages for programs in `details`."""

    kind = ErrorKind.INTERNAL

    def __init__(self, message: str, *, details: Sequence[Message] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)


class InvalidArgument(ElevonError):
    """The request breaks a rule."""

    kind = ErrorKind.INVALID_ARGUMENT

    @classmethod
    def missing(cls, field: str) -> InvalidArgument:
        """A field that must be set is not; the text is the one existing clients know."""
        return cls(f"missing {field}")

    @classmethod
    def invalid(cls, field: str, value: object, rule: str) -> InvalidArgument:
        """A field is set to something its rule forbids; long values are cut at 200 characters."""
        shown = str(value)
        if len(shown) > 200:
            shown = shown[:200] + "…"
        return cls(f"invalid value for {field}: {shown!r}: {rule}")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing the compiler objects to; `code` is spelled as on the wire."""

    code: str
    description: str
    node_id: str = ""


class CompilationError(InvalidArgument):
    """A task or workflow does not compile; the message lists every finding."""

    def __init__(self, findings: Sequence[Finding], *, prefix: str = "") -> None:
        self.findings = tuple(
            sorted(set(findings), key=lambda finding: (finding.code, finding.node_id, finding.description))
        )
        lines = [f"Collected Errors: {len(self.findings)}"]
        for number, finding in enumerate(self.findings):
            place = f"Code: {finding.code}, Node Id: {finding.node_id}, Description: {finding.description}"
            lines.append(f"\tError {number}: {place}")
        super().__init__(prefix + "\n".join(lines))


class NotFound(ElevonError):
    """What was asked for does not exist."""

    kind = ErrorKind.NOT_FOUND


class AlreadyExists(ElevonError):
    """What was to be created exists."""

    kind = ErrorKind.ALREADY_EXISTS


class FailedPrecondition(ElevonError):
    """The request is right, the state it meets is not."""

    kind = ErrorKind.FAILED_PRECONDITION


class OffloadedLiteral(FailedPrecondition):
    """The value of a literal lies in a blob: load the Literal at `uri`, put it in place, ask again.

    `size_bytes` is the size its writer noted, zero if none was.
    """

    def __init__(self, uri: str, size_bytes: int = 0) -> None:
        super().__init__(f"the literal is kept at {uri}: it has to be loaded before it can be looked into")
        self.uri = uri
        self.size_bytes = size_bytes


class ResourceExhausted(ElevonError):
    """Over a limit; the message says which and how much."""

    kind = ErrorKind.RESOURCE_EXHAUSTED


class Unauthenticated(ElevonError):
    """The caller is not known."""

    kind = ErrorKind.UNAUTHENTICATED


class PermissionDenied(ElevonError):
    """The caller is known and may not."""

    kind = ErrorKind.PERMISSION_DENIED


class Unavailable(ElevonError):
    """A dependency is out of reach; the same call may succeed later."""

    kind = ErrorKind.UNAVAILABLE


class DeadlineExceeded(ElevonError):
    """The call took longer than its deadline."""

    kind = ErrorKind.DEADLINE_EXCEEDED


class Cancelled(ElevonError):
    """The caller went away."""

    kind = ErrorKind.CANCELLED


class Unimplemented(ElevonError):
    """Not available in this version."""

    kind = ErrorKind.UNIMPLEMENTED


class Internal(ElevonError):
    """A defect of ours."""

    kind = ErrorKind.INTERNAL
