"""`elevon cache`: why a task hit or missed, and making it run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from elevon.commands.connection import (
    DOMAIN,
    PROJECT,
    Domain,
    Execution,
    Project,
    Target,
    execution_id,
    reference,
    run,
)
from elevon.commands.printing import Format, Output, as_data, console, escaped, moment, show_data
from elevon.commands.walking import every_node

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core
    from rich.console import Console

Element = Annotated[int | None, typer.Option(min=0, help="Of an array node, such as a map task: one element.")]

application = typer.Typer(name="cache", help="See and evict what tasks have left for others.", no_args_is_help=True)


@application.command()
def explain(
    execution: Execution,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Id of a node of the execution.")],
    element: Element = None,
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """Say why a node hit or missed, and what differs from the entries that are most alike."""
    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> admin.ExplainNodeResponse:
        from elevon_idl.admin import v1 as admin
        from elevon_idl.core import v1 as core

        node_id = core.NodeExecutionIdentifier(execution_id=key, node_id=node)
        return await client.memoization.ExplainNode(admin.ExplainNodeRequest(id=node_id, element=element))

    found = run(target, ask)
    if output is Format.TABLE:
        show(found)
        if found.elements:
            command = f"elevon cache explain {reference(key)} {node} --element INDEX"
            console().print(f"[dim]about one: {escaped(command)}[/]", soft_wrap=True)
    else:
        show_data(as_data(found), output)


def show(found: admin.ExplainNodeResponse) -> None:
    """Lay out what `explain` found."""
    from elevon_idl.core import v1 as core

    terminal, told = console(), escaped(found.explanation)
    if found.elements or found.inner_nodes:
        terminal.print(told, soft_wrap=True)
    else:
        terminal.print(f"[bold]{core.CatalogCacheStatus.Name(found.cache_status)}[/]  {told}", soft_wrap=True)
    dataset = found.entry.dataset_id
    if dataset.name:
        terminal.print(f"[bold]dataset[/]  {escaped(dataset.name)}  version {escaped(dataset.version)}")
    if found.nearby:
        among = f" of the {found.compared_newest} newest" if found.compared_newest else ""
        terminal.print(f"\n[bold]what the catalog holds besides, the most alike{among} first")
    for nearby in found.nearby:
        _show_nearby(terminal, nearby)


def _show_nearby(terminal: Console, nearby: admin.NearbyEntry) -> None:
    entry = nearby.entry
    source = entry.source_task_execution.node_execution_id
    if entry.HasField("artifact_tag"):
        made_by = f"{source.execution_id.name} {source.node_id}, {moment(nearby.created_at)} UTC"
    else:
        made_by = f"version {entry.dataset_id.version}"
    later = "  [dim]written after this look-up[/]" if nearby.later else ""
    terminal.print(f"• {escaped(made_by)}{later}")
    for difference in nearby.differences:
        terminal.print(f"    {told(difference)}", soft_wrap=True)
    if not nearby.differences:
        terminal.print("    nothing that can be compared differs")


def told(difference: admin.CacheDifference) -> str:
    """One difference in words, as markup."""
    from elevon_idl.admin import v1 as admin

    here, there = escaped(difference.here), escaped(difference.there)
    kinds = {
        admin.CacheDifference.KIND_CACHE_VERSION: f"cache version: {here} here, {there} there",
        admin.CacheDifference.KIND_INPUT_INTERFACE: "the names or types of the inputs differ",
        admin.CacheDifference.KIND_OUTPUT_INTERFACE: "the names or types of the outputs differ",
        admin.CacheDifference.KIND_INPUT_VALUE: f"input {escaped(difference.name)}: {here} here, {there} there",
        admin.CacheDifference.KIND_SOURCE_GONE: "the execution that made it is gone: its inputs cannot be compared",
    }
    return kinds.get(difference.kind, admin.CacheDifference.Kind.Name(difference.kind))


@application.command()
def evict(
    execution: Execution,
    node: Annotated[str, typer.Argument(metavar="[NODE]", help="Id of a node; all cached ones when absent.")] = "",
    element: Element = None,
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
) -> None:
    """Remove the entries that nodes of an execution left or found: the next run does the work again."""
    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> None:
        names = [node] if node else await cached(client, key)
        if not names:
            typer.echo("no node of this execution is cached")
        for name in names:
            await _evict(client, key, name, element)

    if element is not None and not node:
        raise typer.BadParameter("an element needs the node that it belongs to")
    run(target, ask)


async def _evict(client: Client, key: core.WorkflowExecutionIdentifier, name: str, element: int | None) -> None:
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

    node_id = core.NodeExecutionIdentifier(execution_id=key, node_id=name)
    answer = await client.memoization.EvictNode(admin.EvictNodeRequest(id=node_id, element=element))
    title = name if element is None else f"{name}[{element}]"
    if answer.asked > 1:
        typer.echo(f"{title}: {answer.evicted} of {answer.asked} elements evicted")
    else:
        typer.echo(f"{title}: evicted" if answer.evicted else f"{title}: nothing was there any more")


async def cached(client: Client, key: core.WorkflowExecutionIdentifier) -> list[str]:
    """The ids of all nodes of an execution that have looked something up, or elements of which have."""
    from elevon.commands.execution_tree import node_names

    await client.execution(key)  # of one that is nowhere there are no nodes either
    return node_names(
        [
            node.id.node_id
            async for node in every_node(client, key)
            if node.closure.task_node_metadata.catalog_key.dataset_id.name or await _has_cached_elements(client, node)
        ]
    )


async def _has_cached_elements(client: Client, node: admin.NodeExecution) -> bool:
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

    if not node.metadata.is_array:
        return False
    found = await client.memoization.ExplainNode(admin.ExplainNodeRequest(id=node.id))
    return any(each.cache_status in (core.CACHE_HIT, core.CACHE_POPULATED) for each in found.elements)
