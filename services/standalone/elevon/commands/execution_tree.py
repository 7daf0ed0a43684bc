"""An execution with its nodes below one another, named as the author named them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elevon_client import Client
from elevon_core.types import describe
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from grpc.aio import AioRpcError

from elevon.commands.connection import reference
from elevon.commands.printing import coloured, escaped, readable, seconds

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text
    from rich.tree import Tree

HIDDEN = frozenset({"start-node", "end-node"})
MOST_ROWS = 500
"""Most nodes looked at below one parent, those that have failed or not ended first; the rest is counted."""

WAITING_ANNOTATION = "elevon/waiting"
"""What admin says about an execution that waits for a place."""

Phase = core.NodeExecution

_ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.SKIPPED, Phase.TIMED_OUT, Phase.RECOVERED})


@dataclass(slots=True)
class NodeView:
    """One node execution, what it is called, and what is below it; `reason` is that of its newest attempt.

    Nodes below it that are `left_out` are known and not looked at.
    """

    execution: admin.NodeExecution
    name: str
    template: core.Node | None = None
    reason: str = ""
    attempts: int = 0
    children: list[NodeView] = field(default_factory=list)
    left_out: Sequence[admin.NodeExecution] = ()

    @property
    def phase(self) -> str:
        """The phase's name."""
        return core.NodeExecution.Phase.Name(self.execution.closure.phase)

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return has_ended(self.execution)

    def all(self) -> Iterator[NodeView]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.all()


@dataclass(slots=True)
class ExecutionView:
    """An execution and its nodes as they are now."""

    execution: admin.Execution
    nodes: list[NodeView]
    left_out: Sequence[admin.NodeExecution] = ()

    @property
    def phase(self) -> str:
        """The phase's name."""
        return core.WorkflowExecution.Phase.Name(self.execution.closure.phase)

    def progress(self) -> tuple[int, int]:
        """How many of the nodes known so far have ended, and how many there are."""
        every = [node for top in self.nodes for node in top.all()]
        others = [*self.left_out, *(other for node in every for other in node.left_out)]
        return sum(node.ended for node in every) + sum(map(has_ended, others)), len(every) + len(others)


class ExecutionReader:
    """Reads one execution again and again; what cannot change is asked for once."""

    def __init__(self, client: Client, key: core.WorkflowExecutionIdentifier) -> None:
        self._client = client
        self._key = key
        self._closure: core.CompiledWorkflowClosure | None = None
        self._dynamic: dict[str, core.CompiledWorkflowClosure] = {}
        self._settled: dict[str, tuple[str, int]] = {}
        self._failed: dict[str, admin.NodeExecution] = {}

    async def read(self) -> ExecutionView:
        """The execution with all its nodes."""
        execution = await self._client.execution(self._key)
        if self._closure is None:
            self._closure = await self._workflow(execution.closure.workflow_id)
        nodes, left_out = await self._below("", self._closure.primary.template.nodes, self._closure)
        return ExecutionView(execution, nodes, left_out)

    async def _workflow(self, workflow: core.Identifier) -> core.CompiledWorkflowClosure:
        try:
            found = await self._client.admin.GetWorkflow(admin.ObjectGetRequest(id=workflow))
        except AioRpcError:  # names are a comfort: a workflow that is gone leaves the node ids
            return core.CompiledWorkflowClosure()
        return found.closure.compiled_workflow

    async def _below(
        self, parent: str, templates: Iterable[core.Node], closure: core.CompiledWorkflowClosure
    ) -> tuple[list[NodeView], Sequence[admin.NodeExecution]]:
        by_id = {template.id: template for template in templates}
        found = [node async for node in self._client.node_executions(self._key, parent=parent) if not is_hidden(node)]
        told = sorted(found, key=lambda node: has_ended(node) and not node.closure.HasField("error"))
        shown, left_out = in_order(told[:MOST_ROWS]), told[MOST_ROWS:]
        return list(await asyncio.gather(*(self._view(node, by_id, closure) for node in shown))), left_out

    async def _view(
        self, node: admin.NodeExecution, by_id: Mapping[str, core.Node], closure: core.CompiledWorkflowClosure
    ) -> NodeView:
        if node.closure.HasField("error"):
            node = await self._failed_node(node)
        template = by_id.get(node.metadata.spec_node_id) or by_id.get(node.id.node_id)
        name = template.metadata.name if template is not None and template.metadata.name else node.id.node_id
        view = NodeView(node, name, template)
        if node.metadata.is_parent_node or (template is not None and template.HasField("branch_node")):
            templates, inner = await self._inside(node, template, closure)
            view.children, view.left_out = await self._below(node.id.node_id, templates, inner)
        else:
            view.reason, view.attempts = await self._newest_attempt(view)
        if template is not None and template.HasField("gate_node"):
            view.reason = gate_reason(template.gate_node)
        return view

    async def _failed_node(self, node: admin.NodeExecution) -> admin.NodeExecution:
        """The node with all of its error: lists carry only the beginning."""
        known = self._failed.get(node.id.node_id)
        if known is None or known.closure.phase != node.closure.phase:
            known = self._failed[node.id.node_id] = await whole(self._client, node)
        return known

    async def _inside(
        self, node: admin.NodeExecution, template: core.Node | None, closure: core.CompiledWorkflowClosure
    ) -> tuple[list[core.Node], core.CompiledWorkflowClosure]:
        if node.metadata.is_dynamic:
            inner = await self._dynamic_workflow(node)
            return list(inner.primary.template.nodes), inner
        return (list(inside(template, closure)) if template is not None else []), closure

    async def _dynamic_workflow(self, node: admin.NodeExecution) -> core.CompiledWorkflowClosure:
        known = self._dynamic.get(node.id.node_id)
        if known is not None:
            return known
        try:
            found = await self._client.admin.GetDynamicNodeWorkflow(admin.GetDynamicNodeWorkflowRequest(id=node.id))
        except AioRpcError:  # not built yet
            return core.CompiledWorkflowClosure()
        return self._dynamic.setdefault(node.id.node_id, found.compiled_workflow)

    async def _newest_attempt(self, view: NodeView) -> tuple[str, int]:
        node_id = view.execution.id.node_id
        if node_id in self._settled:
            return self._settled[node_id]
        attempts = [attempt async for attempt in self._client.task_executions(view.execution.id)]
        found = (attempts[-1].closure.reason, len(attempts)) if attempts else ("", 0)
        if view.ended:
            self._settled[node_id] = found
        return found


