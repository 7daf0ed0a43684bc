"""The plan: a compiled workflow, turned once into what the engine needs at every step, and shared by its executions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from elevon_core import arrays, hashing, identifiers
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration

from elevon_propeller.engine import array_plan

Key = tuple[str, str, str, str]
"""Project, domain, name and version."""

START_NODE = "start-node"
END_NODE = "end-node"

_ELEMENT_KINDS = frozenset({"task", "launch_plan"})


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task as one node uses it; `dataset` is set when its outputs are cached."""

    template: core.TaskTemplate
    dataset: core.Identifier | None
    serializable: bool
    ignored_inputs: frozenset[str]


@dataclass(slots=True)
class NodePlan:
    """A node of a graph; `sources` are the upstream nodes whose outputs its bindings use.

    `arms` are the graphs of one node each that a branch chooses from. `retries` are the user's, 0 when none are asked
    for; `timeout` is in microseconds, 0 when there is none. `graph` is what a sub-workflow node runs.
    """

    id: str
    kind: str
    template: core.Node
    name: str
    bindings: tuple[core.Binding, ...]
    sources: tuple[str, ...]
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    retries: int = 0
    timeout: int = 0
    interruptible: bool | None = None
    task: TaskPlan | None = None
    arms: dict[str, Graph] = field(default_factory=dict)
    graph: Graph | None = None
    array: ArrayPlan | None = None


@dataclass(slots=True)
class ArrayPlan:
    """What an array node runs many times; `graph` stands for the graph that its elements belong to.

    `parallelism` is how many elements may be under way at a time: 0 for any number, None when nothing is said.
    `required` is how many must succeed, or else a part of all. Inputs in `bound` are handed whole to every element.
    With `own_files` each element gets an inputs.pb of its own, otherwise all read that of the array. `outputs` are the
    names of its outputs: those that the task declares, or, of a launch plan, those that others take.
    """

    element: NodePlan
    graph: Graph
    parallelism: int | None
    required: tuple[int | None, Fraction]
    bound: frozenset[str]
    own_files: bool
    runs_all: bool
    outputs: tuple[str, ...]


@dataclass(slots=True)
class Graph:
    """One workflow of the closure: the primary one, or a sub-workflow."""

    id: core.Identifier
    template: core.WorkflowTemplate
    nodes: dict[str, NodePlan]
    fails_immediately: bool
    interruptible: bool
    failure_node: NodePlan | None = None


@dataclass(slots=True)
class Plan:
    """A whole closure; `graphs` holds the sub-workflows by identifier key."""

    primary: Graph
    graphs: dict[Key, Graph] = field(default_factory=dict)


def kind_of(node: core.Node) -> str:
    """The name of the node's kind: start, end, or the field that is set in `target` without its suffix."""
    if node.id == START_NODE:
        return "start"
    if node.id == END_NODE:
        return "end"
    target = node.WhichOneof("target")
    if target is None:
        raise InvalidArgument.invalid("closure.template.nodes", node.id, "a node needs a target")
    if target == "workflow_node" and node.workflow_node.HasField("launchplan_ref"):
        return "launch_plan"
    return target.removesuffix("_node")


def build_plan(closure: core.CompiledWorkflowClosure, supported: frozenset[str]) -> Plan:
    """Turn a closure into a plan; raises InvalidArgument naming the node for what cannot be run."""
    tasks = {identifiers.key(task.template.id): task.template for task in closure.tasks}
    sub_workflows = {identifiers.key(compiled.template.id) for compiled in closure.sub_workflows}
    builder = _Builder(tasks, sub_workflows, supported)
    plan = Plan(primary=builder.graph(closure.primary))
    for compiled in closure.sub_workflows:
        plan.graphs[identifiers.key(compiled.template.id)] = builder.graph(compiled)
    for node, key in builder.references:
        node.graph = plan.graphs[key]
    return plan


def promised_nodes(bindings: Iterable[core.Binding]) -> tuple[str, ...]:
    """The nodes that bindings take values from, each once, in order of appearance."""
    return tuple(dict.fromkeys(promise.node_id or START_NODE for promise in _promises(bindings)))


