"""`elevon cache`: why a task hit or missed, and making it run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from elevon.commands.connection import DOMAIN, PROJECT, Domain, Execution, Project, Target, execution_id, run
from elevon.commands.printing import Format, Output, as_data, console, escaped, moment, show_data

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core
    from rich.console import Console

application = typer.Typer(name="cache", help="See and evict what tasks have left for others.", no_args_is_help=True)


@application.command()
def explain(
    execution: Execution,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Id of a node of the execution.")],
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
        return await client.memoization.ExplainNode(admin.ExplainNodeRequest(id=node_id))

    found = run(target, ask)
    if output is Format.TABLE:
        show(found)
    else:
        show_data(as_data(found), output)


def show(found: admin.ExplainNodeResponse) -> None:
    """Lay out what `explain` found."""
    from elevon_idl.core import v1 as core

    terminal = console()
    terminal.print(f"[bold]{core.CatalogCacheStatus.Name(found.cache_status)}[/]  {escaped(found.explanation)}")
    dataset = found.entry.dataset_id
    if dataset.name:
        terminal.print(f"[bold]dataset[/]  {escaped(dataset.name)}  version {escaped(dataset.version)}")
    if found.nearby:
        terminal.print("\n[bold]what the catalog holds besides, the most alike first")
    for nearby in found.nearby:
        _show_nearby(terminal, nearby)


def _show_nearby(terminal: Console, nearby: admin.NearbyEntry) -> None:
    entry = nearby.entry
    source = entry.source_task_execution.node_execution_id
    if entry.HasField("artifact_tag"):
        made_by = f"{source.execution_id.name} {source.node_id}, {moment(nearby.created_at)} UTC"
    else:
        made_by = f"version {entry.dataset_id.version}"
    terminal.print(f"• {escaped(made_by)}")
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
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    target: Target = "",
) -> None:
    """Remove the entries that nodes of an execution left or found: the next run does the work again."""
    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> None:
        names = [node] if node else await _cached(client, key)
        if not names:
            typer.echo("no node of this execution is cached")
        for name in names:
            await _evict(client, key, name)

    run(target, ask)


async def _evict(client: Client, key: core.WorkflowExecutionIdentifier, name: str) -> None:
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

    node_id = core.NodeExecutionIdentifier(execution_id=key, node_id=name)
    answer = await client.memoization.EvictNode(admin.EvictNodeRequest(id=node_id))
    typer.echo(f"{name}: evicted" if answer.artifact_id else f"{name}: nothing was there any more")


async def _cached(client: Client, key: core.WorkflowExecutionIdentifier) -> list[str]:
    from elevon.commands.execution_tree import ExecutionReader

    view = await ExecutionReader(client, key).read()
    nodes = (node.execution for top in view.nodes for node in top.all())
    return [node.id.node_id for node in nodes if node.closure.task_node_metadata.catalog_key.dataset_id.name]
