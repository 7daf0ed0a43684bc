"""Putting everything about retention together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from elevon_core.errors import ElevonError
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.logging import get_logger
from elevon_kit.tasks import BackgroundTasks

from elevon_admin.domain.retention import BY_SCHEDULE
from elevon_admin.domain.times import NANOSECONDS
from elevon_admin.ports import Clock, ProjectRepository
from elevon_admin.retention_ports import CachedResults, LeftFiles, RetentionRepository
from elevon_admin.retention_settings import RetentionSettings
from elevon_admin.rpc.retention import RETENTION_SERVICE, RetentionServicer
from elevon_admin.usecases.retention import Retention, RetentionTimes

log = get_logger("retention")


@dataclass(slots=True)
class Retaining:
    """What serves retention; `start` needs an open database."""

    retention: Retention
    settings: RetentionSettings
    _tasks: BackgroundTasks = field(default_factory=lambda: BackgroundTasks("retention"))

    def add_to(self, server: GrpcServer) -> None:
        """Serve RetentionService."""
        server.add(RetentionServicer(self.retention), RETENTION_SERVICE)

    def start(self) -> None:
        """Begin to apply rules that are due."""
        if self.settings.enabled:
            self._tasks.keep_running(self._run, "rules")

    async def stop(self) -> None:
        """Stop; a run under way goes on with the next start."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            for project, domain in await self.retention.scopes():
                try:
                    if await self.retention.apply_if_due(project, domain, BY_SCHEDULE):
                        log.info("retention policy applied", project=project, domain=domain)
                except ElevonError as error:
                    log.warning("retention policy not applied", project=project, domain=domain, reason=error.message)
            await asyncio.sleep(self.settings.check_seconds)


def build_retaining(
    settings: RetentionSettings,
    repository: RetentionRepository,
    projects: ProjectRepository,
    domains: Sequence[str],
    files: LeftFiles,
    cache: CachedResults | None,
    clock: Clock,
) -> Retaining:
    """Put it together."""
    times = RetentionTimes(
        every=round(settings.every_seconds * NANOSECONDS),
        lease=round(settings.lease_seconds * NANOSECONDS),
        settle_seconds=settings.settle_seconds,
    )
    return Retaining(Retention(repository, projects, domains, files, cache, clock, times), settings)