def _promises(bindings: Iterable[core.Binding]) -> Iterator[core.OutputReference]:
    pending = [binding.binding for binding in reversed(list(bindings))]
    while pending:
        data = pending.pop()
        kind = data.WhichOneof("value")
        if kind == "promise":
            yield data.promise
        elif kind == "collection":
            pending.extend(data.collection.bindings)
        elif kind == "map":
            pending.extend(data.map.bindings.values())


def _name_outputs(graph: Graph) -> None:
    """Name the outputs of arrays whose elements declare none; there may be no element that shows them."""
    nameless = {
        node.id: node.array for node in graph.nodes.values() if node.array is not None and not node.array.outputs
    }
    if not nameless:
        return
    taken: dict[str, set[str]] = {node_id: set() for node_id in nameless}
    for promise in _promises(_all_bindings(graph)):
        if promise.node_id in taken:
            name = promise.var.rpartition(".")[2] if promise.var.startswith("[") else promise.var
            taken[promise.node_id].add(name)
    for node_id, array in nameless.items():
        array.outputs = tuple(sorted(taken[node_id]))


def _all_bindings(graph: Graph) -> Iterator[core.Binding]:
    for node in graph.nodes.values():
        yield from node.bindings
        for arm in node.arms.values():
            yield from _all_bindings(arm)


