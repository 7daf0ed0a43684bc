"""Task nodes: attempts, what plugins report of them, retries, deadlines."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import caching, deadlines, events, lifecycle, paths, retries
from elevon_propeller.engine.commands import FinalizeAttempt, StartAttempt, StopAttempt, StoreCache
from elevon_propeller.engine.observations import AttemptReported, AttemptStopped, TimerFired
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


class TaskNode:
    """Runs a task through a plugin, after asking the catalog."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Look the outputs up, or wait for a slot."""
        if not caching.begin(turn, node):
            lifecycle.enqueue(turn, node)

    def start(self, turn: Turn, node: NodeState) -> None:
        """Start the present attempt."""
        lifecycle.take_slot(turn, node)
        node.attempt_at = turn.now
        node.outcome = Outcome.NONE
        node.task_phase, node.task_version, node.last_report = UNDEFINED_TASK, 0, None
        turn.enter(node, NodePhase.RUNNING)
        events.node(turn, node, core.NodeExecution.RUNNING)
        turn.command(StartAttempt(node.id, node.attempt))
        _set_deadlines(turn, node)

    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop the attempt if there is one; ends at once otherwise."""
        caching.release(turn, node)
        if node.phase in (NodePhase.RUNNING, NodePhase.STOPPING):
            node.error = lifecycle.aborted(reason)
            _stop_attempt(turn, node, Outcome.ABORTED, reason)
        else:
            lifecycle.abort(turn, node, reason)

    def resume(self, turn: Turn, node: NodeState) -> None:
        """Ask again for whatever the phase waits for."""
        if node.reserved:
            caching.heartbeat(turn, node)
        resume_phase = _RESUME.get(node.phase)
        if resume_phase is not None:
            resume_phase(turn, node)

    def children_ended(self, turn: Turn, node: NodeState, scope: Scope) -> None:
        """Has no children."""


def reported(turn: Turn, node: NodeState, seen: AttemptReported) -> None:
    """Take what a plugin said; reports of other attempts, or of one that is being stopped, are stale."""
    if node.phase != NodePhase.RUNNING or seen.number != node.attempt:
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
    events.task(turn, node, report)
    turn.command(FinalizeAttempt(node.id, node.attempt))
    _attempt_failed(turn, node, error, retryable=report.phase == AttemptPhase.RETRYABLE_FAILURE)


def stopped(turn: Turn, node: NodeState, seen: AttemptStopped) -> None:
    """Go on after an attempt was stopped, the way it was stopped for."""
    if node.phase != NodePhase.STOPPING or seen.number != node.attempt:
        return
    outcome, node.outcome = node.outcome, Outcome.NONE
    error = node.error or _UNEXPLAINED
    if outcome == Outcome.EXPIRED:
        events.task_ended(turn, node, core.TaskExecution.FAILED, error)
        _attempt_failed(turn, node, error, retryable=True)
        return
    events.task_ended(turn, node, core.TaskExecution.ABORTED, error)
    if outcome == Outcome.TIMED_OUT:
        caching.release(turn, node)
        lifecycle.time_out(turn, node, error)
    else:
        lifecycle.end(turn, node, NodePhase.ABORTED)


def timer_fired(turn: Turn, node: NodeState, seen: TimerFired) -> None:
    """Act on a time that has come; what has been overtaken by events is ignored."""
    if seen.kind == TimerKind.BACKOFF:
        if node.phase == NodePhase.BACKING_OFF and seen.number == node.attempt:
            lifecycle.enqueue(turn, node)
    elif seen.kind == TimerKind.CACHE_WAIT:
        caching.wake(turn, node)
    elif seen.kind == TimerKind.HEARTBEAT:
        caching.heartbeat(turn, node)
    elif seen.kind == TimerKind.ATTEMPT_DEADLINE:
        if node.phase == NodePhase.RUNNING and seen.number == node.attempt:
            node.error = deadlines.attempt_expired(node)
            _stop_attempt(turn, node, Outcome.EXPIRED, node.error.message)
    elif seen.kind == TimerKind.NODE_DEADLINE:
        _node_deadline(turn, node)


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
        node.error = error
        _stop_attempt(turn, node, Outcome.EXPIRED, error.message)
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
    if report.futures is not None:
        error = core.ExecutionError(
            code="DynamicWorkflowBuildFailed",
            message=f"node {node.id}: dynamic tasks cannot be run by this version",
            kind=core.ExecutionError.USER,
        )
        _attempt_failed(turn, node, error, retryable=False)
        return
    outputs = report.outputs if report.outputs is not None else core.LiteralMap()
    node.deck_uri = report.deck_uri or node.deck_uri
    if report.has_outputs_file:
        node.outputs_uri = paths.attempt_paths(turn.state, node, node.attempt).outputs
    events.task(turn, node, report)
    turn.command(FinalizeAttempt(node.id, node.attempt))
    lifecycle.free_slot(turn, node)
    if not caching.store(turn, node, outputs):
        lifecycle.publish(turn, node, outputs)


def _attempt_failed(turn: Turn, node: NodeState, error: core.ExecutionError, *, retryable: bool) -> None:
    judged = retries.verdict(node, error, turn.policy)
    if error.kind == core.ExecutionError.SYSTEM:
        node.system_failures += 1
    if not retryable or not judged.eligible:
        caching.release(turn, node)
        lifecycle.fail(turn, node, retries.exhausted(error, judged) if retryable else error)
        return
    lifecycle.free_slot(turn, node)
    node.error = error
    node.attempt += 1
    node.attempt_at = 0
    node.wake_at = turn.now + retries.backoff(node.attempt, turn.policy)
    turn.enter(node, NodePhase.BACKING_OFF, f"attempt {node.attempt} starts after a backoff: {error.code}")
    turn.timer(node.wake_at, node, TimerKind.BACKOFF)


def _stop_attempt(turn: Turn, node: NodeState, outcome: Outcome, reason: str) -> None:
    node.outcome = outcome
    already = node.phase == NodePhase.STOPPING
    turn.enter(node, NodePhase.STOPPING, reason)
    if not already:
        turn.command(StopAttempt(node.id, node.attempt, reason))


def _node_deadline(turn: Turn, node: NodeState) -> None:
    if node.phase in (NodePhase.STORING, NodePhase.PUBLISHING) or node.phase.is_terminal:
        return
    error = deadlines.node_timed_out(node)
    if node.phase in (NodePhase.RUNNING, NodePhase.STOPPING):
        if node.outcome != Outcome.ABORTED:
            node.error = error
            _stop_attempt(turn, node, Outcome.TIMED_OUT, error.message)
        return
    caching.release(turn, node)
    lifecycle.time_out(turn, node, error)


def _set_deadlines(turn: Turn, node: NodeState) -> None:
    attempt, whole = deadlines.attempt_deadline(node), deadlines.node_deadline(node)
    if attempt:
        turn.timer(attempt, node, TimerKind.ATTEMPT_DEADLINE)
    if whole and (node.attempt == 0 or turn.resuming):
        turn.timer(whole, node, TimerKind.NODE_DEADLINE)


def _resume_running(turn: Turn, node: NodeState) -> None:
    turn.command(StartAttempt(node.id, node.attempt))
    _set_deadlines(turn, node)


def _resume_backoff(turn: Turn, node: NodeState) -> None:
    turn.timer(node.wake_at, node, TimerKind.BACKOFF)
    _set_deadlines(turn, node)


def _resume_wait(turn: Turn, node: NodeState) -> None:
    turn.timer(node.wake_at, node, TimerKind.CACHE_WAIT)


def _resume_stop(turn: Turn, node: NodeState) -> None:
    turn.command(StopAttempt(node.id, node.attempt, node.reason))


def _resume_store(turn: Turn, node: NodeState) -> None:
    if node.outputs is not None:
        entry = caching.entry(turn.state, node)
        turn.command(StoreCache(node.id, entry, node.outputs, turn.state.options.overwrite_cache))


def _resume_publish(turn: Turn, node: NodeState) -> None:
    if node.outputs is not None:
        turn.command(lifecycle.write_outputs(turn, node, node.outputs))


_RESUME = {
    NodePhase.LOOKING_UP: caching.look_up,
    NodePhase.RESERVING: caching.reserve,
    NodePhase.RESERVED_ELSEWHERE: _resume_wait,
    NodePhase.RUNNING: _resume_running,
    NodePhase.BACKING_OFF: _resume_backoff,
    NodePhase.STOPPING: _resume_stop,
    NodePhase.STORING: _resume_store,
    NodePhase.PUBLISHING: _resume_publish,
}
