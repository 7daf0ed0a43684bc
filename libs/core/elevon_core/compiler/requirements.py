"""What a workflow refers to: the tasks and launch plans to be loaded before it can be compiled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from elevon_idl.core import v1 as core

from elevon_core import identifiers

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Requirements:
    """Identifiers to be loaded, each once, sorted by their text."""

    tasks: tuple[core.Identifier, ...]
    launch_plans: tuple[core.Identifier, ...]


@dataclass(slots=True)
class References:
    """Everything one workflow refers to, by key; the first mention is kept."""

    tasks: dict[Key, core.Identifier]
    launch_plans: dict[Key, core.Identifier]
    sub_workflows: dict[Key, core.Identifier]


def requirements(template: core.WorkflowTemplate, sub_workflows: Iterable[core.WorkflowTemplate] = ()) -> Requirements:
    """Collects what a workflow and its sub-workflows refer to, through branches, array nodes and failure nodes.

    Node targets without a reference are passed over: compiling tells of them.
    """
    found = [references(each) for each in (template, *sub_workflows)]
    tasks = {key: identifier for each in found for key, identifier in each.tasks.items()}
    launch_plans = {key: identifier for each in found for key, identifier in each.launch_plans.items()}
    return Requirements(_in_order(tasks.values()), _in_order(launch_plans.values()))


def references(template: core.WorkflowTemplate) -> References:
    """What one workflow refers to, not looking into its sub-workflows."""
    found = References({}, {}, {})
    for node in nodes_within(template):
        target = node.WhichOneof("target")
        if target == "task_node":
            if node.task_node.HasField("reference_id"):
                _note(node.task_node.reference_id, found.tasks)
        elif target == "workflow_node":
            reference = node.workflow_node.WhichOneof("reference")
            if reference == "launchplan_ref":
                _note(node.workflow_node.launchplan_ref, found.launch_plans)
            elif reference == "sub_workflow_ref":
                _note(node.workflow_node.sub_workflow_ref, found.sub_workflows)
    return found


def nodes_within(template: core.WorkflowTemplate) -> Iterator[core.Node]:
    """All nodes of a workflow: its own, its failure node, and those that branches and array nodes hold."""
    pending = list(template.nodes)
    if template.HasField("failure_node"):
        pending.append(template.failure_node)
    while pending:
        node = pending.pop()
        yield node
        pending.extend(inner_nodes(node))


def inner_nodes(node: core.Node) -> list[core.Node]:
    """The nodes that one node holds directly: the arms of a branch, the element of an array."""
    target = node.WhichOneof("target")
    if target == "branch_node":
        return arms(node.branch_node.if_else)
    if target == "array_node" and node.array_node.HasField("node"):
        return [node.array_node.node]
    return []


def cases(if_else: core.IfElseBlock) -> list[core.IfBlock]:
    """The conditional cases of a branch, in the order in which they are tried."""
    first = [if_else.case] if if_else.HasField("case") else []
    return first + list(if_else.other)


def arms(if_else: core.IfElseBlock) -> list[core.Node]:
    """The nodes of a branch of which at most one is executed."""
    found = [case.then_node for case in cases(if_else) if case.HasField("then_node")]
    if if_else.HasField("else_node"):
        found.append(if_else.else_node)
    return found


def _note(identifier: core.Identifier, found: dict[Key, core.Identifier]) -> None:
    found.setdefault(identifiers.key(identifier), identifier)


def _in_order(found: Iterable[core.Identifier]) -> tuple[core.Identifier, ...]:
    copies = [core.Identifier.FromString(identifier.SerializeToString()) for identifier in found]
    return tuple(sorted(copies, key=identifiers.text))
