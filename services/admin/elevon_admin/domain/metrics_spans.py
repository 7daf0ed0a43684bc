"""Where an execution's time went: what was recorded of it, as a tree of spans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from elevon_core.errors import FailedPrecondition
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.records import ExecutionKey, NodeKey, StoredLiterals, TaskKey
from elevon_admin.domain.times import duration_nanoseconds, nanoseconds

START_NODE, END_NODE = "start-node", "end-node"

Closure = admin.ExecutionClosure | admin.NodeExecutionClosure | admin.TaskExecutionClosure


@dataclass(frozen=True, slots=True)
class RecordedNode:
    """A node execution without its inputs and outputs; `parent_node` is None at the top."""

    row_id: int
    key: NodeKey
    parent_node: str | None
    closure: admin.NodeExecutionClosure
    metadata: admin.NodeExecutionMetaData
    dynamic_workflow: StoredLiterals | None = None


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """A task attempt without its inputs and outputs."""

    row_id: int
    key: TaskKey
    closure: admin.TaskExecutionClosure


NodesBySpec = Mapping[str, RecordedNode]
"""The nodes of one graph by their ids in it; of several attempts the last."""


@dataclass(slots=True)
class History:
    """What is recorded of one execution; `dynamic` holds the workflows that nodes made, by node id."""

    key: ExecutionKey
    closure: admin.ExecutionClosure
    workflow: core.CompiledWorkflowClosure = field(default_factory=core.CompiledWorkflowClosure)
    nodes: Sequence[RecordedNode] = ()
    tasks: Sequence[RecordedTask] = ()
    dynamic: dict[str, core.CompiledWorkflowClosure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """One graph of nodes: a workflow, with the sub-workflows that its nodes may name."""

    workflow: core.CompiledWorkflow
    sub_workflows: Sequence[core.CompiledWorkflow]

    @classmethod
    def of(cls, closure: core.CompiledWorkflowClosure) -> Graph:
        """The outermost graph of a closure."""
        return cls(closure.primary, closure.sub_workflows)

    def sub_workflow(self, identifier: core.Identifier) -> Graph:
        """The graph of a sub-workflow, from the closure itself: it need not be registered by itself."""
        for each in self.sub_workflows:
            if each.template.id == identifier:
                return Graph(each, self.sub_workflows)
        raise FailedPrecondition(
            f"sub-workflow {identifier.name} is not in the closure of {self.workflow.template.id.name}"
        )

    def node(self, node_id: str) -> core.Node:
        """A node by its id in this graph."""
        template = self.workflow.template
        for node in (*template.nodes, template.failure_node):
            if node.id == node_id:
                return node
        raise FailedPrecondition(f"node {node_id} is not in workflow {template.id.name}")


def span_of(closure: Closure, **identifier: object) -> core.Span:
    """The span of something recorded: from its creation to its last change."""
    return core.Span(start_time=closure.created_at, end_time=closure.updated_at, **identifier)  # type: ignore[arg-type]  # one member of the oneof, by name


def operation(name: str, start: Timestamp, end: Timestamp) -> core.Span:
    """The span of work of the platform."""
    return core.Span(start_time=start, end_time=end, operation_id=name)


class SpanBuilder:
    """Builds the tree for a set of histories; each child execution is shown once."""

    def __init__(self, histories: Mapping[ExecutionKey, History]) -> None:
        self._histories = histories
        self._shown: set[ExecutionKey] = set()

    def execution(self, history: History, depth: int) -> core.Span:
        """The span of an execution with so many levels below it; a negative number is no limit."""
        self._shown.add(history.key)
        span = span_of(history.closure, workflow_id=history.key.identifier())
        if depth == 0:
            return span
        level = _Level(self, history)
        nodes = level.children(None)
        started = nodes.get(START_NODE)
        if started is None or not _is_set(started.closure.updated_at):
            span.spans.append(operation("WORKFLOW_SETUP", span.start_time, span.end_time))
            return span
        span.spans.append(operation("WORKFLOW_SETUP", span.start_time, started.closure.updated_at))
        graph = Graph.of(history.workflow)
        span.spans.extend(level.graph(graph, nodes, depth - 1))
        _teardown(span, "WORKFLOW_TEARDOWN", latest_upstream(graph, END_NODE, nodes))
        return span

    def child(self, key: ExecutionKey) -> History | None:
        """A child execution that is not shown yet."""
        return None if key in self._shown else self._histories.get(key)


class _Level:
    """The nodes of one execution, of all its graphs."""

    def __init__(self, builder: SpanBuilder, history: History) -> None:
        self._builder = builder
        self._history = history
        self._children: dict[str | None, dict[str, RecordedNode]] = {}
        self._tasks: dict[str, list[RecordedTask]] = {}
        for node in sorted(history.nodes, key=_creation):
            siblings = self._children.setdefault(node.parent_node, {})
            siblings.pop(node.metadata.spec_node_id, None)
            siblings[node.metadata.spec_node_id] = node
        for task in sorted(history.tasks, key=_creation):
            self._tasks.setdefault(task.key.node.node_id, []).append(task)

    def children(self, parent: str | None) -> NodesBySpec:
        """The nodes right below a node, or at the top."""
        return self._children.get(parent, {})

    def graph(self, graph: Graph, nodes: NodesBySpec, depth: int) -> Iterable[core.Span]:
        """The spans of a graph's nodes in the order of their creation, each led by its transition."""
        for node_id, node in nodes.items():
            if node_id in (START_NODE, END_NODE):
                continue
            span = span_of(node.closure, node_id=node.key.identifier())
            upstream = latest_upstream(graph, node_id, nodes)
            if upstream is not None:
                span.spans.append(operation("NODE_TRANSITION", upstream.closure.updated_at, span.start_time))
            self._fill(span, graph, graph.node(node_id), node, depth)
            yield span

    def _fill(self, span: core.Span, graph: Graph, compiled: core.Node, node: RecordedNode, depth: int) -> None:
        """Add what a node's time consists of; kinds that are not told apart have nothing inside."""
        if depth == 0:
            return
        kind = compiled.WhichOneof("target")
        if kind == "task_node":
            self._task_node(span, node, depth - 1)
        elif kind == "branch_node":
            self._branch(span, graph, compiled.branch_node, node, depth - 1)
        elif kind == "gate_node":
            _gate(span, node.closure)
        elif kind == "workflow_node" and compiled.workflow_node.HasField("launchplan_ref"):
            self._launch_plan(span, node, depth - 1)
        elif kind == "workflow_node":
            sub_workflow = graph.sub_workflow(compiled.workflow_node.sub_workflow_ref)
            self._sub_workflow(span, sub_workflow, node, depth - 1)

    def _task_node(self, span: core.Span, node: RecordedNode, depth: int) -> None:
        tasks = self._tasks.get(node.key.node_id, [])
        if not tasks:
            span.spans.append(operation("NODE_SETUP", span.start_time, span.end_time))
            return
        span.spans.append(operation("NODE_SETUP", span.start_time, tasks[0].closure.created_at))
        span.spans.extend(_attempts(tasks, depth))
        last = tasks[-1].closure.updated_at
        nodes = self.children(node.key.node_id)
        dynamic = self._history.dynamic.get(node.key.node_id)
        if nodes and dynamic is not None:
            started = nodes.get(START_NODE)
            ready = min(_moments(nodes), key=nanoseconds) if started is None else started.closure.updated_at
            span.spans.append(operation("NODE_RESET", last, ready))
            graph = Graph.of(dynamic)
            span.spans.extend(self.graph(graph, nodes, depth))
            _teardown(span, "NODE_TEARDOWN", latest_upstream(graph, END_NODE, nodes))
        elif nanoseconds(span.end_time) >= nanoseconds(last):
            name = "NODE_RESET" if node.metadata.is_parent_node else "NODE_TEARDOWN"
            span.spans.append(operation(name, last, span.end_time))

    def _branch(self, span: core.Span, graph: Graph, compiled: core.BranchNode, node: RecordedNode, depth: int) -> None:
        nodes = self.children(node.key.node_id)
        if not nodes:
            span.spans.append(operation("NODE_SETUP", span.start_time, span.end_time))
            return
        if len(nodes) > 1:
            raise FailedPrecondition(
                f"branch node {node.key} took one way, and {len(nodes)} nodes are recorded below it"
            )
        (node_id, taken), *_ = nodes.items()
        span.spans.append(operation("NODE_SETUP", span.start_time, taken.closure.created_at))
        inner = span_of(taken.closure, node_id=taken.key.identifier())
        self._fill(inner, graph, _way(compiled, node_id), taken, depth)
        span.spans.append(inner)
        _teardown(span, "NODE_TEARDOWN", taken)

    def _launch_plan(self, span: core.Span, node: RecordedNode, depth: int) -> None:
        child = None
        if node.closure.workflow_node_metadata.HasField("executionId"):
            child = self._builder.child(ExecutionKey.of(node.closure.workflow_node_metadata.executionId))
        if child is None:
            span.spans.append(operation("NODE_SETUP", span.start_time, span.end_time))
            return
        span.spans.append(operation("NODE_SETUP", span.start_time, child.closure.created_at))
        span.spans.append(self._builder.execution(child, depth))
        _teardown(span, "NODE_TEARDOWN", child)

    def _sub_workflow(self, span: core.Span, graph: Graph, node: RecordedNode, depth: int) -> None:
        nodes = self.children(node.key.node_id)
        if not nodes:
            span.spans.append(operation("NODE_SETUP", span.start_time, span.end_time))
            return
        started = nodes.get(START_NODE)
        ready = min(_moments(nodes), key=nanoseconds) if started is None else started.closure.updated_at
        span.spans.append(operation("NODE_SETUP", span.start_time, ready))
        span.spans.extend(self.graph(graph, nodes, depth))
        _teardown(span, "NODE_TEARDOWN", latest_upstream(graph, END_NODE, nodes))


