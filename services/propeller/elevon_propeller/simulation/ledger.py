"""What has happened in a simulated world, and the rules that must hold of it (the invariants of the design)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_propeller.engine.attempts import ARRAY_INDEX
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.records import NodeRow
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.plugins.contract import Attempt

Node = core.NodeExecution
TERMINAL_NODE = frozenset({Node.SUCCEEDED, Node.FAILED, Node.TIMED_OUT, Node.ABORTED, Node.SKIPPED, Node.RECOVERED})
AGAIN_AND_AGAIN = frozenset({Node.RUNNING, Node.DYNAMIC_RUNNING})
"""What is told of every attempt of a dynamic task, in turns."""
Workflow = core.WorkflowExecution
TERMINAL_WORKFLOW = frozenset({Workflow.SUCCEEDED, Workflow.FAILED, Workflow.ABORTED, Workflow.TIMED_OUT})
Task = core.TaskExecution
TERMINAL_TASK = frozenset({Task.SUCCEEDED, Task.FAILED, Task.ABORTED})


class Rule(Enum):
    """The invariants, in the words a failing seed is reported with."""

    ONE_AT_A_TIME = "never are two attempts of a node alive at a time"
    STARTED_ONCE = "an attempt is started once"
    DURABLE_FIRST = "nothing is done before the decision is durable"
    BUDGETS = "retries never exceed the budgets"
    PARALLELISM = "no more runs at a time than max_parallelism allows"
    FINAL = "terminal phases are final"
    FORWARD = "attempts only grow"
    FENCED = "only the owner of a shard commits"
    TOLD_IN_ORDER = "every event reaches admin exactly once after de-duplication, in order"
    ACCEPTED = "admin accepts every event"
    LEGAL = "phases are told in an order that makes sense"
    ALL_ENDS = "every started thing ends"
    NOTHING_LEFT = "nothing is left behind"
    SAME_OUTPUTS = "how an execution ends does not depend on timing"
    TERMINATES = "an execution whose world recovers always terminates"
    NO_DEFECT = "engine and runtime raise no errors of their own"


class Violation(AssertionError):
    """A rule was broken."""

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(f"{rule.value}: {message}")
        self.rule = rule


class Ledger:
    """Takes down attempts, rows and events, and objects at once."""

    def __init__(self, max_parallelism: int, policy: EnginePolicy) -> None:
        self.events: list[admin.ExecutionEvent] = []
        self.attempts: dict[str, int] = {}
        self._policy = policy
        self._max_parallelism = max_parallelism
        self._alive: dict[str, str] = {}
        self._slotless: set[str] = set()
        self._node_phases: dict[str, list[int]] = {}
        self._task_phases: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self._workflow_phases: list[int] = []

    def start_attempt(self, attempt: Attempt, slotless: bool | None = None) -> None:
        """A plugin was asked to start an attempt; the same one again is fine.

        `slotless` says that it does not count against max_parallelism, None that it depends on the policy.
        """
        alive = self._alive.setdefault(attempt.node_id, attempt.name)
        if alive != attempt.name:
            raise Violation(Rule.ONE_AT_A_TIME, f"{attempt.name} started while {alive} is alive")
        if slotless is None:
            slotless = ARRAY_INDEX in attempt.environment and self._policy.array_parallelism != "workflow"
        if slotless:
            self._slotless.add(attempt.node_id)
        counted = len(self._alive.keys() - self._slotless)
        if self._max_parallelism and counted > self._max_parallelism:
            raise Violation(Rule.PARALLELISM, f"{counted} attempts at a time, allowed are {self._max_parallelism}")
        self.attempts[attempt.node_id] = max(self.attempts.get(attempt.node_id, 0), attempt.number + 1)

    def end_attempt(self, name: str) -> None:
        """An attempt is over, or was stopped."""
        self._alive = {node_id: alive for node_id, alive in self._alive.items() if alive != name}

    def check_row(self, before: NodeRow | None, after: NodeRow) -> None:
        """Terminal phases are final, attempts only grow and stay within what any budget allows."""
        if before is None:
            return
        if NodePhase(before["phase"]).is_terminal and before["phase"] != after["phase"]:
            raise Violation(Rule.FINAL, f"{after['node_id']} left {NodePhase(before['phase']).name}")
        if after["attempt"] < before["attempt"]:
            raise Violation(Rule.FORWARD, f"{after['node_id']} went back to attempt {after['attempt']}")
        if after["system_failures"] > self._policy.max_system_retries + 1:
            raise Violation(Rule.BUDGETS, f"{after['node_id']} had {after['system_failures']} system failures")

    def tell(self, events: Sequence[admin.ExecutionEvent]) -> None:
        """Events were committed."""
        for told in events:
            kind = told.WhichOneof("event")
            if kind == "workflow":
                self._tell_workflow(told.workflow.phase)
            elif kind == "node":
                self._tell_node(told.node.id.node_id, told.node.phase)
            else:
                place = (told.task.parent_node_execution_id.node_id, told.task.retry_attempt)
                self._tell_task(place, told.task.phase, told.task.phase_version)
            self.events.append(told)

    def _tell_workflow(self, phase: int) -> None:
        if phase in self._workflow_phases:
            raise Violation(Rule.LEGAL, f"workflow phase {phase} told twice")
        if TERMINAL_WORKFLOW & set(self._workflow_phases):
            raise Violation(Rule.FINAL, f"workflow phase {phase} after the end")
        self._workflow_phases.append(phase)

    def _tell_node(self, node_id: str, phase: int) -> None:
        phases = self._node_phases.setdefault(node_id, [])
        if phase in phases and not (
            phase in AGAIN_AND_AGAIN and Node.DYNAMIC_RUNNING in phases and phase != phases[-1]
        ):
            raise Violation(Rule.LEGAL, f"phase {phase} of {node_id} told twice")
        if TERMINAL_NODE & set(phases):
            raise Violation(Rule.FINAL, f"phase {phase} of {node_id} after its end")
        phases.append(phase)

    def _tell_task(self, place: tuple[str, int], phase: int, version: int) -> None:
        told = self._task_phases.setdefault(place, [])
        if (phase, version) in told:
            raise Violation(Rule.LEGAL, f"phase {phase} version {version} of attempt {place} told twice")
        if TERMINAL_TASK & {before for before, _ in told}:
            raise Violation(Rule.FINAL, f"phase {phase} of attempt {place} after its end")
        told.append((phase, version))

    def check_end(self, state: ExecutionState) -> None:
        """As `check_told`, and no slot of max_parallelism is taken any more."""
        self.check_told()
        if state.slots:
            raise Violation(Rule.ALL_ENDS, f"{state.slots} slots never freed")

    def check_told(self) -> None:
        """Everything that was started has ended, and the last word was about the execution."""
        if not TERMINAL_WORKFLOW & set(self._workflow_phases):
            raise Violation(Rule.ALL_ENDS, "the end was not told")
        open_nodes = [node_id for node_id, phases in self._node_phases.items() if not TERMINAL_NODE & set(phases)]
        if open_nodes:
            raise Violation(Rule.ALL_ENDS, f"never ended: {open_nodes}")
        open_tasks = [
            place for place, told in self._task_phases.items() if not TERMINAL_TASK & {phase for phase, _ in told}
        ]
        if open_tasks:
            raise Violation(Rule.ALL_ENDS, f"attempts never ended: {open_tasks}")

    def phases(self, node_id: str) -> list[int]:
        """The phases told of a node, in order."""
        return self._node_phases.get(node_id, [])
