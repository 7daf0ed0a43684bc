"""Deleting what is no longer needed: rules, single executions, and a record of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
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
from elevon_admin.ports import Clock, ProjectRepository
from elevon_admin.retention_ports import CachedResults, Kept, LeftFiles, RetentionRepository
from elevon_admin.usecases.needs import Needs, goes_by, needed

AT_ONCE = 50
"""Executions of one transaction."""

FILES_AT_ONCE = 8
"""Executions whose files are deleted at the same time."""

RUNS_OF_A_PAGE = 100
LAST_ROW = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RetentionTimes:
    """Nanoseconds: how often rules are applied, and how long a run may be silent before another replica goes on.

    `settle_seconds` is how long files stay after cached results that point at them were deleted.
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
    """`owner` tells this replica from others; `domains` are those of every project."""

    def __init__(
        self,
        repository: RetentionRepository,
        projects: ProjectRepository,
        domains: Sequence[str],
        files: LeftFiles,
        cache: CachedResults | None,
        clock: Clock,
        times: RetentionTimes,
        owner: str,
    ) -> None:
        self._repository = repository
        self._projects = projects
        self._domains = domains
        self._files = files
        self._cache = cache
        self._clock = clock
        self._times = times
        self._owner = owner

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
        if request.dry_run:
            kept = await self._count(counts, [remains], Kept.NOTHING, needs)
            return admin.DeleteExecutionResponse(counts=counts.message(), kept=[each.message() for each in kept])
        if need.kept_by:
            raise needed(key, need)
        run = await self._begin(key.project, key.domain, key.name, principal)
        error = "cut off"
        try:
            others = await self._repository.remains(sorted(need.group - {remains.row_id}, reverse=True))
            kept = await self._delete([*others, remains], Kept.NOTHING, counts, needs)
            error = "others have begun to refer to it" if kept else ""
        except ElevonError as failure:
            error = failure.message
            raise
        finally:
            await self._repository.progress(run, counts, self._clock(), error)
        if kept:
            raise FailedPrecondition(f"execution {key} is kept: {error}")
        return admin.DeleteExecutionResponse(counts=counts.message())

    async def apply(self, project: str, domain: str, *, dry_run: bool, principal: str = "") -> AsyncIterator[Progress]:
        """Apply a rule now and tell the progress. Raises InvalidArgument, NotFound, FailedPrecondition, Unavailable."""
        if not project or not domain:
            raise InvalidArgument.missing("domain" if project else "project")
        rule = rule_for(await self._repository.rules(), project, domain)
        if rule is None:
            raise NotFound(f"project {project} has no retention policy for domain {domain}")
        if dry_run:
            async for progress in self._steps(rule, domain, Counts(), dry_run=True):
                yield progress
            return
        if not await self._claim(project, domain, forced=True):
            raise FailedPrecondition(f"the retention policy of {project}/{domain} is being applied already")
        async for progress in self._claimed(rule, domain, principal):
            yield progress

    async def apply_if_due(self, project: str, domain: str, principal: str) -> bool:
        """Apply a rule whose time has come, unless another replica does; True when it was applied."""
        rule = rule_for(await self._repository.rules(), project, domain)
        if rule is None or not await self._claim(project, domain, forced=False):
            return False
        async for _ in self._claimed(rule, domain, principal):
            pass
        return True

    async def scopes(self) -> list[tuple[str, str]]:
        """Every project and domain that has a rule."""
        rules = await self._repository.rules()
        found = {
            (rule.project, domain) for rule in rules for domain in ([rule.domain] if rule.domain else self._domains)
        }
        return sorted(found)

    async def _claim(self, project: str, domain: str, *, forced: bool) -> bool:
        now = self._clock()
        until = now + self._times.lease
        return await self._repository.claim(project, domain, self._owner, now, until, forced=forced)

    async def _claimed(self, rule: RetentionRule, domain: str, principal: str) -> AsyncIterator[Progress]:
        counts, error = Counts(), "cut off"
        run = await self._begin(rule.project, domain, "", principal)
        try:
            async for progress in self._steps(rule, domain, counts, dry_run=False):
                await self._repository.progress(run, counts, None, "")
                await self._claim(rule.project, domain, forced=True)
                yield progress
            error = ""
        except ElevonError as failure:
            error = failure.message
            raise
        finally:
            now = self._clock()
            await self._repository.progress(run, counts, now, error)
            await self._repository.release(rule.project, domain, self._owner, now + self._times.every)

    async def _steps(
        self, rule: RetentionRule, domain: str, counts: Counts, *, dry_run: bool
    ) -> AsyncIterator[Progress]:
        now = self._clock()
        whole = await self._whole_before(rule, domain, now)
        data = now - rule.data_max_age if rule.data_max_age else 0
        needs = Needs(self._repository, goes_by(rule.project, domain, max(whole, data)))
        to_go = await self._to_go(rule, domain, whole, data)
        # The newest go first: whoever refers to an execution is younger, mostly.
        for before, since, kept in ((data, whole, Kept.OUTLINE), (whole, 0, Kept.NOTHING)):
            async for some in self._portions(rule.project, domain, before, kept, since=since):
                step = self._count if dry_run else self._delete
                yield Progress(counts, to_go, kept=await step(counts=counts, some=some, kept=kept, needs=needs))
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

    async def _delete(self, some: Sequence[Remains], kept: Kept, counts: Counts, needs: Needs) -> Sequence[StillNeeded]:
        """Cached results go first, then files, rows last: whatever is left points at something that is there.

        A row that is left finds its files again; files that are left would be found by nobody.
        """
        going, still = await needs.sorted_out(some)
        places = sorted({place for remains, _ in going for place in remains.places()})
        if going and self._cache is not None:
            evicted = await self._cache.evict_pointing(places, dry_run=False)
            counts.cache_entries += evicted
            if evicted and self._times.settle_seconds:
                await asyncio.sleep(self._times.settle_seconds)
                going, more = await needs.sorted_out([remains for remains, _ in going])
                still += more
        now = self._clock()
        doomed = [remains for remains, group in going if await self._repository.doom(remains, group, now)]
        for start in range(0, len(doomed), FILES_AT_ONCE):
            await asyncio.gather(*(self._files.delete(remains) for remains in doomed[start : start + FILES_AT_ONCE]))
        rows = [remains.row_id for remains in doomed]
        if kept is Kept.NOTHING:
            await self._repository.delete_executions(rows)
        else:
            await self._repository.delete_data(rows, self._clock())
        _add(counts, doomed, kept)
        spared = {remains.row_id for remains, _ in going} - set(rows)
        still += [StillNeeded(remains.key, ()) for remains, _ in going if remains.row_id in spared]
        counts.kept += len(still)
        return still

    async def _count(self, counts: Counts, some: Sequence[Remains], kept: Kept, needs: Needs) -> Sequence[StillNeeded]:
        """What `_delete` would do."""
        going, still = await needs.sorted_out(some)
        if going and self._cache is not None:
            places = sorted({place for remains, _ in going for place in remains.places()})
            counts.cache_entries += await self._cache.evict_pointing(places, dry_run=True)
        _add(counts, [remains for remains, _ in going], kept)
        counts.kept += len(still)
        return still

    async def _pruned(
        self, cache: CachedResults, rule: RetentionRule, domain: str, counts: Counts, *, dry_run: bool
    ) -> AsyncIterator[int]:
        while True:
            gone = await cache.prune(rule.project, domain, rule.cache_max_age, dry_run=dry_run)
            counts.cache_entries += gone
            yield gone
            if dry_run or not gone:
                return

    async def _begin(self, project: str, domain: str, execution: str, principal: str) -> int:
        run = StoredRun(0, project, domain, execution, self._clock(), None, Counts(), "", principal)
        return await self._repository.begin(run)


def rule_for(rules: Sequence[RetentionRule], project: str, domain: str) -> RetentionRule | None:
    """The rule that counts for a project and domain: its own, else that of the whole project."""
    found = {rule.domain: rule for rule in rules if rule.project == project}
    return found.get(domain) or found.get("")


def _add(counts: Counts, some: Sequence[Remains], kept: Kept) -> None:
    if kept is Kept.NOTHING:
        counts.executions += len(some)
    else:
        counts.outlines += len(some)
    counts.nodes += sum(remains.nodes for remains in some)
