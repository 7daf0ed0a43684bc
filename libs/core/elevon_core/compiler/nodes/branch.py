"""Branch nodes: at most one arm runs; what all arms yield under the same name, the branch yields."""

from __future__ import annotations

from collections.abc import Callable

from elevon_idl.core import v1 as core

from elevon_core import types
from elevon_core.compiler.bindings import Scope, infer_inputs
from elevon_core.compiler.conditions import Variables, check_condition
from elevon_core.compiler.findings import Code
from elevon_core.compiler.library import NodeInterface, Types
from elevon_core.compiler.requirements import arms, cases


def interface(
    node: core.Node, scope: Scope, check_arm: Callable[[core.Node, Scope], Types | None]
) -> NodeInterface | None:
    """Checks conditions and arms; None if the outputs of an arm are not known."""
    variables = infer_inputs(node, scope)
    if_else = node.branch_node.if_else
    _check_cases(node.id, if_else, variables, scope)
    if if_else.WhichOneof("default") is None:
        text = "a branch has a node or an error for when no condition holds"
        scope.findings.add(Code.BRANCH_NODE_HAS_NO_DEFAULT, node.id, text)
    yielded = [(arm.id, check_arm(arm, scope)) for arm in arms(if_else)]
    outputs = _common(node.id, yielded, scope)
    if outputs is None:
        return None
    inputs = {name: found for name, found in variables.items() if found is not None}
    return NodeInterface(inputs, outputs, inferred=True)


def _check_cases(node_id: str, if_else: core.IfElseBlock, variables: Variables, scope: Scope) -> None:
    if not if_else.HasField("case"):
        scope.findings.add(Code.BRANCH_NODE_HAS_NO_CONDITION, node_id, "a branch has a first case")
    for number, case in enumerate(cases(if_else)):
        if case.HasField("condition"):
            check_condition(case.condition, node_id, variables, scope.findings)
        else:
            scope.findings.add(Code.BRANCH_NODE_HAS_NO_CONDITION, node_id, f"case {number} has no condition")
        if not case.HasField("then_node"):
            scope.findings.add(Code.BRANCH_NODE_ID_NOT_FOUND, node_id, f"case {number} has no node")


def _common(node_id: str, yielded: list[tuple[str, Types | None]], scope: Scope) -> Types | None:
    """The outputs that every arm has, of one type in all of them; None if those of an arm are not known."""
    common: dict[str, core.LiteralType] | None = None
    for arm_id, outputs in yielded:
        if outputs is None:
            return None
        if common is None:
            common, first = dict(outputs), arm_id
            continue
        common = {name: found for name, found in common.items() if name in outputs}
        for name in sorted(common):
            if outputs[name] != common[name]:
                text = (
                    f"output [{name}] has type [{types.describe(common[name])}] in node [{first}] "
                    f"and type [{types.describe(outputs[name])}] in node [{arm_id}]"
                )
                scope.findings.add(Code.MISMATCHING_TYPES, node_id, text)
    return common or {}
