"""From a blueprint to what an SDK registers: templates, compiled by the real compiler, and jobs of dynamic tasks.

A task says itself what is to become of it: the simulated plugin reads fates, and what the task yields, off its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from elevon_core import identifiers
from elevon_core.compiler import LaunchPlanInterface, compile_task, compile_workflow
from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration

from elevon_propeller.engine.plan import Key
from elevon_propeller.simulation.blueprint import Graph, Step, launched_graphs, own_steps, steps_of
from elevon_propeller.simulation.closures import INTEGER, INTEGERS, bind, identifier
from elevon_propeller.simulation.oracle import items_for

TASK_TYPE = "simulated"
_NUMBER = core.Variable(type=INTEGER)
_NUMBERS = core.Variable(type=INTEGERS)
_MAYBE = core.LiteralType(union_type=core.UnionType(variants=[INTEGER, core.LiteralType(simple=core.SimpleType.NONE)]))
_GAPS = core.Variable(type=core.LiteralType(collection_type=_MAYBE))
"""Numbers, some of which may be missing: what an array hands on when not all of its elements have to succeed."""
_ONE_NUMBER = core.VariableMap(variables={"x": _NUMBER})
_PLAN_INTERFACE = LaunchPlanInterface(
    core.ParameterMap(parameters={"x": core.Parameter(var=_NUMBER, required=True)}), _ONE_NUMBER
)


@dataclass(slots=True)
class Registry:
    """What an admin would have of a blueprint: every launch plan's workflow, every task, and the step behind each."""

    closures: dict[str, core.CompiledWorkflowClosure] = field(default_factory=dict)
    graphs: dict[str, Graph] = field(default_factory=dict)
    tasks: dict[Key, core.CompiledTask] = field(default_factory=dict)
    launch_plans: dict[Key, LaunchPlanInterface] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)


def register(graph: Graph) -> Registry:
    """Compile a workflow and everything it may launch; raises CompilationError when the drawing is wrong."""
    registry = Registry()
    launched = list(launched_graphs(graph))
    for step in steps_of(graph):
        if step.kind in ("task", "array", "dynamic"):
            registry.steps[step.task] = step
    for each in [graph, *launched]:
        _add_tasks(registry, each)
        registry.graphs[each.name] = each
    for each in launched:
        registry.launch_plans[identifiers.key(_plan_id(each))] = _PLAN_INTERFACE
    for each in [graph, *launched]:
        registry.closures[each.name] = _closure(each, registry)
    return registry


def job(step: Step, registry: Registry, x: int, *, brings_tasks: bool) -> core.DynamicJobSpec:
    """What a dynamic task yields for its input; tasks it does not bring along have to be fetched."""
    assert step.graph is not None
    made = _Templates(x)
    nodes = made.nodes(step.graph)
    spec = core.DynamicJobSpec(nodes=nodes, subworkflows=made.sub_workflows, outputs=[bind("x", step.graph.output)])
    if brings_tasks:
        spec.tasks.extend(registry.tasks[identifiers.key(_task_id(name))].template for name in sorted(made.tasks))
    return spec


def number(value: int) -> core.Literal:
    """A number as a literal."""
    return core.Literal(scalar=core.Scalar(primitive=core.Primitive(integer=value)))


def values_of(inputs: core.LiteralMap) -> dict[str, int | list[int | None]]:
    """Inputs or outputs as plain values."""
    return {name: _value(literal) for name, literal in inputs.literals.items()}


def _value(literal: core.Literal) -> int | list[int | None]:
    if literal.HasField("collection"):
        items = literal.collection.literals
        return [None if item.scalar.HasField("none_type") else item.scalar.primitive.integer for item in items]
    return literal.scalar.primitive.integer


def _closure(graph: Graph, registry: Registry) -> core.CompiledWorkflowClosure:
    made = _Templates(None)
    template = made.template(graph)
    tasks = {key: registry.tasks[key] for key in (identifiers.key(_task_id(name)) for name in made.tasks)}
    return compile_workflow(template, made.sub_workflows, tasks, registry.launch_plans)


def _add_tasks(registry: Registry, graph: Graph) -> None:
    lists = {step.id: step.yields_list for step in own_steps(graph)}
    for step in own_steps(graph):
        if step.graph is not None:
            _add_tasks(registry, step.graph)
        if step.kind in ("task", "array", "dynamic"):
            template = _task(step, takes_list=lists.get(step.sources[0], False))
            registry.tasks[identifiers.key(template.id)] = compile_task(template)


def _task(step: Step, *, takes_list: bool) -> core.TaskTemplate:
    many = step.kind == "array"
    inputs = {"x": _NUMBERS if many else _GAPS if takes_list else _NUMBER}
    if len(step.sources) > 1:
        inputs["y"] = _NUMBER
    interface = core.TypedInterface(
        inputs=core.VariableMap(variables=inputs),
        outputs=core.VariableMap(variables={"x": _NUMBERS if many else _NUMBER}),
    )
    return core.TaskTemplate(
        id=_task_id(step.task),
        type=TASK_TYPE,
        interface=interface,
        metadata=core.TaskMetadata(
            discoverable=step.cached,
            discovery_version="1" if step.cached else "",
            cache_serializable=step.serializable,
            retries=core.RetryStrategy(retries=step.retries),
        ),
    )


def _task_id(name: str) -> core.Identifier:
    return identifier(core.ResourceType.TASK, name)


def _plan_id(graph: Graph) -> core.Identifier:
    return identifier(core.ResourceType.LAUNCH_PLAN, graph.name)


