"""Task nodes take and yield what their task does."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_core.compiler.bindings import Scope
from elevon_core.compiler.library import NodeInterface


def interface(node: core.Node, scope: Scope) -> NodeInterface | None:
    """The interface of the task; None if the task is not known."""
    if not node.task_node.HasField("reference_id"):
        scope.findings.require(node.id, "TaskNode.ReferenceId")
        return None
    return scope.library.task(node.task_node.reference_id)
