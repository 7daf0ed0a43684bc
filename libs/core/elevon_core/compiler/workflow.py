"""Compiling a workflow.

Four steps, for the workflow and each of its sub-workflows: references are looked up, the template is laid out, the
graph is walked for cycles, and the nodes are checked in the order of the walk, so that the outputs of every producer
are known before its consumers are judged. All findings are collected before any is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from elevon_idl.core import v1 as core

from elevon_core import identifiers
from elevon_core.compiler.bindings import Scope, check_bindings
from elevon_core.compiler.findings import Code, Findings
from elevon_core.compiler.graph import END_NODE, START_NODE, traverse, written
from elevon_core.compiler.layout import Layout, lay_out
from elevon_core.compiler.library import (
    LaunchPlanInterface,
    Library,
    NodeInterface,
    check_references,
    place_of,
    types_of,
)
from elevon_core.compiler.nodes import check_node
from elevon_core.compiler.requirements import Key


def compile_workflow(
    template: core.WorkflowTemplate,
    sub_workflows: Sequence[core.WorkflowTemplate] = (),
    tasks: Mapping[Key, core.CompiledTask] | None = None,
    launch_plans: Mapping[Key, LaunchPlanInterface] | None = None,
) -> core.CompiledWorkflowClosure:
    """Compiles a workflow with its sub-workflows; raises CompilationError with everything found.

    `tasks` and `launch_plans` hold at least what `requirements` names, by `identifiers.key`. Sub-workflows that nothing
    refers to are checked and compiled like the others.
    """
    findings = Findings()
    library = Library(sub_workflows, tasks or {}, launch_plans or {})
    required = check_references(template, sub_workflows, library, findings)
    closure = core.CompiledWorkflowClosure()
    _compile(template, closure.primary, library, findings)
    for sub_workflow in sub_workflows:
        _compile(sub_workflow, closure.sub_workflows.add(), library, findings.within(place_of(sub_workflow)))
    findings.raise_if_any()
    known = tasks or {}
    for key, _ in sorted(required.items(), key=lambda item: identifiers.text(item[1])):
        closure.tasks.add().CopyFrom(known[key])
    return closure


def _compile(
    template: core.WorkflowTemplate, compiled: core.CompiledWorkflow, library: Library, findings: Findings
) -> None:
    """Compiles one workflow into the message given."""
    layout = lay_out(template, compiled.template, findings)
    if layout is None:
        return
    _check_interface(compiled.template.interface, findings)
    order = _check_graph(layout, findings)
    scope = Scope(library, findings)
    _check_nodes(layout, order, compiled.template, scope)
    compiled.connections.SetInParent()
    layout.connections.write(compiled.connections)


def _check_interface(interface: core.TypedInterface, findings: Findings) -> None:
    """Every variable has a name and a type."""
    for side in (interface.inputs, interface.outputs):
        for name in sorted(side.variables):
            if not name:
                findings.require(START_NODE, "paramName")
            if side.variables[name].type.WhichOneof("type") is None:
                findings.require(START_NODE, f"param.Type] of [{name}")


def _check_graph(layout: Layout, findings: Findings) -> tuple[str, ...]:
    """Looks for cycles; returns the nodes in an order in which producers come before consumers."""
    traversal = traverse(START_NODE, layout.nodes, layout.consumers)
    for cycle in traversal.cycles:
        findings.add(Code.CYCLE_DETECTED, cycle[0], f"nodes wait for each other: {written(cycle)}")
    unreachable = [node_id for node_id in traversal.unreachable if node_id != END_NODE]
    if unreachable:
        text = f"no path leads from the start to these nodes: {', '.join(unreachable)}"
        findings.add(Code.UNREACHABLE_NODES, START_NODE, text)
    return traversal.order


def _check_nodes(layout: Layout, order: tuple[str, ...], template: core.WorkflowTemplate, scope: Scope) -> None:
    scope.outputs = dict.fromkeys(layout.nodes)
    scope.outputs[START_NODE] = types_of(template.interface.inputs)
    for node_id in order:
        if node_id in layout.nodes:
            scope.outputs[node_id] = check_node(layout.nodes[node_id], scope)
    if template.HasField("failure_node"):
        check_node(template.failure_node, scope)
    expected = NodeInterface(types_of(template.interface.outputs), {})
    check_bindings(END_NODE, template.outputs, expected, scope)
