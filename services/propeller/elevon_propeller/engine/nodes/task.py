"""Task nodes: attempts, what plugins report of them, retries, deadlines."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import caching, events, lifecycle, paths, trying
from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.commands import FinalizeAttempt, StartAttempt, StopAttempt, StoreCache
from elevon_propeller.engine.nodes import dynamic
from elevon_propeller.engine.nodes.registry import NodeHandler
from elevon_propeller.engine.observations import AttemptReported, AttemptStopped
from elevon_propeller.engine.phases import NodePhase, Outcome, TimerKind
from elevon_propeller.engine.state import UNDEFINED_TASK, NodeState, Scope
from elevon_propeller.engine.turn import Turn
from elevon_propeller.plugins.contract import AttemptPhase, Report

MAX_PHASE_VERSIONS = 100_000
"""More changes than this within one phase fail the node."""

_UNEXPLAINED = core.ExecutionError(
    code="UnknownError", message="the plugin gave no reason", kind=core.ExecutionError.SYSTEM
)
_PHASE_ORDER = {
    AttemptPhase.WAITING_FOR_RESOURCES: 0,
    AttemptPhase.QUEUED: 1,
    AttemptPhase.INITIALIZING: 2,
    AttemptPhase.RUNNING: 3,
}
_TASK_ORDER = {UNDEFINED_TASK: -1} | {events.TASK_PHASES[phase]: order for phase, order in _PHASE_ORDER.items()}


class TaskNode(NodeHandler):
    """Runs a task through a plugin, after asking the catalog."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Look the outputs up, or wait for a slot."""
        if not caching.begin(turn, node):
            lifecycle.enqueue(turn, node)

    def start(self, turn: Turn, node: NodeState) -> None:
        """Start the present attempt."""
        lifecycle.take_slot(turn, node)
        dynamic.forget(node)
        node.task_phase, node.task_version, node.last_report = UNDEFINED_TASK, 0, None
        node.deck_uri = paths.attempt_paths(turn.state, node, node.attempt).deck if _shows_deck(node) else ""
        trying.begin(turn, node)
        events.node(turn, node, core.NodeExecution.RUNNING)
        turn.command(StartAttempt(node.id, node.attempt))

    def again(self, turn: Turn, node: NodeState) -> None:
        """Wait for a slot; what the catalog holds was asked before."""
        lifecycle.enqueue(turn, node)

    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop the attempt if there is one; ends at once otherwise."""
        trying.stop(turn, node, reason)

    def interrupt(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Have the plugin stop the attempt, or stop the graph that it has yielded."""
        if node.is_dynamic:
            dynamic.interrupt(turn, node, reason)
        else:
            _stop(turn, node, reason)

    def resume(self, turn: Turn, node: NodeState) -> None:
        """Ask again for whatever the phase waits for."""
        if node.reserved:
            caching.heartbeat(turn, node)
        if dynamic.is_under_way(node):
            dynamic.resume(turn, node)
            return
        resume_phase = _RESUME.get(node.phase)
        if resume_phase is not None:
            resume_phase(turn, node)

    def children_ended(self, turn: Turn, node: NodeState, scope: Scope) -> None:
        """The graph that the attempt has yielded has come to its end."""
        dynamic.children_ended(turn, node, scope)


def reported(turn: Turn, node: NodeState, seen: AttemptReported) -> None:
    """Take what a plugin said; reports of other attempts, or of one that is being stopped, are stale."""
    if node.phase != NodePhase.RUNNING or seen.number != node.attempt or node.is_dynamic:
        return
    node.plugin_id = seen.plugin_id
    report = seen.report
    if not report.phase.is_final:
        _progress(turn, node, report)
        return
    node.task_phase, node.task_version = events.TASK_PHASES[report.phase], 0
    if report.phase == AttemptPhase.SUCCEEDED:
        _succeeded(turn, node, report)
        return
    error = report.error or _UNEXPLAINED
    node.deck_uri = report.deck_uri if _shows_deck(node) else ""
    events.task(turn, node, report)
    _finalize(turn, node)
    trying.failed(turn, node, error, retryable=report.phase == AttemptPhase.RETRYABLE_FAILURE)


def stopped(turn: Turn, node: NodeState, seen: AttemptStopped) -> None:
    """Go on after an attempt was stopped, the way it was stopped for."""
    if node.phase != NodePhase.STOPPING or seen.number != node.attempt:
        return
    error = node.error or _UNEXPLAINED
    if seen.failure:
        error = node.error = _unconfirmed(error, seen.failure)
    phase = core.TaskExecution.FAILED if node.outcome == Outcome.EXPIRED else core.TaskExecution.ABORTED
    events.task_ended(turn, node, phase, error)
    # Another attempt might run beside one that nobody could stop.
    trying.interrupted(turn, node, retryable=not seen.failure)
    if seen.failure:
        node.reason = error.message


