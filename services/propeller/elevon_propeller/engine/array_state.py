"""The running state of an array: elements under way as nodes, all others in a few bytes each."""

from __future__ import annotations

from array import array
from typing import NamedTuple, TypeAlias

from elevon_core.arrays import Items
from elevon_idl.core import v1 as core
from google.protobuf.struct_pb2 import Struct

from elevon_propeller.engine import array_chunks, array_plan
from elevon_propeller.engine.array_chunks import ElementRecord
from elevon_propeller.engine.originals import OriginalNode
from elevon_propeller.engine.phases import SUCCESSFUL, NodePhase, Outcome
from elevon_propeller.engine.plan import ArrayPlan
from elevon_propeller.engine.state import ExecutionState, NodeState, Scope
from elevon_propeller.plugins.contract import Report

CHUNK = 128
"""So many elements share a row. Part of what is stored."""

LONG_ERRORS = 128 * 1024
"""Errors of one array are kept whole until they have so many bytes together, later ones are cut."""

_CUT_ERROR = 256
_WHOLE_ERROR = 16 * 1024
_FAILURES = frozenset({NodePhase.FAILED, NodePhase.TIMED_OUT})
_SLOT_PHASES = frozenset({NodePhase.RUNNING, NodePhase.STOPPING})
_RESERVED = 1

TaskPhase: TypeAlias = core.TaskExecution.Phase.ValueType


class ElementState(NodeState):
    """An element that is under way; it is a node in everything but its row and its events."""

    __slots__ = ("index",)

    def __init__(self, index: int, scope: ArrayScope) -> None:
        super().__init__(f"{scope.prefix}{index}", scope.plan.element, scope)
        self.index = index

    @property
    def array(self) -> ArrayScope:
        """The array it belongs to."""
        assert isinstance(self.scope, ArrayScope)
        return self.scope


class Change(NamedTuple):
    """What is to be told of one attempt of an element."""

    phase: TaskPhase
    cache_status: core.CatalogCacheStatus.ValueType
    logs: tuple[core.TaskLog, ...] = ()
    custom_info: Struct | None = None
    child: core.WorkflowExecutionIdentifier | None = None