async def whole(client: Client, node: admin.NodeExecution) -> admin.NodeExecution:
    """The node with all of its error, of which lists carry only the beginning: flytekit's own words come last."""
    if not node.closure.HasField("error"):
        return node
    return await client.admin.GetNodeExecution(admin.NodeExecutionGetRequest(id=node.id))


def is_hidden(node: admin.NodeExecution) -> bool:
    """Whether it is the beginning or the end of a workflow, which nobody has written."""
    return node.metadata.spec_node_id in HIDDEN or node.id.node_id in HIDDEN


def has_ended(node: admin.NodeExecution) -> bool:
    """Whether a node will not change any more."""
    return node.closure.phase in _ENDED


def in_order(nodes: Iterable[admin.NodeExecution]) -> list[admin.NodeExecution]:
    """Nodes by name as people count: `dn10` after `dn9`."""
    return sorted(nodes, key=lambda node: counted(node.id.node_id))


def node_names(found: Iterable[str]) -> list[str]:
    """The names among these that a user may mean, in order."""
    return sorted(set(found) - HIDDEN, key=counted)


def counted(name: str) -> list[tuple[str, int]]:
    """The key by which names with numbers in them are sorted."""
    return [(text, int(digits or -1)) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name)]


def gate_reason(gate: core.GateNode) -> str:
    """What an open gate waits for."""
    kind = gate.WhichOneof("condition")
    if kind == "approve":
        return f"waits for approval of {gate.approve.signal_id}"
    if kind == "signal":
        return f"waits for signal {gate.signal.signal_id} ({describe(gate.signal.type)})"
    return f"sleeps {seconds(gate.sleep.duration)}" if kind == "sleep" else ""


def inside(template: core.Node, closure: core.CompiledWorkflowClosure) -> Iterator[core.Node]:
    """The nodes that a node of a workflow holds: those of its sub-workflow, its branches, its array."""
    kind = template.WhichOneof("target")
    if kind == "workflow_node" and template.workflow_node.HasField("sub_workflow_ref"):
        for candidate in closure.sub_workflows:
            if candidate.template.id == template.workflow_node.sub_workflow_ref:
                yield from candidate.template.nodes
    elif kind == "branch_node":
        choice = template.branch_node.if_else
        yield choice.case.then_node
        yield from (case.then_node for case in choice.other)
        if choice.HasField("else_node"):
            yield choice.else_node
    elif kind == "array_node":
        yield template.array_node.node


def drawn(view: ExecutionView) -> Tree:
    """The tree for a terminal."""
    from rich.tree import Tree

    tree = Tree(_headline(view))
    if reason := waiting_reason(view.execution):
        tree.add(f"[dim]{escaped(reason)}[/]")
    for node in view.nodes:
        _draw(node, tree)
    _tell(view.left_out, tree)
    return tree


