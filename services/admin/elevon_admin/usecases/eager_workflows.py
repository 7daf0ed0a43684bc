"""Executions that eager workflows have started: they do not outlive one that fails or is aborted.

An eager workflow is a task that creates executions and labels them with the name of the one it runs in. Its SDK
terminates them only in good cases; a process that was killed cannot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from elevon_core.errors import FailedPrecondition, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event

from elevon_admin.domain.event_batches import AnyEvent
from elevon_admin.domain.executions import StoredExecution
from elevon_admin.domain.filters import Filter, FilterFunction
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.execution_ports import ExecutionRepository
from elevon_admin.usecases.terminate import Terminate

LABEL = "eager-exec"
"""The label whose value is the name of the execution that an eager workflow runs in."""

_ENDED_BADLY = frozenset(
    {core.WorkflowExecution.ABORTED, core.WorkflowExecution.FAILED, core.WorkflowExecution.TIMED_OUT}
)
_LIVE = ("UNDEFINED", "QUEUED", "RUNNING", "FAILING")
_AT_A_TIME = 100


class EagerWorkflows:
    """Terminates what eager workflows leave behind."""

    def __init__(self, executions: ExecutionRepository, terminate: Terminate) -> None:
        self._executions = executions
        self._terminate = terminate

    async def after(self, events: Iterable[AnyEvent]) -> None:
        """Act on events that are recorded; may be repeated.

        Costs one query for each project and domain in which an execution has ended without success.
        """
        ended: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reported in events:
            if isinstance(reported, event.WorkflowExecutionEvent) and reported.phase in _ENDED_BADLY:
                identifier = reported.execution_id
                ended[identifier.project, identifier.domain].add(identifier.name)
        for (project, domain), names in ended.items():
            await self._end_children(project, domain, sorted(names))

    async def _end_children(self, project: str, domain: str, names: Sequence[str]) -> None:
        filters = (
            Filter(FilterFunction.EQUAL, "execution_tag", "key", (LABEL,)),
            Filter(FilterFunction.VALUE_IN, "execution_tag", "value", tuple(names)),
            Filter(FilterFunction.VALUE_IN, "", "phase", _LIVE),
        )
        while True:
            found = await self._executions.list(project, domain, "", filters, None, Page(_AT_A_TIME))
            for child in found:
                await self._end(child)
            if len(found) <= _AT_A_TIME:
                return

    async def _end(self, child: StoredExecution) -> None:
        parent = child.spec.labels.values.get(LABEL, "")
        cause = f"cascading abort as the eager workflow of execution id [{parent}] ended"
        request = admin.ExecutionTerminateRequest(id=_identifier(child.key), cause=cause)
        try:
            await self._terminate.terminate(request)
        except (FailedPrecondition, NotFound):
            return  # it has ended meanwhile


def _identifier(key: ExecutionKey) -> core.WorkflowExecutionIdentifier:
    return core.WorkflowExecutionIdentifier(project=key.project, domain=key.domain, name=key.name)