class ArrayScope(Scope):
    """The elements of an array node.

    `live` holds those under way; of the others only columns are kept: phase, attempt, cache status, outputs as bytes
    or as a URI, error. Elements begin in order: `begun` counts them. `changes` are the attempts, by index and number,
    of which admin has not been told. `minimum` of them must succeed. `noticed` says that the array is about to be
    looked at, `waking` that a timer will see to it. `slotless` elements do not count against max_parallelism. What is
    stored of an array stays unless `succeeded_whole`: an execution that recovers this one goes on with it.
    """

    __slots__ = (
        "_error_bytes",
        "_errors_known",
        "attempts",
        "begun",
        "cache_statuses",
        "changes",
        "closed",
        "errors",
        "failed",
        "gathering",
        "items",
        "minimum",
        "noticed",
        "outputs",
        "phases",
        "plan",
        "prefix",
        "size",
        "slotless",
        "succeeded",
        "succeeded_whole",
        "system_failures",
        "tell_at",
        "uris",
        "waking",
    )

    def __init__(self, plan: ArrayPlan, parent: NodeState, size: int, *, slotless: bool) -> None:
        super().__init__(plan.graph, parent)
        self.plan = plan
        self.size = size
        self.minimum = array_plan.minimum_of(plan.required, size)
        self.items: Items | None = None
        self.slotless = slotless
        # Unlike other ids these are not shortened to 20 characters: hashes of many thousand elements would collide.
        self.prefix = f"{parent.id}-{parent.attempt}-n"
        self.phases = bytearray(size)
        self.attempts = array("H", bytes(2 * size))
        self.system_failures = bytearray(size)
        self.cache_statuses = bytearray(size)
        self.outputs: dict[int, bytes] = {}
        self.uris: dict[int, str] = {}
        self.errors: dict[int, core.ExecutionError] = {}
        self.begun = self.succeeded = self.failed = 0
        self.changes: dict[tuple[int, int], Change] = {}
        self.closed = self.succeeded_whole = self.gathering = self.noticed = self.waking = False
        self.tell_at = 0
        self._errors_known: dict[tuple[str, str, int], core.ExecutionError] = {}
        self._error_bytes = 0

    @property
    def node(self) -> NodeState:
        """The array node."""
        assert self.parent is not None
        return self.parent

    @property
    def array_id(self) -> str:
        """The unique id of the array node."""
        return self.node.id

    def element(self, state: ExecutionState, index: int) -> ElementState:
        """Make the node of an element that is to be under way."""
        element = ElementState(index, self)
        state.nodes[element.id] = element
        return element

    def leave(self, state: ExecutionState, node: NodeState) -> None:
        """An element has ended: keep of it what is needed."""
        super().leave(state, node)
        assert isinstance(node, ElementState)
        index = node.index
        self.phases[index] = int(node.phase)
        self.attempts[index] = node.attempt
        self.system_failures[index] = min(node.system_failures, 255)
        self.cache_statuses[index] = int(node.cache_status)
        if node.outputs is not None:
            self.outputs[index] = node.outputs.SerializeToString()
        elif node.outputs_uri:
            self.uris[index] = node.outputs_uri
        if node.error is not None and node.phase not in SUCCESSFUL:
            self.errors[index] = self._kept(node.error)
        self._count(node.phase)
        state.nodes.pop(node.id, None)

    def recover(self, index: int, found: OriginalNode) -> None:
        """Take over an element that has succeeded in the original."""
        self.phases[index] = int(NodePhase.RECOVERED)
        self.cache_statuses[index] = int(found.cache_status)
        if found.outputs is not None:
            self.outputs[index] = found.outputs
        elif found.outputs_uri:
            self.uris[index] = found.outputs_uri
        self.changes[index, 0] = Change(core.TaskExecution.SUCCEEDED, found.cache_status)
        self._count(NodePhase.RECOVERED)

    def note(
        self,
        node: ElementState,
        phase: TaskPhase,
        report: Report | None = None,
        child: core.WorkflowExecutionIdentifier | None = None,
    ) -> None:
        """Remember to tell a phase of the element's present attempt."""
        place = (node.index, node.attempt)
        before = self.changes.get(place)
        logs = report.logs if report is not None else ()
        custom_info = report.custom_info if report is not None else None
        if before is not None:
            logs, custom_info = logs or before.logs, custom_info or before.custom_info
        self.changes[place] = Change(phase, node.cache_status, logs, custom_info, child)

    def phase_of(self, index: int) -> NodePhase:
        """Where an element is."""
        live = self.live.get(f"{self.prefix}{index}")
        return live.phase if live is not None else NodePhase(self.phases[index])

    def attempt_of(self, index: int) -> int:
        """The number of an element's present or last attempt."""
        live = self.live.get(f"{self.prefix}{index}")
        return live.attempt if live is not None else self.attempts[index]

    def cache_status_of(self, index: int) -> int:
        """How the catalog took part in an element."""
        live = self.live.get(f"{self.prefix}{index}")
        return live.cache_status if live is not None else self.cache_statuses[index]

    def chunk(self, number: int) -> bytes:
        """The row of a chunk."""
        first = number * CHUNK
        return array_chunks.pack([self._record(index) for index in range(first, min(first + CHUNK, self.size))])

    def fill(self, state: ExecutionState, number: int, data: bytes) -> None:
        """Take a chunk back from its row; elements that were under way become nodes again."""
        for index, record in enumerate(array_chunks.unpack(data), number * CHUNK):
            if record.phase == NodePhase.WAITING:
                continue
            self.begun = max(self.begun, index + 1)
            if NodePhase(record.phase).is_terminal:
                self._restore_ended(index, record)
            else:
                self._restore_live(state, index, record)

    def _record(self, index: int) -> ElementRecord:
        live = self.live.get(f"{self.prefix}{index}")
        if live is not None:
            return _live_record(live)
        error = self.errors.get(index)
        return ElementRecord(
            phase=self.phases[index],
            attempt=self.attempts[index],
            system_failures=self.system_failures[index],
            cache_status=self.cache_statuses[index],
            outputs=self.outputs.get(index),
            uri=self.uris.get(index, ""),
            error=error.SerializeToString() if error is not None else b"",
        )

    def _restore_ended(self, index: int, record: ElementRecord) -> None:
        self.phases[index] = record.phase
        self.attempts[index] = record.attempt
        self.system_failures[index] = min(record.system_failures, 255)
        self.cache_statuses[index] = record.cache_status
        if record.outputs is not None:
            self.outputs[index] = record.outputs
        if record.uri:
            self.uris[index] = record.uri
        if record.error:
            self.errors[index] = self._kept(core.ExecutionError.FromString(record.error))
        self._count(NodePhase(record.phase))

    def _restore_live(self, state: ExecutionState, index: int, record: ElementRecord) -> None:
        node = self.element(state, index)
        self.live[node.id] = node
        node.phase = NodePhase(record.phase)
        node.attempt = record.attempt
        node.system_failures = record.system_failures
        node.outcome = Outcome(record.outcome)
        node.reserved = bool(record.flags & _RESERVED)
        node.cache_status = core.CatalogCacheStatus.ValueType(record.cache_status)
        node.queued_at, node.attempt_at, node.wake_at = record.queued_at, record.attempt_at, record.wake_at
        node.announced = core.NodeExecution.QUEUED if record.queued_at else core.NodeExecution.UNDEFINED
        node.outputs = core.LiteralMap.FromString(record.outputs) if record.outputs is not None else None
        node.outputs_uri = record.uri
        node.error = core.ExecutionError.FromString(record.error) if record.error else None
        node.detail = record.detail
        if not self.slotless and node.phase in _SLOT_PHASES:
            node.holds_slot = True
            state.slots += 1

    def _count(self, phase: NodePhase) -> None:
        if phase in _FAILURES:
            self.failed += 1
        elif phase in SUCCESSFUL or phase == NodePhase.SKIPPED:
            self.succeeded += 1

    def _kept(self, error: core.ExecutionError) -> core.ExecutionError:
        limit = _WHOLE_ERROR if self._error_bytes < LONG_ERRORS else _CUT_ERROR
        place = (error.code, error.message[:limit], error.kind)
        known = self._errors_known.get(place)
        if known is None:
            known = core.ExecutionError(code=error.code, message=place[1], kind=error.kind)
            self._errors_known[place] = known
            self._error_bytes += known.ByteSize()
        return known


