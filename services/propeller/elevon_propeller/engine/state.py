"""The running state of an execution: what is stored per node, and what is worked out again from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from elevon_core import naming
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_propeller.engine.originals import Original
from elevon_propeller.engine.phases import SUCCESSFUL, ExecutionPhase, NodePhase, Outcome
from elevon_propeller.engine.plan import Graph, NodePlan, Plan
from elevon_propeller.plugins.contract import Report

UNDEFINED_NODE = core.NodeExecution.UNDEFINED
UNDEFINED_TASK = core.TaskExecution.UNDEFINED

BUILDING = b"dynamic"
"""The detail of a task node whose attempt has yielded a job that is being compiled."""
BUILT = b"dynamic:"
"""The detail of a task node that runs such a job begins so; the address of the compiled workflow follows."""
ADOPTING = b"dynamic from "
"""The detail of a task node that takes such a graph over from another execution begins so; its address follows."""
CHECKPOINT = b"checkpoint:"
"""The detail of a task node whose first attempt goes on from another execution's checkpoint begins so."""


class NodeState:
    """A node of a running graph.

    Times are microseconds since 1970. `waiting` counts upstream nodes that have not ended; `skip` says that one of them
    has no outputs. `announced` is the phase of the last event, `task_phase` and `task_version` those of the present
    attempt's. `inputs` and `last_report` live in memory only and are found again; `outputs` are kept when they are
    small, else `outputs_uri` says where they are. `followers` wait for it from within a branch. `scope` is the graph it
    belongs to, `children` the one it runs. `detail` is what its kind keeps besides. `continued` says that the present
    attempt goes on with what the original has begun, in an execution that recovers another.
    """

    __slots__ = (
        "announced",
        "attempt",
        "attempt_at",
        "cache_status",
        "catalog",
        "children",
        "continued",
        "deck_uri",
        "detail",
        "error",
        "followers",
        "holds_slot",
        "id",
        "inputs",
        "inputs_written",
        "last_report",
        "outcome",
        "outputs",
        "outputs_uri",
        "phase",
        "plan",
        "plugin_id",
        "queued_at",
        "reason",
        "reserved",
        "scope",
        "since",
        "skip",
        "system_failures",
        "task_phase",
        "task_version",
        "waiting",
        "wake_at",
    )

    def __init__(self, unique_id: str, plan: NodePlan, scope: Scope) -> None:
        self.id = unique_id
        self.plan = plan
        self.scope = scope
        self.children: Scope | None = None
        self.phase = NodePhase.WAITING
        self.waiting = len(plan.upstream)
        self.skip = False
        self.attempt = 0
        self.system_failures = 0
        self.announced: core.NodeExecution.Phase.ValueType = UNDEFINED_NODE
        self.task_phase: core.TaskExecution.Phase.ValueType = UNDEFINED_TASK
        self.task_version = 0
        self.since = 0
        self.queued_at = 0
        self.attempt_at = 0
        self.wake_at = 0
        self.outcome = Outcome.NONE
        self.reason = ""
        self.error: core.ExecutionError | None = None
        self.inputs: core.LiteralMap | None = None
        self.inputs_written = False
        self.outputs: core.LiteralMap | None = None
        self.outputs_uri = ""
        self.deck_uri = ""
        self.cache_status: core.CatalogCacheStatus.ValueType = core.CACHE_DISABLED
        self.catalog: core.CatalogMetadata | None = None
        self.reserved = False
        self.holds_slot = False
        self.last_report: Report | None = None
        self.plugin_id = ""
        self.detail = b""
        self.continued = False
        self.followers: list[NodeState] = []

    @property
    def parent(self) -> NodeState | None:
        """The node whose graph this one belongs to; None at the top."""
        return self.scope.parent

    @property
    def is_dynamic(self) -> bool:
        """True for a task node whose present attempt has yielded a graph."""
        return self.detail.startswith(BUILDING) and self.plan.kind == "task"

    def __repr__(self) -> str:
        return f"<node {self.id} {self.phase.name} attempt {self.attempt}>"


class Scope:
    """A graph that runs: the execution's own, or that of a node with children.

    `unfinished` counts the nodes that have not ended, `live` holds those that have begun and not ended. `error` is why
    it fails, the first reason of all; `stopping` says that nothing new may begin; `in_dynamic` that a dynamic task
    yielded this graph, or one around it.
    """

    slotless = False
    """Whether nodes of this graph run without counting against max_parallelism."""

    __slots__ = (
        "error",
        "error_node",
        "failure",
        "graph",
        "in_dynamic",
        "live",
        "nodes",
        "parent",
        "parent_attempt",
        "stopping",
        "unfinished",
    )

    def __init__(self, graph: Graph, parent: NodeState | None) -> None:
        self.graph = graph
        self.parent = parent
        self.parent_attempt = parent.attempt if parent else 0
        self.nodes: dict[str, NodeState] = {}
        self.live: dict[str, NodeState] = {}
        self.unfinished = len(graph.nodes)
        self.error: core.ExecutionError | None = None
        self.error_node = ""
        self.failure: NodeState | None = None
        self.stopping = False
        self.in_dynamic: bool = parent is not None and (parent.plan.kind == "task" or parent.scope.in_dynamic)
        for plan in graph.nodes.values():
            self.nodes[plan.id] = NodeState(self.unique_id(plan.id), plan, self)

    def find(self, node_id: str) -> NodeState:
        """A node that bindings of this graph may name; an arm of a branch sees the nodes around the branch."""
        found = self.nodes.get(node_id)
        if found is None and self.parent is not None and self.parent.plan.kind == "branch":
            return self.parent.scope.find(node_id)
        return self.nodes[node_id] if found is None else found

    def leave(self, state: ExecutionState, node: NodeState) -> None:
        """A node has ended."""
        self.live.pop(node.id, None)

    def unique_id(self, node_id: str) -> str:
        """The id of a node of this graph that is unique within the execution."""
        if self.parent is None:
            return node_id
        return naming.unique_node_id(self.parent.id, self.parent_attempt, node_id)


