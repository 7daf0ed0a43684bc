"""The rules of events once more, written down as plainly as possible; the code is compared with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from elevon_idl.core import v1 as core

W, N, T = core.WorkflowExecution, core.NodeExecution, core.TaskExecution
WORKFLOW_ENDS = {W.SUCCEEDED, W.FAILED, W.ABORTED, W.TIMED_OUT}
NODE_ENDS = {N.SUCCEEDED, N.FAILED, N.ABORTED, N.SKIPPED, N.TIMED_OUT, N.RECOVERED}
TASK_ENDS = {T.SUCCEEDED, T.FAILED, T.ABORTED}
OK, EXISTS, PRECONDITION, MISSING = "ok", "already exists", "failed precondition", "not found"


@dataclass
class Entity:
    """What the rules say about one execution, node or attempt; times in whole seconds."""

    phase: int = 0
    version: int = 0
    created: int | None = None
    started: int | None = None
    updated: int | None = None
    duration: int | None = None
    error: str = ""
    reasons: list[str] = field(default_factory=list)


@dataclass
class Reference:
    """An execution, its nodes and its attempts."""

    workflow: Entity = field(default_factory=Entity)
    cluster: str = ""
    nodes: dict[str, Entity] = field(default_factory=dict)
    tasks: dict[tuple[str, int], Entity] = field(default_factory=dict)

    def tell(self, kind: str, **event: Any) -> str:
        """Take an event and answer what becomes of it."""
        takers: dict[str, Callable[..., str]] = {"workflow": self._workflow, "node": self._node, "task": self._task}
        return takers[kind](**event)

    def _foreign(self, producer: str) -> bool:
        return producer not in ("", "propeller", self.cluster)

    def _workflow(self, phase: int, at: int, producer: str, error: str = "") -> str:
        now = self.workflow
        if phase != W.QUEUED and phase == now.phase:
            return EXISTS
        if phase not in (W.QUEUED, W.UNDEFINED) and self._foreign(producer):
            return PRECONDITION
        if now.phase in WORKFLOW_ENDS:
            return PRECONDITION
        if now.phase == W.RUNNING and phase == W.QUEUED:
            return PRECONDITION
        if now.phase == W.ABORTING and phase not in WORKFLOW_ENDS:
            return PRECONDITION
        if phase in (W.QUEUED, W.UNDEFINED) and producer not in ("", "propeller"):
            self.cluster = producer
        now.phase, now.updated = phase, at
        if phase == W.RUNNING:
            now.started = at
        if phase in WORKFLOW_ENDS and now.started is not None:
            now.duration = at - now.started
        now.error = error or now.error
        return OK

    def _node(self, name: str, phase: int, at: int, producer: str, error: str = "") -> str:
        if self._foreign(producer):
            return PRECONDITION
        now = self.nodes.get(name)
        if now is None:
            now = self.nodes[name] = Entity(created=at)
        elif now.phase == phase:
            return EXISTS
        elif now.phase in NODE_ENDS:
            return PRECONDITION
        now.phase, now.updated = phase, at
        if phase == N.RUNNING:
            now.started = at
        if phase in NODE_ENDS:
            now.error = error
            if now.started is not None:
                now.duration = at - now.started
        return OK

    def _task(
        self,
        name: str,
        attempt: int,
        phase: int,
        version: int,
        at: int,
        producer: str,
        reason: str = "",
        error: str = "",
    ) -> str:
        if self._foreign(producer):
            return PRECONDITION
        now = self.tasks.get((name, attempt))
        if now is None:
            if name not in self.nodes:
                return MISSING
            now = self.tasks[name, attempt] = Entity(created=at)
        elif now.phase == phase and now.version >= version:
            return EXISTS
        elif now.phase in TASK_ENDS:
            return PRECONDITION
        now.phase, now.version, now.updated = phase, version, at
        if phase == T.RUNNING and now.started is None:
            now.started = at
        if phase in TASK_ENDS:
            now.error = error
            if now.started is not None:
                now.duration = at - now.started
        if reason and (not now.reasons or now.reasons[-1] != reason):
            now.reasons.append(reason)
        return OK
