"""What a workflow may refer to, as interfaces: tasks, launch plans and sub-workflows, each read once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from elevon_idl.core import v1 as core

from elevon_core import identifiers
from elevon_core.compiler.findings import Code, Findings
from elevon_core.compiler.graph import START_NODE, traverse, written
from elevon_core.compiler.requirements import Key, References, references

Types = Mapping[str, core.LiteralType]


@dataclass(frozen=True, slots=True)
class LaunchPlanInterface:
    """What a launch plan expects and yields, as its closure says."""

    expected_inputs: core.ParameterMap
    expected_outputs: core.VariableMap


@dataclass(frozen=True, slots=True)
class NodeInterface:
    """What a node takes and yields.

    `optional` names inputs that may stay unbound whatever their type. `inferred` says that the inputs were read off the
    bindings, so that checking the bindings against them would tell nothing.
    """

    inputs: Types
    outputs: Types
    optional: Collection[str] = frozenset()
    inferred: bool = False


def types_of(variables: core.VariableMap) -> dict[str, core.LiteralType]:
    """The types of variables by name; the messages stay those of the caller."""
    return {name: variable.type for name, variable in variables.variables.items()}


def interface_of(interface: core.TypedInterface) -> NodeInterface:
    """The interface of a task or workflow."""
    return NodeInterface(types_of(interface.inputs), types_of(interface.outputs))


class Library:
    """Looks entities up for a workflow under compilation."""

    def __init__(
        self,
        sub_workflows: Iterable[core.WorkflowTemplate],
        tasks: Mapping[Key, core.CompiledTask],
        launch_plans: Mapping[Key, LaunchPlanInterface],
    ) -> None:
        self._tasks = tasks
        self._launch_plans = launch_plans
        self._sub_workflows = {identifiers.key(each.id): each for each in reversed(list(sub_workflows))}
        self._interfaces: dict[tuple[str, Key], NodeInterface | None] = {}

    def task(self, identifier: core.Identifier) -> NodeInterface | None:
        """The interface of a task; None if it was not handed over."""
        key = identifiers.key(identifier)
        if ("task", key) not in self._interfaces:
            found = self._tasks.get(key)
            self._interfaces["task", key] = None if found is None else interface_of(found.template.interface)
        return self._interfaces["task", key]

    def sub_workflow(self, identifier: core.Identifier) -> NodeInterface | None:
        """The interface of a sub-workflow; None if it is not part of the request."""
        key = identifiers.key(identifier)
        if ("workflow", key) not in self._interfaces:
            found = self._sub_workflows.get(key)
            self._interfaces["workflow", key] = None if found is None else interface_of(found.interface)
        return self._interfaces["workflow", key]

    def launch_plan(self, identifier: core.Identifier) -> NodeInterface | None:
        """The interface of a launch plan, inputs with defaults being optional; None if it was not handed over."""
        key = identifiers.key(identifier)
        if ("launch plan", key) not in self._interfaces:
            found = self._launch_plans.get(key)
            self._interfaces["launch plan", key] = None if found is None else _launch_plan_interface(found)
        return self._interfaces["launch plan", key]

    def check(self, found: References, findings: Findings, own_key: Key) -> None:
        """Notes every reference that leads nowhere; one to the workflow itself is a recursion, found elsewhere."""
        for key, identifier in found.tasks.items():
            if key not in self._tasks:
                findings.add(
                    Code.TASK_REFERENCE_NOT_FOUND, START_NODE, f"task [{identifiers.text(identifier)}] not found"
                )
        for key, identifier in found.launch_plans.items():
            if key not in self._launch_plans:
                text = f"launch plan [{identifiers.text(identifier)}] not found"
                findings.add(Code.WORKFLOW_REFERENCE_NOT_FOUND, START_NODE, text)
        for key, identifier in found.sub_workflows.items():
            if key not in self._sub_workflows and (key != own_key or not any(own_key)):
                text = f"sub-workflow [{identifiers.text(identifier)}] is not part of the request"
                findings.add(Code.WORKFLOW_REFERENCE_NOT_FOUND, START_NODE, text)


def check_references(
    template: core.WorkflowTemplate,
    sub_workflows: Iterable[core.WorkflowTemplate],
    library: Library,
    findings: Findings,
) -> dict[Key, core.Identifier]:
    """Checks that every reference leads somewhere and none leads back; returns the tasks by key."""
    own_key = identifiers.key(template.id)
    found = {own_key: references(template)}
    library.check(found[own_key], findings, own_key)
    for each in sub_workflows:
        key = identifiers.key(each.id)
        if key in found:
            findings.add(Code.DUPLICATE_ID, START_NODE, f"two workflows of the request are named [{':'.join(key)}]")
            continue
        found[key] = references(each)
        library.check(found[key], findings.within(place_of(each)), own_key)
    _check_recursion(own_key, found, findings)
    return {key: identifier for each in found.values() for key, identifier in each.tasks.items()}


def place_of(template: core.WorkflowTemplate) -> str:
    """How findings name the sub-workflow they are in."""
    return f"in sub-workflow [{identifiers.text(template.id)}]"


def _check_recursion(start: Key, found: Mapping[Key, References], findings: Findings) -> None:
    names = {key: ":".join(key) for key in found}
    downstream = {names[key]: [names[to] for to in each.sub_workflows if to in names] for key, each in found.items()}
    for cycle in traverse(names[start], downstream, downstream).cycles:
        findings.add(Code.CYCLE_DETECTED, START_NODE, f"sub-workflows contain each other: {written(cycle)}")


def _launch_plan_interface(plan: LaunchPlanInterface) -> NodeInterface:
    parameters = plan.expected_inputs.parameters
    inputs = {name: parameter.var.type for name, parameter in parameters.items()}
    optional = frozenset(name for name, parameter in parameters.items() if not parameter.required)
    return NodeInterface(inputs, types_of(plan.expected_outputs), optional)
