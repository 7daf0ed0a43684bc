"""`elevon retention` and `elevon delete`: letting go of what is no longer needed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from elevon.commands.connection import (
    DOMAIN,
    PROJECT,
    CommandFailed,
    Domain,
    Project,
    Target,
    check_scope,
    execution_id,
    run,
)
from elevon.commands.printing import Format, Output, as_data, console, escaped, moment, seconds, show_data, show_list

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin

application = typer.Typer(name="retention", help="Delete by rule what is no longer needed.", no_args_is_help=True)

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")]
KEPT_SHOWN = 20
WithReferring = Annotated[bool, typer.Option("--with-referring", help="Delete those that refer to their data as well.")]
AllDomains = Annotated[bool, typer.Option("--all-domains", help="The rule of every domain without one of its own.")]


def age(text: str) -> int:
    """Seconds of an age such as `90m`, `12h`, `30d` or `2w`; 0 for an empty text."""
    if not text:
        return 0
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no age: a number and one of s, m, h, d, w, such as 30d")
    return int(found[1]) * SECONDS[found[2]]


@application.command("set")
def set_rule(
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    all_domains: AllDomains = False,
    executions_age: Annotated[str, typer.Option(help="Delete executions older than this, such as 90d.")] = "",
    executions_count: Annotated[int, typer.Option(min=0, help="Keep so many of the newest ended executions.")] = 0,
    data_age: Annotated[str, typer.Option(help="Keep only the outline of executions older than this.")] = "",
    cache_age: Annotated[str, typer.Option(help="Delete cached results older than this.")] = "",
    target: Target = "",
) -> None:
    """Set the rule of a project and domain; it replaces the one before."""
    from elevon_idl.admin import v1 as admin

    policy = admin.RetentionPolicy(
        project=project, domain="" if all_domains else domain, executions_max_count=executions_count
    )
    for field, text in (
        ("executions_max_age", executions_age),
        ("data_max_age", data_age),
        ("cache_max_age", cache_age),
    ):
        if length := age(text):
            getattr(policy, field).FromSeconds(length)

    async def ask(client: Client) -> None:
        await client.retention.PutRetentionPolicy(admin.PutRetentionPolicyRequest(policy=policy))

    run(target, ask)
    if all_domains:
        typer.echo(
            f"set; `elevon retention apply -p {project} -d DOMAIN --dry-run` says what it would delete of a domain"
        )
    else:
        typer.echo(f"set; `elevon retention apply -p {project} -d {domain} --dry-run` says what it would delete")


@application.command("list")
def list_rules(target: Target = "", output: Output = Format.TABLE) -> None:
    """List all rules."""
    from elevon_idl.admin import v1 as admin

    async def ask(client: Client) -> admin.ListRetentionPoliciesResponse:
        return await client.retention.ListRetentionPolicies(admin.ListRetentionPoliciesRequest())

    found = run(target, ask).policies
    rows = [
        (
            rule.project,
            rule.domain or "(others)",
            days(rule.executions_max_age.ToSeconds()),
            str(rule.executions_max_count or ""),
            days(rule.data_max_age.ToSeconds()),
            days(rule.cache_max_age.ToSeconds()),
        )
        for rule in found
    ]
    header = ("project", "domain", "executions older than", "executions beyond", "data older than", "cache older than")
    # Where there is no room, what no rule says goes first.
    optional = sorted(header[:1:-1], key=lambda title: any(row[header.index(title)] for row in rows))
    show_list(found, output, header, rows, optional)


def days(length: int) -> str:
    """An age as it is typed; empty for none."""
    for unit in "wdhm":
        if length and length % SECONDS[unit] == 0:
            return f"{length // SECONDS[unit]}{unit}"
    return f"{length}s" if length else ""


@application.command("remove")
def remove_rule(
    project: Project = PROJECT, domain: Domain = DOMAIN, all_domains: AllDomains = False, target: Target = ""
) -> None:
    """Remove the rule of a project and domain."""
    scope = "" if all_domains else domain
    there_was = run(target, lambda client: removed(client, project, scope))
    typer.echo(removal(project, scope, there_was))


async def removed(client: Client, project: str, domain: str) -> bool:
    """Remove a rule and say whether there was one. Raises CommandFailed where no rule can be."""
    from elevon_idl.admin import v1 as admin

    rules = (await client.retention.ListRetentionPolicies(admin.ListRetentionPoliciesRequest())).policies
    there_was = any((rule.project, rule.domain) == (project, domain) for rule in rules)
    if not there_was:
        await check_scope(client, project, domain)
    await client.retention.DeleteRetentionPolicy(admin.DeleteRetentionPolicyRequest(project=project, domain=domain))
    return there_was


def removal(project: str, domain: str, there_was: bool) -> str:
    """What the removal of a rule has changed."""
    if not domain:
        whose = f"the domains of project {project} that have no rule of their own"
        return f"removed; nothing is deleted of {whose}" if there_was else f"there was no rule for {whose}"
    if there_was:
        return f"removed; {project}/{domain} has no rule of its own"
    return f"there was nothing to remove: {project}/{domain} has no rule of its own"


@application.command()
def apply(
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    dry_run: DryRun = False,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """Apply the rule of a project and domain now."""
    last = run(target, lambda client: _applied(client, project, domain, dry_run, output))
    if output is Format.TABLE:
        typer.echo(("would delete " if dry_run else "deleted ") + told(last.counts))
        if last.counts.kept:
            typer.echo(f"{'would keep' if dry_run else 'kept'} {last.counts.kept} because others refer to their data")
        for kept in last.kept[:KEPT_SHOWN]:
            typer.echo(f"  {kept.id.name}: {needed_by(kept)}")
    else:
        show_data(as_data(last), output)


async def _applied(
    client: Client, project: str, domain: str, dry_run: bool, output: Format
) -> admin.ApplyRetentionPolicyResponse:
    from elevon_idl.admin import v1 as admin
    from rich.progress import Progress

    request = admin.ApplyRetentionPolicyRequest(project=project, domain=domain, dry_run=dry_run)
    last, kept = None, list["admin.KeptExecution"]()
    terminal = console()
    silent = output is not Format.TABLE or not terminal.is_terminal
    with Progress(console=terminal, transient=True, disable=silent) as progress:
        bar = progress.add_task("executions", total=None)
        async for last in client.retention.ApplyRetentionPolicy(request):
            seen = last.counts.executions + last.counts.outlines
            progress.update(bar, total=last.executions_to_go, completed=seen + last.counts.kept)
            kept += last.kept
    if last is None or not last.done:
        raise CommandFailed("the control plane ended the run early; apply the rule again")
    del last.kept[:]
    last.kept.extend(kept)
    return last


def needed_by(kept: admin.KeptExecution) -> str:
    """Why an execution is kept."""
    return "its data is referred to by " + (", ".join(each.name for each in kept.referring) or "another execution")


def told(counts: admin.RetentionCounts) -> str:
    """Counts in words."""
    return (
        f"{counts.executions} executions, the data of {counts.outlines} more, "
        f"{counts.nodes} nodes, {counts.cache_entries} cached results"
    )


@application.command()
def runs(
    project: Annotated[str, typer.Option("--project", "-p", help="Project id; all projects when empty.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Most rows to show.")] = 20,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List what was deleted when, by schedule or on request, the newest first."""
    from elevon_idl.admin import v1 as admin

    request = admin.ListRetentionRunsRequest(project=project, limit=limit)

    async def ask(client: Client) -> admin.ListRetentionRunsResponse:
        return await client.retention.ListRetentionRuns(request)

    found = run(target, ask).runs
    rows = ((moment(each.started_at), each.principal, each.project, each.domain, *_done(each)) for each in found)
    header = ("started (UTC)", "by", "project", "domain", "what", "took", "deleted", "error")
    show_list(found, output, header, rows, ("by", "took", "what", "error"))


