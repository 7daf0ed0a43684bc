"""Task calls of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.usecases.named_entities import NamedEntities
from elevon_admin.usecases.tasks import Tasks


class TaskRpcs:
    """Decodes, calls, encodes."""

    tasks: Tasks
    named_entities: NamedEntities

    async def CreateTask(self, request: admin.TaskCreateRequest, context: object) -> admin.TaskCreateResponse:
        """Register a task."""
        await self.tasks.create(request)
        return admin.TaskCreateResponse()

    async def GetTask(self, request: admin.ObjectGetRequest, context: object) -> admin.Task:
        """Answer one task."""
        return await self.tasks.get(request.id)

    async def ListTaskIds(
        self, request: admin.NamedEntityIdentifierListRequest, context: object
    ) -> admin.NamedEntityIdentifierList:
        """Answer a page of task names."""
        return await self.named_entities.list_ids(core.TASK, request, "ListTaskIds")

    async def ListTasks(self, request: admin.ResourceListRequest, context: object) -> admin.TaskList:
        """Answer a page of tasks."""
        return await self.tasks.list(request)
