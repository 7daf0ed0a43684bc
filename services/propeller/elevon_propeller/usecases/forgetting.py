"""Letting go of executions that have ended: their rows and their files."""

from __future__ import annotations

import asyncio

from elevon_core import identifiers, naming
from elevon_core.errors import FailedPrecondition
from elevon_core.portions import portions
from elevon_idl.propeller import v1 as propeller
from elevon_kit.blobs import BlobStore

from elevon_propeller.engine.paths import raw_folder
from elevon_propeller.plugins.registry import Registry
from elevon_propeller.runtime.runtime import Runtime

DELETIONS_AT_ONCE = 16
"""Folders that are deleted at the same time."""


class Forgetting:
    """Deletes what executions have left behind."""

    def __init__(self, runtime: Runtime, blobs: BlobStore, plugins: Registry) -> None:
        self._runtime = runtime
        self._plugins = plugins
        self._blobs = blobs

    async def forget(self, request: propeller.ForgetExecutionRequest) -> None:
        """Delete files and logs first, so that a call which fails can be repeated.

        Raises FailedPrecondition while it runs, Unavailable when something is out of reach.
        """
        execution = request.execution_id
        identifiers.validate_execution_identifier(execution, "execution_id")
        row = await self._runtime.store.find_execution(execution.project, execution.domain, execution.name)
        if row is not None and row.ended_at == 0:
            raise FailedPrecondition(f"execution {execution.name} has not ended")
        policy = self._runtime.policy
        folder = naming.metadata_folder(execution.project, execution.domain, execution.name)
        folders = [f"{policy.metadata_root}/{folder}"]
        raw = (request.raw_output_prefix or policy.raw_output_prefix).rstrip("/")
        names = [
            naming.attempt_name(execution.project, execution.domain, execution.name, of_node.node_id, number)
            for of_node in request.attempts
            for number in range(of_node.attempts)
        ]
        folders += [raw_folder(raw, name) for name in names]
        for some in portions(folders, DELETIONS_AT_ONCE):
            await asyncio.gather(*(self._blobs.delete_prefix(folder) for folder in some))
        await self._plugins.forget(names)
        if row is not None:
            await self._runtime.store.forget(row.key)
