"""Workflow nodes: sub-workflows, which run within the execution, and launch plans, which start another."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_core.compiler.bindings import Scope
from elevon_core.compiler.library import NodeInterface


def interface(node: core.Node, scope: Scope) -> NodeInterface | None:
    """The interface of what is referred to; None if it is not known."""
    reference = node.workflow_node.WhichOneof("reference")
    if reference == "launchplan_ref":
        return scope.library.launch_plan(node.workflow_node.launchplan_ref)
    if reference == "sub_workflow_ref":
        return scope.library.sub_workflow(node.workflow_node.sub_workflow_ref)
    scope.findings.require(node.id, "WorkflowNode.Reference")
    return None
