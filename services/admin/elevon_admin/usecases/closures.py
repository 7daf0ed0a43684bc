"""Compiled workflows as the engine gets them: with the platform's resources filled in, known by their digest."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.entities import LaunchParts
from elevon_admin.domain.execution_queues import ExecutionQueues, assign_queue
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.task_resources import PlatformResources, fill_resources
from elevon_admin.execution_ports import AttributeSource, LaunchAttributes, LaunchSource

_MOST_DIGESTS = 10_000


class Closures:
    """Digests are kept, closures are made anew: the engine rarely asks for the same one twice."""

    def __init__(
        self,
        source: LaunchSource,
        attributes: AttributeSource,
        resources: admin.TaskResourceAttributes,
        queues: ExecutionQueues | None = None,
    ) -> None:
        self._source = source
        self._attributes = attributes
        self._resources = resources
        self._queues = queues or ExecutionQueues()
        self._digests: OrderedDict[tuple[int, bytes, str], bytes] = OrderedDict()

    def digest(self, parts: LaunchParts, attributes: LaunchAttributes, execution: ExecutionKey) -> bytes:
        """The SHA-256 of the closure that an execution of these parts runs."""
        applied = attributes.task_resources or self._resources
        queue = self._queues.choose(attributes.queue_tags, execution.domain, execution.name)
        key = (parts.workflow_row, applied.SerializeToString(deterministic=True), queue)
        found = self._digests.get(key)
        if found is None:
            found = digest_of(self._filled(parts.closure, applied, queue))
            self._digests[key] = found
            if len(self._digests) > _MOST_DIGESTS:
                self._digests.popitem(last=False)
        return found

    async def closure(
        self, workflow_row: int, execution: ExecutionKey, launch_plan: str
    ) -> core.CompiledWorkflowClosure:
        """The closure that an execution of a workflow's row runs, as a message of the caller's own; raises NotFound."""
        closure = await self._source.workflow(workflow_row)
        workflow = closure.primary.template.id
        attributes = await self._attributes.for_launch(execution.project, execution.domain, workflow, launch_plan)
        queue = self._queues.choose(attributes.queue_tags, execution.domain, execution.name)
        return self._filled(closure, attributes.task_resources or self._resources, queue)

    def _filled(
        self, closure: core.CompiledWorkflowClosure, resources: admin.TaskResourceAttributes, queue: str
    ) -> core.CompiledWorkflowClosure:
        filled = core.CompiledWorkflowClosure()
        filled.CopyFrom(closure)
        fill_resources(filled, PlatformResources.of(resources))
        assign_queue(filled, queue)
        return filled


def digest_of(closure: core.CompiledWorkflowClosure) -> bytes:
    """What tells one closure from another: 32 bytes."""
    return hashlib.sha256(closure.SerializeToString(deterministic=True)).digest()
