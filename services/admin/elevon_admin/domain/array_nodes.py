"""Array nodes within compiled workflows, and the names of their elements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from elevon_core import identifiers
from elevon_idl.core import v1 as core

_ELEMENT = re.compile(r"(?P<array>.+)-\d+-n(?P<index>\d+)")


class FoundArray(NamedTuple):
    """An array node, and the task that its elements run; None when they run a launch plan."""

    array: core.ArrayNode
    task: core.TaskTemplate | None


def find_array(closure: core.CompiledWorkflowClosure, node_id: str, task: core.Identifier) -> FoundArray | None:
    """The array node of this id whose elements run this task, wherever in the workflow it is.

    Sub-workflows may have nodes of one id; those that run the same task over the same inputs are alike.
    """
    templates = {identifiers.key(each.template.id): each.template for each in closure.tasks}
    graphs = (closure.primary, *closure.sub_workflows)
    for node in _nodes(node for graph in graphs for node in graph.template.nodes):
        if node.id != node_id or not node.HasField("array_node"):
            continue
        element = node.array_node.node
        if not element.HasField("task_node"):
            return FoundArray(node.array_node, None)
        if identifiers.key(element.task_node.reference_id) == identifiers.key(task):
            return FoundArray(node.array_node, templates.get(identifiers.key(task)))
    return None


def element_of(node_id: str) -> tuple[str, int] | None:
    """The array node and the index that the id of an element names; None for what cannot be one."""
    found = _ELEMENT.fullmatch(node_id)
    return (found["array"], int(found["index"])) if found else None


def _nodes(nodes: Iterable[core.Node]) -> Iterator[core.Node]:
    """Nodes with those in the arms of their branches."""
    for node in nodes:
        yield node
        if node.HasField("branch_node"):
            choice = node.branch_node.if_else
            arms = [block.then_node for block in (choice.case, *choice.other)]
            yield from _nodes([*arms, choice.else_node] if choice.HasField("else_node") else arms)
