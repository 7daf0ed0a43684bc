"""`elevon get`: lists of what the control plane knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from elevon.commands.connection import (
    DOMAIN,
    PROJECT,
    CommandFailed,
    Domain,
    Execution,
    Project,
    Target,
    check_scope,
    execution_id,
    named,
    run,
)
from elevon.commands.printing import Format, Output, coloured, escaped, moment, seconds, show_list
from elevon.commands.walking import all_whole

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

application = typer.Typer(name="get", help="List what the control plane knows.", no_args_is_help=True)

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Most rows to show.")]
Filter = Annotated[str, typer.Option("--filter", help="Filters of the API, such as `eq(phase,FAILED)`, joined by `+`.")]
SortBy = Annotated[str, typer.Option("--sort", help="FIELD:asc or FIELD:desc.")]
Name = Annotated[str, typer.Argument(help="Show the versions of this one.")]


@application.command()
def executions(
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    phase: Annotated[str, typer.Option(help="Only those in this phase, such as RUNNING.")] = "",
    filters: Filter = "",
    sort: SortBy = "created_at:desc",
    limit: Limit = 20,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List executions, the newest first."""
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

    chosen = "+".join(part for part in (filters, f"eq(phase,{phase_name(phase)})" if phase else "") if part)
    request = admin.ResourceListRequest(
        id=admin.NamedEntityIdentifier(project=project, domain=domain),
        limit=limit,
        filters=chosen,
        sort_by=sort_by(sort),
    )

    async def ask(client: Client) -> admin.ExecutionList:
        found = await client.admin.ListExecutions(request)
        if not found.executions:
            await check_scope(client, project, domain)
        return found

    found = run(target, ask).executions
    rows = (
        (
            execution.id.name,
            coloured(core.WorkflowExecution.Phase.Name(execution.closure.phase)),
            execution.closure.workflow_id.name,
            moment(execution.closure.created_at),
            seconds(execution.closure.duration),
        )
        for execution in found
    )
    show_list(
        found,
        output,
        ("execution", "phase", "workflow", "created (UTC)", "took"),
        rows,
        ("took", "created (UTC)", "workflow"),
    )


