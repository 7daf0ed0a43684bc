"""Registering and reading tasks."""

from __future__ import annotations

from elevon_core.compiler import compile_task
from elevon_core.errors import AlreadyExists, ElevonError, InvalidArgument
from elevon_core.identifiers import validate_identifier
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.digests import digests, request_digest
from elevon_admin.domain.entities import Digests, EntityKey, NewEntity, Standing, StoredTask
from elevon_admin.domain.paging import cut_by_size
from elevon_admin.domain.stored_text import check_text
from elevon_admin.domain.task_rules import Whitelist, check_resources, check_template, check_whitelisted
from elevon_admin.ports import Clock, PlatformLimits, TaskRepository
from elevon_admin.usecases.conflicts import different, identical
from elevon_admin.usecases.listing import resource_listing
from elevon_admin.usecases.projects import Projects
from elevon_admin.usecases.registry_reads import RegistryReads
from elevon_admin.usecases.resource_types import with_type


class Tasks:
    """The tasks of the registry."""

    def __init__(
        self,
        tasks: TaskRepository,
        reads: RegistryReads,
        projects: Projects,
        limits: PlatformLimits,
        whitelist: Whitelist,
        clock: Clock,
    ) -> None:
        self._tasks = tasks
        self._reads = reads
        self._projects = projects
        self._limits = limits
        self._whitelist = whitelist
        self._clock = clock

    async def create(self, request: admin.TaskCreateRequest) -> None:
        """Register a task; a repeated request costs one look-up.

        Raises InvalidArgument for what is wrong or differs from what is registered under the id, AlreadyExists for a
        repetition. The request's template gets the request's id.
        """
        validate_identifier(request.id, core.TASK)
        key = EntityKey.of(request.id)
        standing = await self._tasks.standing(key)
        self._projects.check_state(key.project, standing.project_state, key.domain)
        if not request.spec.HasField("template"):
            raise InvalidArgument.missing("spec")
        template = request.spec.template
        template.id.CopyFrom(request.id)
        check_text("short_description", request.spec.description.short_description)
        requested = request_digest([template])
        if standing.existing is not None and standing.existing.request == requested:
            raise identical(core.TASK, key)
        compiled = await self._compile(template, key)
        made = digests(requested, compiled)
        if standing.existing is not None:
            raise await self._conflict(key, standing, compiled, made)
        await self._add(request, key, compiled, made)

    async def get(self, identifier: core.Identifier) -> admin.Task:
        """The task; raises InvalidArgument and NotFound."""
        validate_identifier(with_type(identifier, core.TASK), core.TASK)
        return task_message(await self._reads.task(EntityKey.of(identifier)))

    async def list(self, request: admin.ResourceListRequest) -> admin.TaskList:
        """A page of tasks with their closures; shorter where they are large."""
        scope, filters, sort, page = resource_listing(request, "ListTasks")
        rows, token = cut_by_size(page, await self._tasks.list(scope, filters, sort, page), lambda task: task.size)
        return admin.TaskList(tasks=[task_message(task) for task in rows], token=token)

    async def _compile(self, template: core.TaskTemplate, key: EntityKey) -> core.CompiledTask:
        check_template(template)
        check_text("type", template.type)
        check_whitelisted(template.type, key.project, key.domain, self._whitelist)
        compiled = compile_task(template)
        check_resources(template, await self._limits.task_resource_limits(key.project, key.domain))
        return compiled

    async def _add(
        self, request: admin.TaskCreateRequest, key: EntityKey, compiled: core.CompiledTask, made: Digests
    ) -> None:
        description = request.spec.description if request.spec.HasField("description") else None
        entity = NewEntity(key, made, self._clock(), description)
        try:
            self._reads.keep_task(await self._tasks.add(entity, compiled))
        except AlreadyExists:
            raise await self._conflict(key, await self._tasks.standing(key), compiled, made) from None

    async def _conflict(
        self, key: EntityKey, standing: Standing, compiled: core.CompiledTask, made: Digests
    ) -> ElevonError:
        if standing.existing is not None and standing.existing.structure == made.structure:
            return identical(core.TASK, key)
        return different(core.TASK, key, (await self._reads.task(key)).compiled, compiled)


def task_message(task: StoredTask) -> admin.Task:
    """The task as clients read it."""
    message = admin.Task(id=task.key.identifier(core.TASK), short_description=task.short_description)
    message.closure.compiled_task.CopyFrom(task.compiled)
    message.closure.created_at.FromNanoseconds(task.created_at)
    return message