def latest_upstream(graph: Graph, node_id: str, nodes: NodesBySpec) -> RecordedNode | None:
    """Of the nodes that a node waits for, the one that changed last."""
    upstream = graph.workflow.connections.upstream
    if node_id not in upstream:
        return None
    found = [nodes[each] for each in upstream[node_id].ids if each in nodes]
    return max(found, key=lambda node: nanoseconds(node.closure.updated_at), default=None)


def _attempts(tasks: Sequence[RecordedTask], depth: int) -> Iterable[core.Span]:
    """The spans of a node's attempts, and of the time between them."""
    previous: RecordedTask | None = None
    for task in tasks:
        if previous is not None:
            yield operation("NODE_RESET", previous.closure.updated_at, task.closure.created_at)
        if depth != 0:
            span = span_of(task.closure, task_id=task.key.identifier())
            _phases(span, task.closure, "TASK_SETUP", "TASK_RUNTIME", "TASK_TEARDOWN")
            yield span
        previous = task


def _gate(span: core.Span, closure: admin.NodeExecutionClosure) -> None:
    _phases(span, closure, "NODE_SETUP", "NODE_IDLE", "NODE_TEARDOWN")


def _phases(
    span: core.Span,
    closure: admin.NodeExecutionClosure | admin.TaskExecutionClosure,
    setup: str,
    running: str,
    teardown: str,
) -> None:
    """Split the time of something that starts and ends by itself."""
    if not _is_set(closure.started_at):
        span.spans.append(operation(setup, span.start_time, span.end_time))
        return
    span.spans.append(operation(setup, span.start_time, closure.started_at))
    if not _is_set(closure.duration):
        span.spans.append(operation(running, closure.started_at, span.end_time))
        return
    ended = Timestamp()
    ended.FromNanoseconds(nanoseconds(closure.started_at) + duration_nanoseconds(closure.duration))
    span.spans.append(operation(running, closure.started_at, ended))
    if nanoseconds(span.end_time) >= nanoseconds(ended):
        span.spans.append(operation(teardown, ended, span.end_time))


def _teardown(span: core.Span, name: str, last: RecordedNode | History | None) -> None:
    """Add what came after the last change inside, unless the outside ended before."""
    if last is not None and nanoseconds(span.end_time) >= nanoseconds(last.closure.updated_at):
        span.spans.append(operation(name, last.closure.updated_at, span.end_time))


def _way(branch: core.BranchNode, node_id: str) -> core.Node:
    """The node of a branch that was taken."""
    ways = [branch.if_else.case.then_node, *(other.then_node for other in branch.if_else.other)]
    if branch.if_else.WhichOneof("default") == "else_node":
        ways.append(branch.if_else.else_node)
    for way in ways:
        if way.id == node_id:
            return way
    raise FailedPrecondition(f"node {node_id} is not a way of its branch")


def _creation(recorded: RecordedNode | RecordedTask) -> tuple[int, int]:
    return nanoseconds(recorded.closure.created_at), recorded.row_id


def _moments(nodes: NodesBySpec) -> Iterable[Timestamp]:
    return (node.closure.created_at for node in nodes.values())


def _is_set(moment: Timestamp | Duration) -> bool:
    return bool(moment.seconds or moment.nanos)
