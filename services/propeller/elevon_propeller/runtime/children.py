"""Executions launched for launch-plan nodes: created and terminated through admin, their ends brought to the parents.

A child that ends in this process tells its parent at once, and other replicas hear of its end. One whose end was missed
is found when the parent asks: in the engine's own store, else with admin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from elevon_core import naming
from elevon_core.errors import AlreadyExists, ElevonError, FailedPrecondition, NotFound
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore
from elevon_kit.logging import get_logger
from elevon_kit.retry import RetryPolicy
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.engine import children
from elevon_propeller.engine.commands import AskChild, LaunchChild, StopChild
from elevon_propeller.engine.observations import ChildEnded, ChildLaunched, ChildStopped
from elevon_propeller.engine.phases import ExecutionPhase, NodePhase, wire_execution_phase
from elevon_propeller.engine.plan import END_NODE
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import NodeState
from elevon_propeller.ports import AdminService, ChildOutcome, ExecutionRow, Store
from elevon_propeller.runtime.actors import Actor, Name
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.executor import Post
from elevon_propeller.runtime.outbox import Outbox
from elevon_propeller.runtime.persistence import first, persist
from elevon_propeller.runtime.tenure import Tenure

log = get_logger("children")

CALLS_AT_ONCE = 64

Workflow = core.WorkflowExecution


@dataclass(frozen=True, slots=True)
class Watch:
    """Which node of which execution waits for a child."""

    parent: Name
    node_id: str
    number: int


@dataclass(slots=True)
class _Launch:
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def is_wanted(self) -> bool:
        """False once the node is being stopped."""
        return not self.unwanted.is_set()


class Children:
    """Carries out the commands of launch-plan nodes; each returns at once and goes on in the background."""

    def __init__(
        self,
        service: AdminService,
        store: Store,
        blobs: BlobStore,
        outbox: Outbox,
        actors: Mapping[Name, Actor],
        post: Post,
        policy: EnginePolicy,
        clock: Clock,
        *,
        tenure: Tenure,
        data_limit: int,
        retries: RetryPolicy,
    ) -> None:
        self._service = service
        self._store = store
        self._blobs = blobs
        self._outbox = outbox
        self._actors = actors
        self._post = post
        self._policy = policy
        self._clock = clock
        self._tenure = tenure
        self._data_limit = data_limit
        self._retries = retries
        self._watches: dict[Name, Watch] = {}
        self._launches: dict[tuple[int, str], _Launch] = {}
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._tasks = BackgroundTasks("children")

    async def launch(self, actor: Actor, command: LaunchChild) -> None:
        """Have admin create the execution."""
        node = _waiting(actor, command.node_id, command.number)
        place = (actor.key, command.node_id)
        if node is None or place in self._launches:
            return
        self._watch(actor, node)
        launch = self._launches[place] = _Launch()
        self._tasks.start(self._launch(actor, command, launch), "launch")

    async def ask(self, actor: Actor, command: AskChild) -> None:
        """Look how the execution stands."""
        node = _waiting(actor, command.node_id, command.number)
        if node is not None:
            self._watch(actor, node)
            self._tasks.start(self._look(actor, command.node_id, command.number), "look")

    async def stop(self, actor: Actor, command: StopChild) -> None:
        """Have admin terminate the execution."""
        self._watches.pop(_name(command.child), None)
        launch = self._launches.get((actor.key, command.node_id))
        if launch is not None:
            launch.unwanted.set()
        self._tasks.start(self._stop(actor, command, launch), "stop")

    def ended(self, child: Actor) -> None:
        """An execution has ended here: tell the node that waits for it, if there is one."""
        watch = self._watches.pop(child.name, None)
        parent = self._actors.get(watch.parent) if watch is not None else None
        if watch is None or parent is None:
            return
        state = child.state
        outputs = state.scope.nodes[END_NODE].outputs
        if state.phase == ExecutionPhase.SUCCEEDED and outputs is None:
            self._tasks.start(self._look(parent, watch.node_id, watch.number), "look")
            return
        phase = wire_execution_phase(state.phase)
        self._post(parent, ChildEnded(self._clock(), watch.node_id, watch.number, phase, outputs, state.error))

    def heard(self, name: Name) -> None:
        """An execution has ended at another replica: look at it if a node here waits for it."""
        watch = self._watches.get(name)
        parent = self._actors.get(watch.parent) if watch is not None else None
        if watch is not None and parent is not None:
            self._tasks.start(self._look(parent, watch.node_id, watch.number), "look")

    async def close(self) -> None:
        """Leave what is not done; it is asked for again after a restart."""
        await self._tasks.stop()

    def _watch(self, actor: Actor, node: NodeState) -> None:
        child = children.identifier(actor.state, node)
        self._watches[_name(child)] = Watch(actor.name, node.id, node.attempt)

    async def _launch(self, actor: Actor, command: LaunchChild, launch: _Launch) -> None:
        """Create the execution once admin has been told of the node that it belongs to."""
        try:
            await first(self._outbox.delivered(actor.shard), launch.unwanted.wait())
            existed = await persist(lambda: self._create(actor, command, launch), launch.is_wanted, what="launch")
        except ElevonError as error:
            failure = core.ExecutionError(
                code="RuntimeExecutionError", message=f"cannot launch: {error.message}", kind=core.ExecutionError.USER
            )
            self._post(actor, ChildLaunched(self._clock(), command.node_id, command.number, failure))
        else:
            if existed is not None:
                self._post(actor, ChildLaunched(self._clock(), command.node_id, command.number))
            if existed:
                await self._look(actor, command.node_id, command.number)
        finally:
            del self._launches[actor.key, command.node_id]
            launch.done.set()

    async def _create(self, actor: Actor, command: LaunchChild, launch: _Launch) -> bool | None:
        """True when the execution existed, None when it is not wanted any more."""
        async with self._calls:
            await self._tenure.holds(actor)
            node = _waiting(actor, command.node_id, command.number)
            if node is None or launch.unwanted.is_set():
                return None
            try:
                await self._launch_or_recover(actor, node)
            except AlreadyExists:
                if await self._is_unknown(children.identifier(actor.state, node)):
                    raise  # the launch plan has as many executions as it may have
                return True
            return False

    async def _is_unknown(self, child: core.WorkflowExecutionIdentifier) -> bool:
        """Whether admin has no such execution; it refuses one too many of a launch plan as if it existed."""
        try:
            await self._service.outcome(child)
        except NotFound:
            return True
        return False

    async def _launch_or_recover(self, actor: Actor, node: NodeState) -> None:
        """Create the execution, as one that goes on with what the original has launched when there is such a one."""
        recover = children.recover_request(actor.state, node)
        if recover is not None:
            try:
                await self._service.recover(recover)
                return
            except NotFound as error:
                log.info("launched from scratch", child=recover.name, reason=error.message)
        await self._service.launch(children.launch_request(actor.state, node))

    async def _stop(self, actor: Actor, command: StopChild, launch: _Launch | None) -> None:
        """Terminate the execution, after a launch that is under way: what it creates must not outlive the node."""
        if launch is not None:
            await launch.done.wait()
        what = f"terminate {command.child.name}"
        try:
            await persist(lambda: self._terminate(command), lambda: not actor.closed, what=what)
        except ElevonError as error:
            log.warning("child cannot be terminated", child=command.child.name, error=error.message)
        self._post(actor, ChildStopped(self._clock(), command.node_id, command.number))

    async def _terminate(self, command: StopChild) -> None:
        async with self._calls:
            try:
                await self._service.terminate(command.child, command.cause)
            except (NotFound, FailedPrecondition):
                return

    async def _look(self, actor: Actor, node_id: str, number: int) -> None:
        """Post how a child has ended; nothing while it runs, or cannot be asked about."""
        node = _waiting(actor, node_id, number)
        if node is None:
            return
        child = children.identifier(actor.state, node)
        try:
            outcome = await self._outcome(child)
        except ElevonError as error:
            log.info("child cannot be looked at", child=child.name, error=error.message)
            return
        if outcome is None:
            return
        self._watches.pop(_name(child), None)
        seen = ChildEnded(self._clock(), node_id, number, outcome.phase, outcome.outputs, outcome.error)
        self._post(actor, await self._with_outputs(seen, outcome))

    async def _outcome(self, child: core.WorkflowExecutionIdentifier) -> ChildOutcome | None:
        name = _name(child)
        if name in self._actors:
            return None
        row = await self._store.find_execution(*name)
        if row is not None:
            return self._outcome_of(row) if row.ended_at else None
        try:
            async with self._calls:
                return await self._service.outcome(child)
        except NotFound as error:
            failure = core.ExecutionError(
                code="RemoteChildWorkflowExecutionFailed", message=error.message, kind=core.ExecutionError.SYSTEM
            )
            return ChildOutcome(Workflow.FAILED, error=failure)

    def _outcome_of(self, row: ExecutionRow) -> ChildOutcome:
        phase = wire_execution_phase(ExecutionPhase(row.phase))
        if phase != Workflow.SUCCEEDED:
            error = core.ExecutionError.FromString(row.error) if row.error is not None else None
            return ChildOutcome(phase, error=error)
        folder = f"{self._policy.metadata_root}/{naming.metadata_folder(row.project, row.domain, row.name)}"
        return ChildOutcome(phase, outputs_uri=f"{folder}/{END_NODE}/data/0/outputs.pb")

    async def _with_outputs(self, seen: ChildEnded, outcome: ChildOutcome) -> ChildEnded:
        """The observation with the outputs that have to be read first."""
        if not outcome.outputs_uri:
            return seen
        uri = outcome.outputs_uri
        try:
            data = await self._retries.run(lambda: self._blobs.read(uri, self._data_limit), what=f"read {uri}")
            seen.outputs = core.LiteralMap.FromString(data)
        except Exception as error:
            text = error.message if isinstance(error, ElevonError) else str(error)
            seen.phase = Workflow.FAILED
            seen.error = core.ExecutionError(
                code="OutputsNotFound", message=f"{uri}: {text}", kind=core.ExecutionError.SYSTEM
            )
        return seen


def _waiting(actor: Actor, node_id: str, number: int) -> NodeState | None:
    """The node, when it still waits for this attempt's execution."""
    node = actor.state.nodes.get(node_id)
    if actor.closed or node is None or node.phase != NodePhase.RUNNING or node.attempt != number:
        return None
    return node


def _name(child: core.WorkflowExecutionIdentifier) -> Name:
    return (child.project, child.domain, child.name)