def drawn_within(view: ExecutionView, terminal: Console) -> RenderableType:
    """What a terminal can show at once: the tree, else the nodes that matter most, a line each."""
    from rich.console import Group

    every, height = [node for top in view.nodes for node in top.all()], terminal.height
    if len(every) < height and len(terminal.render_lines(tree := drawn(view), pad=False)) < height:
        return tree
    waiting = [f"[dim]{escaped(reason)}[/]" for reason in (waiting_reason(view.execution),) if reason]
    room = max(height - len(waiting) - 3, 1)  # the headline, the last line, and one for the cursor
    shown = sorted(every, key=_urgency)[:room]
    lines = [_headline(view), *waiting, *map(line, shown)]
    if more := view.progress()[1] - len(shown):
        lines.append(f"[dim]… {more} more[/]")
    return Group(*(_one_line(text) for text in lines))


def _one_line(markup: str) -> Text:
    from rich.text import Text

    text = Text.from_markup(markup, overflow="ellipsis")
    text.no_wrap = True
    return text


def _urgency(node: NodeView) -> int:
    """Failed nodes first, then those at work; of parents only what is below them says more."""
    phase = node.execution.closure.phase
    if phase in (Phase.FAILED, Phase.TIMED_OUT, Phase.FAILING):
        return 0
    if node.ended:
        return 4
    if phase == Phase.RUNNING:
        return 1 if not node.children else 2
    return 2 if phase == Phase.DYNAMIC_RUNNING else 3


def _headline(view: ExecutionView) -> str:
    done, known = view.progress()
    return (
        f"[bold]{escaped(view.execution.id.name)}[/]  {coloured(view.phase)}  "
        f"{seconds(view.execution.closure.duration)}  [dim]{done} of {known} nodes ended[/]"
    )


def waiting_reason(execution: admin.Execution) -> str:
    """Why an execution waits for a place under its launch plan's concurrency policy; empty when it does not."""
    return execution.spec.annotations.values.get(WAITING_ANNOTATION, "")


def _draw(node: NodeView, tree: Tree) -> None:
    branch = tree.add(line(node))
    for child in node.children:
        _draw(child, branch)
    _tell(node.left_out, branch, node.execution.id.node_id)


def _tell(left_out: Sequence[admin.NodeExecution], tree: Tree, parent: str = "") -> None:
    if left_out:
        tree.add(_counted(left_out, parent))


def not_shown(view: ExecutionView) -> list[str]:
    """Of each parent with nodes that were not looked at, a line of markup that counts them and says how to see them."""
    parents = (node for top in view.nodes for node in top.all() if node.left_out)
    below = [_counted(parent.left_out, parent.execution.id.node_id) for parent in parents]
    return [*below, *([_counted(view.left_out, "")] if view.left_out else [])]


def _counted(left_out: Sequence[admin.NodeExecution], parent: str) -> str:
    ended, execution = sum(map(has_ended, left_out)), left_out[0].id.execution_id
    command = f"elevon get nodes {reference(execution)}" + (f" --parent {parent}" if parent else "")
    return f"[dim]… {len(left_out)} more nodes, {ended} of them ended: {escaped(command)} lists them[/]"


def line(node: NodeView) -> str:
    """One node in one line of markup."""
    closure = node.execution.closure
    parts = [f"{escaped(node.name)} [dim]{escaped(node.execution.id.node_id)}[/]", coloured(node.phase)]
    if took := seconds(closure.duration):
        parts.append(took)
    status = closure.task_node_metadata.cache_status
    if status not in (core.CACHE_DISABLED, core.CACHE_MISS):
        parts.append(f"[blue]{core.CatalogCacheStatus.Name(status).lower().replace('_', ' ')}[/]")
    if node.attempts > 1:
        parts.append(f"{node.attempts} attempts")
    if closure.workflow_node_metadata.HasField("executionId"):
        parts.append(f"→ {escaped(closure.workflow_node_metadata.executionId.name)}")
    if closure.HasField("error"):
        parts.append(f"[red]{escaped(first_line(closure.error.message))}[/]")
    elif node.reason and not node.ended:
        parts.append(f"[dim]{escaped(first_line(node.reason))}[/]")
    return "  ".join(parts)


def first_line(text: str) -> str:
    """The line that says what happened; flytekit puts it below the trace, after the word `Message`."""
    for told in reversed(text.split("Message:")):  # what happened may itself end with the word
        for line in told.splitlines():
            if line.strip():
                return line.strip()
    return ""


def literals(values: core.LiteralMap) -> list[tuple[str, str]]:
    """Names and readable values, sorted by name."""
    return [(name, readable(values.literals[name])) for name in sorted(values.literals)]