def _done(each: admin.RetentionRun) -> tuple[str, str, str, str]:
    from google.protobuf.duration_pb2 import Duration

    took = Duration()
    if each.HasField("ended_at"):
        took.FromNanoseconds(each.ended_at.ToNanoseconds() - each.started_at.ToNanoseconds())
    return each.execution or "rule", seconds(took), told(each.counts), escaped(each.error)


def delete(
    executions: Annotated[list[str], typer.Argument(metavar="EXECUTION...", help="Names of executions.")],
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    dry_run: DryRun = False,
    with_referring: WithReferring = False,
    target: Target = "",
) -> None:
    """Delete executions that have ended, with their data and what they have left in the cache."""
    keys = [execution_id(name, project, domain) for name in executions]

    async def ask(client: Client) -> None:
        from elevon_idl.admin import v1 as admin

        for key in keys:
            request = admin.DeleteExecutionRequest(id=key, dry_run=dry_run, with_referring=with_referring)
            answer = await client.retention.DeleteExecution(request)
            counts = answer.counts
            if answer.kept:
                typer.echo(f"{key.name}: would be kept: {needed_by(answer.kept[0])}")
                continue
            done = "would be deleted" if dry_run else "deleted"
            typer.echo(f"{key.name}: {done} with {counts.nodes} nodes and {counts.cache_entries} cached results")

    run(target, ask)
