"""What the plugin needs of a connector service: the port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from elevon_core.errors import Internal
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core


class NonsenseAnswer(Internal):
    """A connector answered something that has no meaning; asking again would not help."""


class ConnectorService(Protocol):
    """One connector service; every method but `close` raises an ElevonError of the kind of the call's status.

    Unavailable and DeadlineExceeded say nothing about whether the call was carried out. NonsenseAnswer is raised for
    answers that cannot be read or lack what they must have.
    """

    async def list_agents(self) -> Sequence[connector.Agent]:
        """The connectors that are there now."""

    async def create_task(self, request: connector.CreateTaskRequest) -> bytes:
        """Start a job; returns the `resource_meta` by which it is found again, which may be empty."""

    async def get_task(self, request: connector.GetTaskRequest) -> connector.Resource:
        """How a job stands."""

    async def delete_task(self, request: connector.DeleteTaskRequest) -> None:
        """Stop a job."""

    async def execute_task_sync(
        self, header: connector.CreateRequestHeader, inputs: core.LiteralMap
    ) -> connector.Resource:
        """Run a job to its end; cancelling gives it up."""

    async def connected(self) -> None:
        """Return once the service can be reached; never raises."""

    async def close(self) -> None:
        """Let go of the connection."""
