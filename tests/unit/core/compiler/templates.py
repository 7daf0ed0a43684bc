"""A small language for workflow templates, so that a test shows the workflow and nothing else.

world = World().task("square", {"n": INT}, {"o0": INT})
flow = Flow({"n": INT}, {"o0": INT}).run("n0", "square", n=of("", "n")).returns(o0=of("n0", "o0"))
closure = world.compile(flow)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from elevon_core import identifiers, literals
from elevon_core.compiler import LaunchPlanInterface, compile_workflow
from elevon_core.compiler.requirements import Key
from elevon_core.errors import CompilationError
from elevon_idl.core import v1 as core

Types = Mapping[str, core.LiteralType]

NONE, INT, FLOAT, STR, BOOL, STRUCT = (
    core.LiteralType(simple=kind)
    for kind in (core.NONE, core.INTEGER, core.FLOAT, core.STRING, core.BOOLEAN, core.STRUCT)
)
UNTYPED = core.LiteralType()


def list_of(element: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(collection_type=element)


def map_of(value: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(map_value_type=value)


def union_of(*variants: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(union_type=core.UnionType(variants=variants))


def optional(variant: core.LiteralType) -> core.LiteralType:
    return union_of(variant, NONE)


def enum_of(*values: str) -> core.LiteralType:
    return core.LiteralType(enum_type=core.EnumType(values=values))


def dataclass_of(**fields: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(simple=core.STRUCT, structure=core.TypeStructure(dataclass_type=fields))


def task_id(name: str) -> core.Identifier:
    return _identifier(core.TASK, name)


def workflow_id(name: str) -> core.Identifier:
    return _identifier(core.WORKFLOW, name)


def plan_id(name: str) -> core.Identifier:
    return _identifier(core.LAUNCH_PLAN, name)


def _identifier(resource_type: core.ResourceType.ValueType, name: str) -> core.Identifier:
    return core.Identifier(resource_type=resource_type, project="p", domain="d", name=name, version="v1")


def variables(types: Types) -> core.VariableMap:
    return core.VariableMap(variables={name: core.Variable(type=found) for name, found in types.items()})


def of(node_id: str, var: str = "o0", *path: str | int) -> core.BindingData:
    """A promise: of a node's output, or with an empty node id of a workflow's input."""
    steps = [
        core.PromiseAttribute(string_value=step) if isinstance(step, str) else core.PromiseAttribute(int_value=step)
        for step in path
    ]
    return core.BindingData(promise=core.OutputReference(node_id=node_id, var=var, attr_path=steps))


def data(value: Any) -> core.BindingData:
    """A constant, a promise, or a list or dict of them."""
    if isinstance(value, core.BindingData):
        return value
    if isinstance(value, list):
        return core.BindingData(collection=core.BindingDataCollection(bindings=[data(each) for each in value]))
    if isinstance(value, dict):
        return core.BindingData(map=core.BindingDataMap(bindings={key: data(each) for key, each in value.items()}))
    return core.BindingData(scalar=scalar(value))


def scalar(value: Any) -> core.Scalar:
    if isinstance(value, core.Scalar):
        return value
    makers: list[tuple[type, Callable[[Any], core.Literal]]] = [
        (bool, literals.boolean),
        (int, literals.integer),
        (float, literals.float_),
        (str, literals.string),
        (type(None), lambda _: literals.none_literal()),
    ]
    return next(make(value) for kind, make in makers if isinstance(value, kind)).scalar


def bindings(values: Mapping[str, Any]) -> list[core.Binding]:
    return [core.Binding(var=name, binding=data(value)) for name, value in values.items()]


def run(node_id: str, task: str, **inputs: Any) -> core.Node:
    """A task node."""
    return core.Node(id=node_id, inputs=bindings(inputs), task_node=core.TaskNode(reference_id=task_id(task)))


def embed(node_id: str, workflow: str, **inputs: Any) -> core.Node:
    """A sub-workflow node."""
    target = core.WorkflowNode(sub_workflow_ref=workflow_id(workflow))
    return core.Node(id=node_id, inputs=bindings(inputs), workflow_node=target)


def launch(node_id: str, plan: str, **inputs: Any) -> core.Node:
    """A launch plan node."""
    target = core.WorkflowNode(launchplan_ref=plan_id(plan))
    return core.Node(id=node_id, inputs=bindings(inputs), workflow_node=target)


def approve(node_id: str, **inputs: Any) -> core.Node:
    gate = core.GateNode(approve=core.ApproveCondition(signal_id="sign"))
    return core.Node(id=node_id, inputs=bindings(inputs), gate_node=gate)


def signal(node_id: str, found: core.LiteralType, var: str = "o0") -> core.Node:
    condition = core.SignalCondition(signal_id="sign", type=found, output_variable_name=var)
    return core.Node(id=node_id, gate_node=core.GateNode(signal=condition))


def sleep(node_id: str) -> core.Node:
    return core.Node(id=node_id, gate_node=core.GateNode(sleep=core.SleepCondition()))


def each(node_id: str, element: core.Node, **array: Any) -> core.Node:
    """An array node over an element, whose bindings it repeats as flytekit does."""
    return core.Node(id=node_id, inputs=element.inputs, array_node=core.ArrayNode(node=element, **array))


def compare(left: Any, right: Any) -> core.BooleanExpression:
    """`left > right`; operands that begin with `$` are variables."""
    comparison = core.ComparisonExpression(
        operator=core.ComparisonExpression.GT, left_value=operand(left), right_value=operand(right)
    )
    return core.BooleanExpression(comparison=comparison)


def both(left: core.BooleanExpression, right: core.BooleanExpression) -> core.BooleanExpression:
    conjunction = core.ConjunctionExpression(left_expression=left, right_expression=right)
    return core.BooleanExpression(conjunction=conjunction)


def operand(value: Any) -> core.Operand:
    if isinstance(value, str) and value.startswith("$"):
        return core.Operand(var=value[1:])
    return core.Operand(primitive=scalar(value).primitive)


def choose(
    node_id: str,
    *cases: tuple[core.BooleanExpression | None, core.Node | None],
    otherwise: core.Node | str | None = "none holds",
    **inputs: Any,
) -> core.Node:
    """A branch node; `otherwise` is a node, an error message, or nothing."""
    blocks = [core.IfBlock(condition=condition, then_node=arm) for condition, arm in cases]
    if_else = core.IfElseBlock(case=blocks[0] if blocks else None, other=blocks[1:])
    if isinstance(otherwise, core.Node):
        if_else.else_node.CopyFrom(otherwise)
    elif otherwise is not None:
        if_else.error.message = otherwise
    return core.Node(id=node_id, inputs=bindings(inputs), branch_node=core.BranchNode(if_else=if_else))


class Flow:
    """A workflow template under construction."""

    def __init__(self, inputs: Types | None = None, outputs: Types | None = None, name: str = "flow") -> None:
        self.template = core.WorkflowTemplate(id=workflow_id(name))
        if inputs is not None:
            self.template.interface.inputs.CopyFrom(variables(inputs))
        if outputs is not None:
            self.template.interface.outputs.CopyFrom(variables(outputs))

    def add(self, *nodes: core.Node, after: Sequence[str] = ()) -> Self:
        """Adds nodes, each waiting for those named."""
        for node in nodes:
            self.template.nodes.add().CopyFrom(node)
            self.template.nodes[-1].upstream_node_ids.extend(after)
        return self

    def run(self, node_id: str, task: str, after: Sequence[str] = (), **inputs: Any) -> Self:
        return self.add(run(node_id, task, **inputs), after=after)

    def on_failure(self, node: core.Node) -> Self:
        self.template.failure_node.CopyFrom(node)
        return self

    def returns(self, **outputs: Any) -> Self:
        self.template.outputs.extend(bindings(outputs))
        return self


class World:
    """What a workflow may refer to."""

    def __init__(self) -> None:
        self.tasks: dict[Key, core.CompiledTask] = {}
        self.plans: dict[Key, LaunchPlanInterface] = {}
        self.flows: list[Flow] = []

    def task(self, name: str, inputs: Types | None = None, outputs: Types | None = None) -> Self:
        interface = core.TypedInterface(inputs=variables(inputs or {}), outputs=variables(outputs or {}))
        template = core.TaskTemplate(id=task_id(name), type="test", interface=interface)
        self.tasks[identifiers.key(template.id)] = core.CompiledTask(template=template)
        return self

    def plan(
        self, name: str, required: Types | None = None, defaults: Types | None = None, outputs: Types | None = None
    ) -> Self:
        expected = core.ParameterMap()
        for variable, found in (required or {}).items():
            expected.parameters[variable].CopyFrom(core.Parameter(var=core.Variable(type=found), required=True))
        for variable, found in (defaults or {}).items():
            expected.parameters[variable].CopyFrom(
                core.Parameter(var=core.Variable(type=found), default=literals.none_literal())
            )
        self.plans[identifiers.key(plan_id(name))] = LaunchPlanInterface(expected, variables(outputs or {}))
        return self

    def flow(self, flow: Flow) -> Self:
        self.flows.append(flow)
        return self

    def compile(self, flow: Flow) -> core.CompiledWorkflowClosure:
        return compile_workflow(flow.template, [each.template for each in self.flows], self.tasks, self.plans)

    def findings(self, flow: Flow) -> list[tuple[str, str]]:
        """The code and the node of everything that the compiler objects to."""
        try:
            self.compile(flow)
        except CompilationError as error:
            return [(finding.code, finding.node_id) for finding in error.findings]
        return []


def upstream(compiled: core.CompiledWorkflow) -> dict[str, list[str]]:
    return {node_id: list(found.ids) for node_id, found in compiled.connections.upstream.items()}


def downstream(compiled: core.CompiledWorkflow) -> dict[str, list[str]]:
    return {node_id: list(found.ids) for node_id, found in compiled.connections.downstream.items()}