class ExecutionState:
    """One execution; `nodes` finds every node of every graph by its unique id.

    `due` holds the nodes that nothing keeps from beginning but that one step begins only so many; `goes_on` says that a
    timer will see to them. `ready` holds those that wait for a slot, longest first; `slots` counts those that have one.
    `loading` maps a finished node whose outputs are being fetched to the nodes that wait for them. `held` are the nodes
    that wait until `original`, the execution that this one recovers, has been read. `unpacked` holds, by node and
    address, literals out of files of their own, for nodes that take only a part of them. `latest` is when the last step
    was.
    """

    __slots__ = (
        "abort_cause",
        "accepted_at",
        "due",
        "ended_at",
        "error",
        "goes_on",
        "held",
        "identifier",
        "inputs",
        "latest",
        "loading",
        "metadata_prefix",
        "nodes",
        "options",
        "original",
        "phase",
        "raw_output_prefix",
        "reading_original",
        "ready",
        "scope",
        "signals",
        "slots",
        "started_at",
        "unpacked",
        "waiting_for_signal",
    )

    def __init__(
        self,
        plan: Plan,
        identifier: core.WorkflowExecutionIdentifier,
        inputs: core.LiteralMap,
        options: propeller.ExecutionOptions,
        accepted_at: int,
        metadata_root: str,
        raw_output_prefix: str,
    ) -> None:
        self.identifier = identifier
        self.inputs = inputs
        self.options = options
        self.accepted_at = accepted_at
        folder = naming.metadata_folder(identifier.project, identifier.domain, identifier.name)
        self.metadata_prefix = f"{metadata_root}/{folder}"
        self.raw_output_prefix = (options.raw_output_prefix or raw_output_prefix).rstrip("/")
        self.phase = ExecutionPhase.NEW
        self.error: core.ExecutionError | None = None
        self.abort_cause = ""
        self.started_at = 0
        self.ended_at = 0
        self.latest = 0
        self.slots = 0
        self.due: deque[NodeState] = deque()
        self.goes_on = False
        self.ready: deque[NodeState] = deque()
        self.loading: dict[str, list[NodeState]] = {}
        self.unpacked: dict[str, dict[str, core.Literal]] = {}
        self.signals: dict[str, core.Literal] = {}
        self.original: Original | None = None
        self.reading_original = False
        self.held: dict[str, NodeState] = {}
        self.waiting_for_signal: dict[str, list[NodeState]] = {}
        self.nodes: dict[str, NodeState] = {}
        self.scope = self.open_scope(plan.primary, None)

    def open_scope(self, graph: Graph, parent: NodeState | None) -> Scope:
        """Make the states of a graph's nodes, all waiting."""
        scope = Scope(graph, parent)
        for node in scope.nodes.values():
            self.nodes[node.id] = node
        if parent is not None:
            parent.children = scope
        return scope

    def is_due(self, node: NodeState) -> bool:
        """Whether a node waits for nothing any more and has not begun; one of a graph that is gone is not."""
        return node.phase == NodePhase.WAITING and not node.waiting and self.nodes.get(node.id) is node

    def follow(self, arm: NodeState) -> None:
        """Let an arm of a branch wait for those of its upstream nodes that have not ended."""
        arm.waiting = 0
        for node_id in arm.plan.upstream:
            node = arm.scope.find(node_id)
            if not node.phase.is_terminal:
                arm.waiting += 1
                node.followers.append(arm)
            elif node.phase not in SUCCESSFUL:
                arm.skip = True

    def close_scope(self, parent: NodeState) -> None:
        """Forget the graph a node ran."""
        scope = parent.children
        if scope is None:
            return
        for node in scope.nodes.values():
            self.close_scope(node)
            self.nodes.pop(node.id, None)
        if scope.failure is not None:
            self.nodes.pop(scope.failure.id, None)
        parent.children = None

    def let_go(self) -> None:
        """Forget, once the execution has ended, how its graphs hang together.

        Nodes and graphs name each other: without this their memory would wait for a collection of all that lives.
        """
        for scope in {id(node.scope): node.scope for node in self.nodes.values()}.values():
            scope.nodes = {}
            scope.live = {}
            scope.failure = None
        for node in self.nodes.values():
            node.children = None
            node.followers = []

    def scopes(self) -> Iterator[Scope]:
        """Every graph that runs, outermost first."""
        pending = [self.scope]
        while pending:
            scope = pending.pop(0)
            yield scope
            pending.extend(node.children for node in scope.live.values() if node.children is not None)