class _Builder:
    def __init__(
        self, tasks: Mapping[Key, core.TaskTemplate], sub_workflows: set[Key], supported: frozenset[str]
    ) -> None:
        self._tasks = tasks
        self._sub_workflows = sub_workflows
        self._supported = supported
        self.references: list[tuple[NodePlan, Key]] = []

    def graph(self, compiled: core.CompiledWorkflow) -> Graph:
        template = compiled.template
        nodes = {node.id: self._node(node, template) for node in template.nodes}
        for node_id in (START_NODE, END_NODE):
            if node_id not in nodes:
                nodes[node_id] = self._node(core.Node(id=node_id), template)
        self._connect(nodes, compiled.connections)
        graph = Graph(
            id=template.id,
            template=template,
            nodes=nodes,
            fails_immediately=template.metadata.on_failure == core.WorkflowMetadata.FAIL_IMMEDIATELY,
            interruptible=template.metadata_defaults.interruptible,
        )
        if template.HasField("failure_node"):
            graph.failure_node = self._node(template.failure_node, template)
            graph.failure_node.upstream = (START_NODE,)
        _name_outputs(graph)
        return graph

    def _connect(self, nodes: dict[str, NodePlan], connections: core.ConnectionSet) -> None:
        edges: dict[str, dict[str, None]] = {node_id: {} for node_id in nodes}
        for source, targets in connections.downstream.items():
            for target in targets.ids:
                self._edge(edges, nodes, source, target)
        for target, sources in connections.upstream.items():
            for source in sources.ids if target in nodes else ():
                self._edge(edges, nodes, source, target)
        for node in nodes.values():
            for source in node.sources:
                self._edge(edges, nodes, source, node.id)
        upstream: dict[str, list[str]] = {node_id: [] for node_id in nodes}
        for source, downstream in edges.items():
            nodes[source].downstream = tuple(downstream)
            for target in downstream:
                upstream[target].append(source)
        for node_id, sources_of in upstream.items():
            nodes[node_id].upstream = tuple(sources_of)

    @staticmethod
    def _edge(edges: dict[str, dict[str, None]], nodes: dict[str, NodePlan], source: str, target: str) -> None:
        for node_id in (source, target):
            if node_id not in nodes:
                raise InvalidArgument.invalid("closure.connections", node_id, "there is no node of this name")
        edges[source][target] = None

    def _node(self, node: core.Node, workflow: core.WorkflowTemplate) -> NodePlan:
        kind = kind_of(node)
        if kind not in self._supported:
            rule = f"nodes of kind {kind!r} cannot be run by this version"
            raise InvalidArgument.invalid(f"closure.nodes[{node.id}]", kind, rule)
        bindings = tuple(workflow.outputs if kind == "end" else node.inputs)
        metadata = node.metadata
        plan = NodePlan(
            id=node.id,
            kind=kind,
            template=node,
            name=metadata.name or (node.id if kind in ("start", "end") else ""),
            bindings=bindings,
            sources=promised_nodes(bindings),
            retries=metadata.retries.retries,
            timeout=_microseconds(metadata.timeout),
            interruptible=metadata.interruptible if metadata.HasField("interruptible") else None,
        )
        if kind == "task":
            self._add_task(plan)
        elif kind == "branch":
            self._add_arms(plan, workflow)
        elif kind == "array":
            self._add_array(plan, workflow)
        elif kind == "workflow":
            self._check_reference(plan)
        return plan

    def _add_arms(self, plan: NodePlan, workflow: core.WorkflowTemplate) -> None:
        if_else = plan.template.branch_node.if_else
        arms = [block.then_node for block in (if_else.case, *if_else.other)]
        if if_else.HasField("else_node"):
            arms.append(if_else.else_node)
        for arm in arms:
            node = self._node(arm, workflow)
            node.upstream = tuple(dict.fromkeys([*arm.upstream_node_ids, *node.sources]))
            plan.arms[arm.id] = Graph(
                id=workflow.id,
                template=workflow,
                nodes={arm.id: node},
                fails_immediately=True,
                interruptible=workflow.metadata_defaults.interruptible,
            )

    def _add_array(self, plan: NodePlan, workflow: core.WorkflowTemplate) -> None:
        array = plan.template.array_node
        element = self._node(array.node, workflow)
        if element.kind not in _ELEMENT_KINDS:
            rule = f"elements of an array can be of the kinds {sorted(_ELEMENT_KINDS)}"
            raise InvalidArgument.invalid(f"closure.nodes[{plan.id}].array_node.node", element.kind, rule)
        interruptible = workflow.metadata_defaults.interruptible
        if plan.interruptible is not None:
            interruptible = plan.interruptible
        outputs: tuple[str, ...] = ()
        if element.task is not None:
            outputs = tuple(element.task.template.interface.outputs.variables)
            element.task = _element_task(element.task.template, array)
        plan.array = ArrayPlan(
            element=element,
            graph=Graph(workflow.id, workflow, {}, fails_immediately=False, interruptible=interruptible),
            parallelism=array.parallelism if array.HasField("parallelism") else None,
            required=array_plan.required_successes(array),
            bound=frozenset(array.bound_inputs),
            own_files=array.data_mode == core.ArrayNode.INDIVIDUAL_INPUT_FILES,
            runs_all=array.run_all_sub_nodes,
            outputs=outputs,
        )

    def _check_reference(self, plan: NodePlan) -> None:
        reference = plan.template.workflow_node.sub_workflow_ref
        if identifiers.key(reference) not in self._sub_workflows:
            field_name = f"closure.nodes[{plan.id}].workflow_node.sub_workflow_ref"
            rule = "the closure does not contain this workflow"
            raise InvalidArgument.invalid(field_name, identifiers.text(reference), rule)
        self.references.append((plan, identifiers.key(reference)))

    def _add_task(self, plan: NodePlan) -> None:
        reference = plan.template.task_node.reference_id
        template = self._tasks.get(identifiers.key(reference))
        if template is None:
            rule = "the closure does not contain this task"
            raise InvalidArgument.invalid(
                f"closure.nodes[{plan.id}].task_node.reference_id", identifiers.text(reference), rule
            )
        plan.retries = plan.retries or template.metadata.retries.retries
        plan.task = _task_plan(template, plan.template.metadata)


def _task_plan(template: core.TaskTemplate, node: core.NodeMetadata) -> TaskPlan:
    return _kept(template, hashing.dataset_of(template, template.interface, node), node)


def _element_task(template: core.TaskTemplate, array: core.ArrayNode) -> TaskPlan:
    seen = core.TaskTemplate()
    seen.CopyFrom(template)
    seen.interface.CopyFrom(arrays.element_interface(template.interface, array, inputs_too=True))
    return _kept(seen, arrays.element_dataset(template, array), array.node.metadata)


def _kept(template: core.TaskTemplate, dataset: core.Identifier | None, node: core.NodeMetadata) -> TaskPlan:
    metadata = template.metadata
    serializable = node.cache_serializable if node.HasField("cache_serializable") else metadata.cache_serializable
    return TaskPlan(
        template, dataset, serializable and dataset is not None, frozenset(metadata.cache_ignore_input_vars)
    )


def _microseconds(duration: Duration) -> int:
    return duration.seconds * 1_000_000 + duration.nanos // 1_000
