"""Signals of gates, made known to admin; an outage of admin is waited for."""

from __future__ import annotations

from elevon_core.errors import ElevonError
from elevon_idl.core import v1 as core
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.engine.commands import RegisterSignal
from elevon_propeller.engine.observations import SignalRegistered
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.ports import AdminService
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.executor import Post
from elevon_propeller.runtime.persistence import persist


class Signals:
    """Carries out RegisterSignal; each returns at once and goes on in the background."""

    def __init__(self, service: AdminService, post: Post, clock: Clock) -> None:
        self._service = service
        self._post = post
        self._clock = clock
        self._tasks = BackgroundTasks("signals")

    async def register(self, actor: Actor, command: RegisterSignal) -> None:
        """Begin to make a signal known."""
        self._tasks.start(self._register(actor, command), "register")

    async def close(self) -> None:
        """Leave what is not done; it is asked for again after a restart."""
        await self._tasks.stop()

    async def _register(self, actor: Actor, command: RegisterSignal) -> None:
        seen = SignalRegistered(self._clock(), command.node_id, command.number)
        try:
            seen.value = await persist(
                lambda: self._service.register_signal(actor.state.identifier, command.signal_id, command.type),
                lambda: _is_wanted(actor, command),
                what=f"signal {command.signal_id}",
            )
        except ElevonError as error:
            message = f"the signal {command.signal_id} cannot be registered: {error.message}"
            seen.error = core.ExecutionError(
                code="RuntimeExecutionError", message=message, kind=core.ExecutionError.USER
            )
        seen.at = self._clock()
        self._post(actor, seen)


def _is_wanted(actor: Actor, command: RegisterSignal) -> bool:
    node = actor.state.nodes.get(command.node_id)
    if actor.closed or node is None:
        return False
    return node.phase == NodePhase.RUNNING and node.attempt == command.number