def _unconfirmed(error: core.ExecutionError, failure: str) -> core.ExecutionError:
    told = core.ExecutionError()
    told.CopyFrom(error)
    told.message += f"; the plugin could not confirm that the attempt has ended, it may still run: {failure}"
    return told


def _shows_deck(node: NodeState) -> bool:
    """Whether the task says that it writes a deck: its address is told while it runs, and when it fails."""
    assert node.plan.task is not None
    metadata = node.plan.task.template.metadata
    return metadata.HasField("generates_deck") and metadata.generates_deck.value


def _progress(turn: Turn, node: NodeState, report: Report) -> None:
    """Tell a new phase, or news within the same phase as a new version; phases never go back."""
    phase = events.TASK_PHASES[report.phase]
    if _PHASE_ORDER[report.phase] < _TASK_ORDER.get(node.task_phase, -1):
        return
    if phase != node.task_phase:
        node.task_phase, node.task_version = phase, 0
    elif _same_news(node.last_report, report):
        return
    else:
        node.task_version += 1
    if node.task_version > MAX_PHASE_VERSIONS:
        error = lifecycle.system_error("TooManyPluginPhaseVersions", f"more than {MAX_PHASE_VERSIONS} reports")
        trying.expire(turn, node, error)
        return
    events.task(turn, node, report)
    node.last_report = report
    node.deck_uri = report.deck_uri or node.deck_uri
    node.reason = report.reason
    turn.touch(node)


def _same_news(before: Report | None, now: Report) -> bool:
    return before is not None and (before.reason, before.logs, before.custom_info, before.deck_uri) == (
        now.reason,
        now.logs,
        now.custom_info,
        now.deck_uri,
    )


def _succeeded(turn: Turn, node: NodeState, report: Report) -> None:
    outputs = report.outputs if report.outputs is not None else core.LiteralMap()
    node.deck_uri = report.deck_uri
    if report.futures is not None and isinstance(node, ElementState):
        message = "an element of an array cannot be a dynamic task"
        error = core.ExecutionError(code="DynamicWorkflowBuildFailed", message=message, kind=core.ExecutionError.USER)
        _finalize(turn, node)
        trying.failed(turn, node, error, retryable=False)
        return
    if report.futures is not None:
        events.task(turn, node, report)
        _finalize(turn, node)
        dynamic.begin(turn, node, report.futures)
        return
    if report.has_outputs_file:
        node.outputs_uri = paths.attempt_paths(turn.state, node, node.attempt).outputs
    events.task(turn, node, report)
    _finalize(turn, node)
    lifecycle.free_slot(turn, node)
    if not caching.store(turn, node, outputs):
        lifecycle.publish(turn, node, outputs)


def _finalize(turn: Turn, node: NodeState) -> None:
    assert node.plan.task is not None
    name = paths.attempt_name(turn.state, node, node.attempt)
    turn.command(FinalizeAttempt(node.id, name, node.plan.task.template.type))


def _stop(turn: Turn, node: NodeState, reason: str) -> None:
    assert node.plan.task is not None
    name = paths.attempt_name(turn.state, node, node.attempt)
    turn.command(StopAttempt(node.id, node.attempt, name, node.plan.task.template.type, reason))


def _resume_running(turn: Turn, node: NodeState) -> None:
    turn.command(StartAttempt(node.id, node.attempt))
    trying.set_deadlines(turn, node)


def _resume_wait(turn: Turn, node: NodeState) -> None:
    turn.timer(node.wake_at, node, TimerKind.CACHE_WAIT)


def _resume_stop(turn: Turn, node: NodeState) -> None:
    _stop(turn, node, node.reason)


def _resume_store(turn: Turn, node: NodeState) -> None:
    if node.outputs is not None:
        entry = caching.entry(turn.state, node)
        turn.command(StoreCache(node.id, entry, node.outputs, turn.state.options.overwrite_cache))


_RESUME = {
    NodePhase.LOOKING_UP: caching.look_up,
    NodePhase.RESERVING: caching.reserve,
    NodePhase.RESERVED_ELSEWHERE: _resume_wait,
    NodePhase.RUNNING: _resume_running,
    NodePhase.BACKING_OFF: trying.resume_backoff,
    NodePhase.STOPPING: _resume_stop,
    NodePhase.STORING: _resume_store,
    NodePhase.PUBLISHING: lifecycle.resume_publishing,
}