@dataclass(slots=True)
class _Templates:
    """Makes the templates of one closure; `x` stands for the input of the outermost graph if that has none."""

    x: int | None
    tasks: set[str] = field(default_factory=set)
    sub_workflows: list[core.WorkflowTemplate] = field(default_factory=list)

    def template(self, graph: Graph) -> core.WorkflowTemplate:
        on_failure = core.WorkflowMetadata.FAIL_IMMEDIATELY
        if not graph.fails_immediately:
            on_failure = core.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
        template = core.WorkflowTemplate(
            id=identifier(core.ResourceType.WORKFLOW, graph.name),
            metadata=core.WorkflowMetadata(on_failure=on_failure),
            interface=core.TypedInterface(inputs=_ONE_NUMBER, outputs=_ONE_NUMBER),
            nodes=self.nodes(graph),
            outputs=[bind("x", graph.output)],
        )
        if graph.failure is not None:
            template.failure_node.CopyFrom(self._node(graph.failure))
        return template

    def nodes(self, graph: Graph) -> list[core.Node]:
        return [self._node(step) for step in graph.steps]

    def _node(self, step: Step) -> core.Node:
        node = core.Node(id=step.id, metadata=_metadata(step), upstream_node_ids=step.after)
        if step.kind == "sleep":
            node.gate_node.sleep.duration.CopyFrom(_duration(step.seconds))
        elif step.kind == "signal":
            node.gate_node.signal.CopyFrom(
                core.SignalCondition(signal_id=step.task, type=INTEGER, output_variable_name="x")
            )
        elif step.kind in ("array", "array_plan"):
            self._add_array(node, step)
        else:
            node.inputs.extend(self._bindings(step))
            self._add_target(node, step)
        return node

    def _add_target(self, node: core.Node, step: Step) -> None:
        if step.kind in ("task", "dynamic"):
            self.tasks.add(step.task)
            node.task_node.reference_id.CopyFrom(_task_id(step.task))
        elif step.kind == "approve":
            node.gate_node.approve.signal_id = step.task
        elif step.kind == "branch":
            node.branch_node.if_else.CopyFrom(self._if_else(step))
        elif step.kind == "launch_plan":
            assert step.graph is not None
            node.workflow_node.launchplan_ref.CopyFrom(_plan_id(step.graph))
        else:
            assert step.graph is not None
            inner = _Templates(None, self.tasks, self.sub_workflows)
            self.sub_workflows.append(inner.template(step.graph))
            node.workflow_node.sub_workflow_ref.CopyFrom(identifier(core.ResourceType.WORKFLOW, step.graph.name))

    def _if_else(self, step: Step) -> core.IfElseBlock:
        *cases, (_, otherwise) = step.arms
        blocks = [core.IfBlock(condition=_below(bound), then_node=self._node(arm)) for bound, arm in cases]
        return core.IfElseBlock(case=blocks[0], other=blocks[1:], else_node=self._node(otherwise))

    def _add_array(self, node: core.Node, step: Step) -> None:
        items = self._items(step)
        node.inputs.append(items)
        element = core.Node(id=f"{step.id}-element", metadata=_metadata(step), inputs=[items])
        if step.graph is not None:
            element.workflow_node.launchplan_ref.CopyFrom(_plan_id(step.graph))
            node.array_node.is_original_sub_node_interface.value = True
        else:
            self.tasks.add(step.task)
            element.task_node.reference_id.CopyFrom(_task_id(step.task))
        array = node.array_node
        array.node.CopyFrom(element)
        array.run_all_sub_nodes = step.runs_all
        array.data_mode = core.ArrayNode.INDIVIDUAL_INPUT_FILES if step.own_files else core.ArrayNode.SINGLE_INPUT_FILE
        if step.parallelism is not None:
            array.parallelism = step.parallelism
        if isinstance(step.required, int):
            array.min_successes = step.required
        elif step.required is not None:
            array.min_success_ratio = step.required
        node.metadata.CopyFrom(core.NodeMetadata(name=step.id))

    def _items(self, step: Step) -> core.Binding:
        """The list of an array: its first item is the input, the others are constants."""
        bindings = [self._binding("x", step.sources[0]).binding]
        bindings += [core.BindingData(scalar=number(item).scalar) for item in items_for(step, 0)[1:]]
        collection = core.BindingDataCollection(bindings=bindings[: len(step.fates)])
        return core.Binding(var="x", binding=core.BindingData(collection=collection))

    def _bindings(self, step: Step) -> list[core.Binding]:
        return [self._binding(name, source) for name, source in zip(("x", "y"), step.sources, strict=False)]

    def _binding(self, name: str, source: str) -> core.Binding:
        if not source and self.x is not None:
            return core.Binding(var=name, binding=core.BindingData(scalar=number(self.x).scalar))
        return bind(name, source)


def _metadata(step: Step) -> core.NodeMetadata:
    metadata = core.NodeMetadata(name=step.id, retries=core.RetryStrategy(retries=step.retries))
    if step.timeout:
        metadata.timeout.CopyFrom(_duration(step.timeout))
    if step.interruptible is not None:
        metadata.interruptible = step.interruptible
    return metadata


def _duration(seconds: float) -> Duration:
    microseconds = round(seconds * 1_000_000)
    return Duration(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1_000)


def _below(bound: int) -> core.BooleanExpression:
    comparison = core.ComparisonExpression(
        operator=core.ComparisonExpression.LT,
        left_value=core.Operand(var="x"),
        right_value=core.Operand(primitive=core.Primitive(integer=bound)),
    )
    return core.BooleanExpression(comparison=comparison)


def numbers(values: Iterable[int]) -> core.Literal:
    """A list of numbers as a literal."""
    return core.Literal(collection=core.LiteralCollection(literals=[number(value) for value in values]))


def literal_map(values: Mapping[str, int]) -> core.LiteralMap:
    """Numbers as a literal map."""
    return core.LiteralMap(literals={name: number(value) for name, value in values.items()})
