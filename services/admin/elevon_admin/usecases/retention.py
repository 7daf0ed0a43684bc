"""Deleting what is no longer needed: rules, single executions, and a record of both."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from elevon_core.errors import ElevonError, FailedPrecondition, InvalidArgument, NotFound
from elevon_core.identifiers import validate_execution_identifier
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.event_batches import missing_execution
from elevon_admin.domain.paging import parse_page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.retention import (
    Counts,
    Remains,
    RetentionRule,
    StillNeeded,
    StoredRun,
    parse_policy,
)
from elevon_admin.domain.stored_text import check_text
from elevon_admin.domain.times import NANOSECONDS
from elevon_admin.ports import Clock, ProjectRepository
from elevon_admin.retention_ports import CachedResults, Kept, LeftFiles, RetentionRepository
from elevon_admin.usecases.deleting import Deleted, Deleting
from elevon_admin.usecases.leasing import renewing
from elevon_admin.usecases.needs import Needs, goes_by, needed

AT_ONCE = 50
"""Executions of one transaction."""

RUNS_OF_A_PAGE = 100
LAST_ROW = 2**63 - 1
RENEWALS = 3
"""How often the right to apply a rule is renewed while it lasts."""

Step = Callable[[Sequence[Remains], Kept, Counts, Needs], Awaitable[Deleted]]
"""Deletes some executions, or only counts them."""


@dataclass(frozen=True, slots=True)
class RetentionTimes:
    """Nanoseconds: how often rules are applied, and how long a run may be silent before another one may begin.

    `settle_seconds` is how long files stay after cached results that point at them were deleted, by whomever.
    """

    every: int
    lease: int
    settle_seconds: float = 0.0


@dataclass(slots=True)
class Progress:
    """What a run has deleted, how many executions it will look at, and whether that was all."""

    counts: Counts
    to_go: int
    done: bool = False
    kept: Sequence[StillNeeded] = ()

    def message(self) -> admin.ApplyRetentionPolicyResponse:
        """The progress as clients read it."""
        return admin.ApplyRetentionPolicyResponse(
            counts=self.counts.message(),
            executions_to_go=self.to_go,
            done=self.done,
            kept=[each.message() for each in self.kept],
        )


class Retention:
    """`domains` are those of every project."""

    def __init__(
        self,
        repository: RetentionRepository,
        projects: ProjectRepository,
        domains: Sequence[str],
        files: LeftFiles,
        cache: CachedResults | None,
        clock: Clock,
        times: RetentionTimes,
    ) -> None:
        self._repository = repository
        self._projects = projects
        self._domains = domains
        self._cache = cache
        self._clock = clock
        self._times = times
        self._deleting = Deleting(repository, files, cache, clock, times.settle_seconds)

    async def put(self, policy: admin.RetentionPolicy) -> None:
        """Set a rule. Raises InvalidArgument, NotFound for an unknown project."""
        rule = parse_policy(policy)
        if rule.domain and rule.domain not in self._domains:
            raise InvalidArgument.invalid("policy.domain", rule.domain, f"must be one of {', '.join(self._domains)}")
        if await self._projects.get(rule.project) is None:
            raise NotFound(f"missing entity of type project with identifier {rule.project}")
        if rule.cache_max_age and self._cache is None:
            raise InvalidArgument("policy.cache_max_age needs the catalog: set catalog_address")
        await self._repository.put(rule)

    async def policies(self) -> list[admin.RetentionPolicy]:
        """All rules."""
        return [rule.message() for rule in await self._repository.rules()]

    async def delete_policy(self, project: str, domain: str) -> None:
        """Remove a rule; raises InvalidArgument."""
        if not project:
            raise InvalidArgument.missing("project")
        check_text("project", project)
        check_text("domain", domain)
        await self._repository.delete(project, domain)

    async def runs(self, request: admin.ListRetentionRunsRequest) -> admin.ListRetentionRunsResponse:
        """A page of what was deleted; raises InvalidArgument."""
        check_text("project", request.project)
        page = parse_page(request.limit or RUNS_OF_A_PAGE, "", "ListRetentionRuns")
        before = parse_page(1, request.token, "ListRetentionRuns").offset or None
        limit = page.limit or RUNS_OF_A_PAGE
        found = await self._repository.runs(request.project, before, limit + 1)
        token = str(found[limit - 1].row_id) if len(found) > limit else ""
        return admin.ListRetentionRunsResponse(runs=[run.message() for run in found[:limit]], token=token)

    async def delete_execution(
        self, request: admin.DeleteExecutionRequest, principal: str = ""
    ) -> admin.DeleteExecutionResponse:
        """Delete one. Raises InvalidArgument, NotFound, FailedPrecondition while it runs or is needed, Unavailable."""
        validate_execution_identifier(request.id)
        key = ExecutionKey.of(request.id)
        found = await self._repository.one(key)
        if found is None:
            raise missing_execution(key)
        ended, remains = found
        if not ended:
            raise FailedPrecondition(f"execution {key} has not ended: terminate it first")
        needs = Needs(self._repository, lambda referring: request.with_referring and referring.ended)
        need = await needs.of(remains)
        counts = Counts()
        if need.kept_by and not request.dry_run:
            raise needed(key, need)
        others = await self._repository.remains(sorted(need.group - {remains.row_id}, reverse=True))
        whole = [*others, remains]
        if request.dry_run:
            kept = (await self._deleting.count(whole, Kept.NOTHING, counts, needs)).kept
            return admin.DeleteExecutionResponse(counts=counts.message(), kept=[each.message() for each in kept])
        async with self._recording(key.project, key.domain, key.name, principal, counts) as written:
            done = await self._deleting.delete(whole, Kept.NOTHING, counts, needs, written, self._clock())
            if done.kept:
                raise FailedPrecondition(f"execution {key} is kept: others have begun to refer to it")
            if remains.row_id not in done.rows:
                raise missing_execution(key)
        return admin.DeleteExecutionResponse(counts=counts.message())

    async def apply(
        self, project: str, domain: str, *, dry_run: bool, principal: str = ""
    ) -> AsyncGenerator[Progress, None]:
        """Apply a rule now and tell the progress. Raises InvalidArgument, NotFound, FailedPrecondition, Unavailable."""
        if not project or not domain:
            raise InvalidArgument.missing("domain" if project else "project")
        rule = rule_for(await self._repository.rules(), project, domain)
        if rule is None:
            raise NotFound(f"project {project} has no retention policy for domain {domain}")
        if dry_run:
            async for progress in self._steps(rule, domain, Counts(), self._deleting.count, dry_run=True):
                yield progress
            return
        owner = secrets.token_hex(8)
        if not await self._claim(project, domain, owner, forced=True):
            raise FailedPrecondition(f"the retention policy of {project}/{domain} is being applied already")
        async with contextlib.aclosing(self._claimed(rule, domain, owner, principal)) as run:
            async for progress in run:
                yield progress

    async def apply_if_due(self, project: str, domain: str, principal: str) -> bool:
        """Apply a rule whose time has come, unless another replica does; True when it was applied."""
        rule = rule_for(await self._repository.rules(), project, domain)
        owner = secrets.token_hex(8)
        if rule is None or not await self._claim(project, domain, owner, forced=False):
            return False
        async with contextlib.aclosing(self._claimed(rule, domain, owner, principal)) as run:
            async for _ in run:
                pass
        return True

    async def scopes(self) -> list[tuple[str, str]]:
        """Every project and domain that has a rule."""
        rules = await self._repository.rules()
        found = {
            (rule.project, domain) for rule in rules for domain in ([rule.domain] if rule.domain else self._domains)
        }
        return sorted(found)

    async def _claim(self, project: str, domain: str, owner: str, *, forced: bool) -> bool:
        """`owner` tells one run from all others, of this process too."""
        now = self._clock()
        return await self._repository.claim(project, domain, owner, now, now + self._times.lease, forced=forced)

    async def _claimed(
        self, rule: RetentionRule, domain: str, owner: str, principal: str
    ) -> AsyncGenerator[Progress, None]:
        counts, project, begun = Counts(), rule.project, self._clock()
        what = f"the retention policy of {project}/{domain}"
        length = self._times.lease / NANOSECONDS

        async def claim() -> bool:
            return await self._claim(project, domain, owner, forced=True)

        try:
            async with (
                renewing(what, claim, length / RENEWALS, length) as lease,
                self._recording(project, domain, "", principal, counts) as written,
            ):

                async def delete(some: Sequence[Remains], kept: Kept, counts: Counts, needs: Needs) -> Deleted:
                    lease.check()
                    return await self._deleting.delete(some, kept, counts, needs, written, begun)

                async for progress in self._steps(rule, domain, counts, delete, dry_run=False):
                    await written()
                    lease.check()
                    yield progress
        finally:
            await self._repository.release(project, domain, owner, self._clock() + self._times.every)

    @contextlib.asynccontextmanager
    async def _recording(
        self, project: str, domain: str, execution: str, principal: str, counts: Counts
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Write a run down, with its counts whenever the answer is called, and at the end with what went wrong."""
        begun = StoredRun(0, project, domain, execution, self._clock(), None, counts, "", principal)
        run, error = await self._repository.begin(begun), "cut off"
        try:
            yield lambda: self._repository.progress(run, counts, None, "")
            error = ""
        except ElevonError as failure:
            error = failure.message
            raise
        finally:
            await self._repository.progress(run, counts, self._clock(), error)

    async def _steps(
        self, rule: RetentionRule, domain: str, counts: Counts, step: Step, *, dry_run: bool
    ) -> AsyncGenerator[Progress, None]:
        now = self._clock()
        whole = await self._whole_before(rule, domain, now)
        data = now - rule.data_max_age if rule.data_max_age else 0
        needs = Needs(self._repository, goes_by(rule.project, domain, max(whole, data)))
        to_go = await self._to_go(rule, domain, whole, data)
        # The newest go first: whoever refers to an execution is younger, mostly.
        for before, since, kept in ((data, whole, Kept.OUTLINE), (whole, 0, Kept.NOTHING)):
            async for some in self._portions(rule.project, domain, before, kept, since=since):
                yield Progress(counts, to_go, kept=(await step(some, kept, counts, needs)).kept)
        if rule.cache_max_age and self._cache is not None:
            async for _ in self._pruned(self._cache, rule, domain, counts, dry_run=dry_run):
                yield Progress(counts, to_go)
        yield Progress(counts, to_go, done=True)

    async def _to_go(self, rule: RetentionRule, domain: str, whole: int, data: int) -> int:
        to_go = await self._repository.count(rule.project, domain, whole, Kept.NOTHING)
        if data > whole:
            to_go += await self._repository.count(rule.project, domain, data, Kept.OUTLINE)
            to_go -= await self._repository.count(rule.project, domain, whole, Kept.OUTLINE)
        return to_go

    async def _whole_before(self, rule: RetentionRule, domain: str, now: int) -> int:
        by_age = now - rule.executions_max_age if rule.executions_max_age else 0
        if not rule.executions_max_count:
            return by_age
        newest = await self._repository.newest_to_delete(rule.project, domain, rule.executions_max_count)
        return max(by_age, newest + 1 if newest else 0)

    async def _portions(
        self, project: str, domain: str, before: int, kept: Kept, *, since: int
    ) -> AsyncIterator[Sequence[Remains]]:
        after = LAST_ROW
        if before <= since:
            return
        while True:
            some = await self._repository.oldest(project, domain, before, kept, after, AT_ONCE)
            if not some:
                return
            after = some[-1].row_id
            # Those that go whole come later.
            yield [each for each in some if each.created_at >= since]

    async def _pruned(
        self, cache: CachedResults, rule: RetentionRule, domain: str, counts: Counts, *, dry_run: bool
    ) -> AsyncIterator[int]:
        while True:
            gone = await cache.prune(rule.project, domain, rule.cache_max_age, dry_run=dry_run)
            counts.cache_entries += gone
            yield gone
            if dry_run or not gone:
                return


def rule_for(rules: Sequence[RetentionRule], project: str, domain: str) -> RetentionRule | None:
    """The rule that counts for a project and domain: its own, else that of the whole project."""
    found = {rule.domain: rule for rule in rules if rule.project == project}
    return found.get(domain) or found.get("")
