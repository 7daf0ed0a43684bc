"""What is kept: rules of projects and domains, and what applying them has deleted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from elevon_core import naming, places
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from google.protobuf.duration_pb2 import Duration

from elevon_admin.domain.records import ExecutionKey

BY_SCHEDULE = "schedule"
"""The principal of runs that nobody asked for."""

BY_REQUEST = "request"
"""The principal of runs that somebody asked for who is not known: there is no authentication."""

_LONGEST_YEARS = 292
"""An age is nanoseconds of 64 bits."""

_LONGEST_SECONDS = _LONGEST_YEARS * 365 * 86_400
STORES_NOTHING = (core.CACHE_DISABLED, core.CACHE_HIT)
"""Cache statuses of those who have stored no result of their own."""

_AGES = ("executions_max_age", "data_max_age", "cache_max_age")


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """A rule as it is applied: ages in nanoseconds, 0 where there is no limit; an empty domain means all others."""

    project: str
    domain: str
    executions_max_age: int = 0
    executions_max_count: int = 0
    data_max_age: int = 0
    cache_max_age: int = 0

    def message(self) -> admin.RetentionPolicy:
        """The rule as clients read it."""
        policy = admin.RetentionPolicy(
            project=self.project, domain=self.domain, executions_max_count=self.executions_max_count
        )
        for name in _AGES:
            age = getattr(self, name)
            if age:
                getattr(policy, name).FromNanoseconds(age)
        return policy


def parse_policy(policy: admin.RetentionPolicy) -> RetentionRule:
    """Read a rule. Raises InvalidArgument for one without a project or a limit, or with a limit that is none."""
    if not policy.project:
        raise InvalidArgument.missing("policy.project")
    ages = {name: _age(policy, name) for name in _AGES}
    if policy.executions_max_count >= 2**63:
        raise InvalidArgument.invalid("policy.executions_max_count", policy.executions_max_count, "must be below 2^63")
    if not policy.executions_max_count and not any(ages.values()):
        raise InvalidArgument(f"missing a limit of the policy: one of {', '.join(_AGES)}, executions_max_count")
    return RetentionRule(policy.project, policy.domain, executions_max_count=policy.executions_max_count, **ages)


def _age(policy: admin.RetentionPolicy, name: str) -> int:
    if not policy.HasField(name):  # type: ignore[arg-type]  # one of the ages; the stub knows literals only
        return 0
    age: Duration = getattr(policy, name)
    within = -_LONGEST_SECONDS <= age.seconds <= _LONGEST_SECONDS and abs(age.nanos) < 1_000_000_000
    if not within or age.ToNanoseconds() <= 0:
        given = f"{age.seconds} s {age.nanos} ns"
        raise InvalidArgument.invalid(f"policy.{name}", given, f"must be positive and at most {_LONGEST_YEARS} years")
    return age.ToNanoseconds()


@dataclass(frozen=True, slots=True)
class Remains:
    """What an execution that has ended has left behind.

    `attempts` tells for each node, and each element of an array, how many attempts there were; `caches` whether any of
    them may have stored a result in the cache.
    """

    row_id: int
    key: ExecutionKey
    created_at: int
    nodes: int
    raw_output_prefix: str
    attempts: dict[str, int]
    caches: bool = False

    def places(self) -> list[str]:
        """Where all of its data lies, as `elevon_core.places` names it."""
        found = set(places.of_execution(*self.key))
        for node_id, attempts in self.attempts.items():
            found.update(naming.attempt_name(*self.key, node_id, number) for number in range(attempts))
        return sorted(found)


class Fate(Enum):
    """What becomes of an execution that is to be deleted: it goes, others need it, or somebody else has deleted it."""

    GOES = "goes"
    NEEDED = "needed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Referring:
    """An execution whose values point at the data of another one."""

    row_id: int
    key: ExecutionKey
    created_at: int
    ended: bool


@dataclass(frozen=True, slots=True)
class StillNeeded:
    """An execution that is kept, and some of those that are kept themselves and refer to it."""

    key: ExecutionKey
    referring: tuple[ExecutionKey, ...]

    def message(self) -> admin.KeptExecution:
        """What is kept and why, as clients read it."""
        return admin.KeptExecution(id=self.key.identifier(), referring=[key.identifier() for key in self.referring])


@dataclass(slots=True)
class Counts:
    """How much was deleted."""

    executions: int = 0
    outlines: int = 0
    nodes: int = 0
    cache_entries: int = 0
    kept: int = 0

    def message(self) -> admin.RetentionCounts:
        """The counts as clients read them."""
        return admin.RetentionCounts(
            executions=self.executions,
            outlines=self.outlines,
            nodes=self.nodes,
            cache_entries=self.cache_entries,
            kept=self.kept,
        )


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it was written down; `ended_at` is None until it has ended."""

    row_id: int
    project: str
    domain: str
    execution: str
    started_at: int
    ended_at: int | None
    counts: Counts
    error: str
    principal: str

    def message(self) -> admin.RetentionRun:
        """The run as clients read it."""
        run = admin.RetentionRun(
            project=self.project,
            domain=self.domain,
            execution=self.execution,
            counts=self.counts.message(),
            error=self.error,
            principal=self.principal,
        )
        run.started_at.FromNanoseconds(self.started_at)
        if self.ended_at is not None:
            run.ended_at.FromNanoseconds(self.ended_at)
        return run


def attempts_of(node_id: str, attempt: int, metadata: event.TaskExecutionMetadata) -> dict[str, int]:
    """How many attempts there were behind a task execution: its own, and those of the elements if it is an array's.

    The id of an element is its array's, the number of the array's attempt, and `n` with its index.
    """
    found = {node_id: attempt + 1}
    for resource in metadata.external_resources:
        found[f"{node_id}-{attempt}-n{resource.index}"] = resource.retry_attempt + 1
    return found


def may_have_stored(metadata: event.TaskExecutionMetadata) -> bool:
    """Whether elements of an array may have stored results in the cache."""
    return any(each.cache_status not in STORES_NOTHING for each in metadata.external_resources)