@application.command()
def nodes(
    execution: Execution,
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    parent: Annotated[str, typer.Option(help="Those below this node instead of the top level's.")] = "",
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List the nodes of an execution."""
    from elevon_idl.core import v1 as core

    from elevon.commands.execution_tree import first_line, in_order

    key = execution_id(execution, project, domain)

    async def ask(client: Client) -> list[admin.NodeExecution]:
        await client.execution(key)  # a name that does not exist is an error, not an empty list
        if parent:
            await check_node(client, key, parent)
        found = in_order([node async for node in client.node_executions(key, parent=parent)])
        return await all_whole(client, found)

    found = run(target, ask)
    rows = (
        (
            node.id.node_id,
            coloured(core.NodeExecution.Phase.Name(node.closure.phase)),
            moment(node.closure.started_at),
            seconds(node.closure.duration),
            escaped(first_line(node.closure.error.message)),
        )
        for node in found
    )
    show_list(found, output, ("node", "phase", "started (UTC)", "took", "error"), rows, ("took", "started (UTC)"))


@application.command()
def projects(target: Target = "", output: Output = Format.TABLE) -> None:
    """List projects."""
    from elevon_idl.admin import v1 as admin

    async def ask(client: Client) -> admin.Projects:
        return await client.admin.ListProjects(admin.ProjectListRequest(limit=1000))

    found = run(target, ask).projects
    rows = (
        (
            project.id,
            escaped(project.name),
            ", ".join(domain.id for domain in project.domains),
            escaped(project.description),
        )
        for project in found
    )
    show_list(found, output, ("project", "name", "domains", "description"), rows, ("description", "name"))


@application.command()
def tasks(
    name: Name = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    filters: Filter = "",
    limit: Limit = 20,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List tasks with their versions, the newest first."""
    request = listed(name, project, domain, filters, limit)

    async def ask(client: Client) -> admin.TaskList:
        found = await client.admin.ListTasks(request)
        if not found.tasks:
            await check_scope(client, project, domain)
        return found

    found = run(target, ask).tasks
    rows = (
        (
            task.id.name,
            task.id.version,
            task.closure.compiled_task.template.type,
            moment(task.closure.created_at),
        )
        for task in found
    )
    show_list(found, output, ("task", "version", "type", "registered (UTC)"), rows, ("type", "registered (UTC)"))


@application.command()
def workflows(
    name: Name = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    filters: Filter = "",
    limit: Limit = 20,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List workflows with their versions, the newest first."""
    request = listed(name, project, domain, filters, limit)

    async def ask(client: Client) -> admin.WorkflowList:
        found = await client.admin.ListWorkflows(request)
        if not found.workflows:
            await check_scope(client, project, domain)
        return found

    found = run(target, ask).workflows
    rows = ((workflow.id.name, workflow.id.version, moment(workflow.closure.created_at)) for workflow in found)
    show_list(found, output, ("workflow", "version", "registered (UTC)"), rows, ("registered (UTC)",))


@application.command("launch-plans")
def launch_plans(
    name: Name = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    filters: Filter = "",
    limit: Limit = 20,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List launch plans with their versions, the newest first."""
    from elevon_idl.admin import v1 as admin

    request = listed(name, project, domain, filters, limit)

    async def ask(client: Client) -> admin.LaunchPlanList:
        found = await client.admin.ListLaunchPlans(request)
        if not found.launch_plans:
            await check_scope(client, project, domain)
        return found

    found = run(target, ask).launch_plans
    rows = (
        (
            plan.id.name,
            plan.id.version,
            admin.LaunchPlanState.Name(plan.closure.state),
            schedule(plan.spec.entity_metadata.schedule),
            moment(plan.closure.created_at),
        )
        for plan in found
    )
    header = ("launch plan", "version", "state", "schedule", "registered (UTC)")
    show_list(found, output, header, rows, ("registered (UTC)", "schedule", "state"))


def phase_name(text: str) -> str:
    """The phase of an execution that is meant, in any case. Raises BadParameter naming those that there are."""
    from elevon_idl.core import v1 as core

    known = core.WorkflowExecution.Phase.keys()
    if text.upper() not in known:
        raise typer.BadParameter(f"{text!r} is no phase; there are: {named(known)}")
    return text.upper()


async def check_node(client: Client, key: core.WorkflowExecutionIdentifier, node: str) -> None:
    """Raise CommandFailed, with the names that there are, when an execution has no node of this name."""
    import grpc
    from elevon_idl.admin import v1 as admin
    from elevon_idl.core import v1 as core

    from elevon.commands.execution_tree import node_names

    try:
        node_id = core.NodeExecutionIdentifier(execution_id=key, node_id=node)
        await client.admin.GetNodeExecution(admin.NodeExecutionGetRequest(id=node_id))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        known = node_names([found.id.node_id async for found in client.node_executions(key)])
        raise CommandFailed(f"execution {key.name} has no node {node!r}; there are: {named(known)}") from None


def schedule(schedule: admin.Schedule) -> str:
    """When a launch plan runs by itself; empty when it does not."""
    from elevon_idl.admin import v1 as admin

    if schedule.HasField("rate"):
        return f"every {schedule.rate.value} {admin.FixedRateUnit.Name(schedule.rate.unit).lower()}(s)"
    return schedule.cron_schedule.schedule or schedule.cron_expression


def listed(name: str, project: str, domain: str, filters: str, limit: int) -> admin.ResourceListRequest:
    """The request for entities of a kind, the newest first."""
    from elevon_idl.admin import v1 as admin

    scope = admin.NamedEntityIdentifier(project=project, domain=domain, name=name)
    return admin.ResourceListRequest(id=scope, limit=limit, filters=filters, sort_by=sort_by("created_at:desc"))


def sort_by(text: str) -> admin.Sort:
    """`FIELD:asc` or `FIELD:desc` as the API wants it."""
    from elevon_idl.admin import v1 as admin

    field, _, direction = text.partition(":")
    if not field or direction not in ("asc", "desc", ""):
        raise typer.BadParameter(f"{text!r} is not FIELD:asc or FIELD:desc")
    ascending = direction == "asc"
    return admin.Sort(key=field, direction=admin.Sort.ASCENDING if ascending else admin.Sort.DESCENDING)