def describe(size: int, *, slotless: bool) -> bytes:
    """What the array node keeps in `NodeState.detail`, so that its elements can be found again."""
    return b"%d:%d" % (size, slotless)


def described_size(detail: bytes) -> int:
    """The number of elements that `describe` was given."""
    return int(detail.split(b":")[0])


def open_array(state: ExecutionState, node: NodeState) -> ArrayScope:
    """Make the state of all elements of an array whose detail is set; none has begun."""
    assert node.plan.array is not None
    size, slotless = node.detail.split(b":")
    scope = ArrayScope(node.plan.array, node, int(size), slotless=slotless == b"1")
    node.children = scope
    return scope


def close_array(state: ExecutionState, scope: ArrayScope) -> None:
    """Forget the elements of an array."""
    for node_id in scope.live:
        state.nodes.pop(node_id, None)
    scope.live.clear()
    scope.closed = True
    scope.node.children = None


def _live_record(node: NodeState) -> ElementRecord:
    return ElementRecord(
        phase=int(node.phase),
        attempt=node.attempt,
        system_failures=node.system_failures,
        outcome=int(node.outcome),
        flags=_RESERVED if node.reserved else 0,
        cache_status=int(node.cache_status),
        queued_at=node.queued_at,
        attempt_at=node.attempt_at,
        wake_at=node.wake_at,
        outputs=node.outputs.SerializeToString() if node.outputs is not None else None,
        uri=node.outputs_uri,
        error=node.error.SerializeToString() if node.error is not None else b"",
        detail=node.detail,
    )
