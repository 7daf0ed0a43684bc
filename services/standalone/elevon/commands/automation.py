"""`elevon get schedules|ticks|receivers|deliveries`: what the control plane does by itself, and whom it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from elevon.commands.connection import DOMAIN, PROJECT, Domain, Project, Target, check_scope, run
from elevon.commands.get import Limit, schedule
from elevon.commands.printing import Format, Output, coloured, escaped, moment, show_list

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.admin import v1 as admin

PlanName = Annotated[str, typer.Argument(help="Only those of this launch plan.")]
ReceiverName = Annotated[str, typer.Argument(help="Only those for this receiver.")]


def schedules(
    name: PlanName = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    limit: Limit = 20,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List active schedules with the time at which each is due next."""
    from elevon_idl.admin import v1 as admin

    request = admin.ListSchedulesRequest(project=project, domain=domain, name=name, limit=limit)

    async def ask(client: Client) -> admin.ListSchedulesResponse:
        found = await client.schedules.ListSchedules(request)
        if not found.schedules:
            await check_scope(client, project, domain)
        return found

    found = run(target, ask).schedules
    rows = (
        (
            each.launch_plan_id.name,
            each.launch_plan_id.version,
            schedule(each.schedule),
            moment(each.next_due_at),
            each.catch_up,
        )
        for each in found
    )
    show_list(found, output, ("launch plan", "version", "schedule", "next (UTC)", "catch-up"), rows, ("catch-up",))


def ticks(
    name: PlanName = "",
    project: Project = PROJECT,
    domain: Domain = DOMAIN,
    limit: Limit = 20,
    target: Target = "",
    output: Output = Format.TABLE,
) -> None:
    """List what became of the ticks of schedules, with the reason why some were skipped."""
    from elevon_idl.admin import v1 as admin

    request = admin.ListTicksRequest(project=project, domain=domain, name=name, limit=limit)

    async def ask(client: Client) -> admin.ListTicksResponse:
        found = await client.schedules.ListTicks(request)
        if not found.ticks:
            await check_scope(client, project, domain)
        return found

    found = run(target, ask).ticks
    rows = (
        (
            each.launch_plan_id.name,
            moment(each.due_at),
            coloured(admin.TickStatus.Name(each.status).removeprefix("TICK_STATUS_")),
            str(each.count),
            each.execution_id.name,
            escaped(each.reason),
        )
        for each in found
    )
    header = ("launch plan", "due (UTC)", "status", "ticks", "execution", "reason")
    show_list(found, output, header, rows, ("ticks", "reason"))


def receivers(target: Target = "", output: Output = Format.TABLE) -> None:
    """List who is told of executions, and what waits for them."""
    from elevon_idl.admin import v1 as admin

    async def ask(client: Client) -> admin.ListReceiversResponse:
        return await client.deliveries.ListReceivers(admin.ListReceiversRequest())

    found = run(target, ask).receivers
    rows = (
        (
            escaped(each.name),
            "yes" if each.configured else "no",
            str(each.waiting),
            str(each.given_up),
            moment(each.failing_since),
            escaped(each.error),
        )
        for each in found
    )
    show_list(found, output, ("receiver", "configured", "waiting", "given up", "failing since (UTC)", "error"), rows)


def deliveries(
    receiver: ReceiverName = "", limit: Limit = 20, target: Target = "", output: Output = Format.TABLE
) -> None:
    """List messages that are not delivered yet, or were given up."""
    from elevon_idl.admin import v1 as admin

    request = admin.ListDeliveriesRequest(receiver=receiver, limit=limit)

    async def ask(client: Client) -> admin.ListDeliveriesResponse:
        return await client.deliveries.ListDeliveries(request)

    found = run(target, ask).deliveries
    rows = (
        (
            escaped(each.receiver),
            escaped(each.subject),
            moment(each.created_at),
            coloured(admin.DeliveryState.Name(each.state).removeprefix("DELIVERY_STATE_")),
            str(each.attempts),
            escaped(each.error),
        )
        for each in found
    )
    show_list(found, output, ("receiver", "subject", "since (UTC)", "state", "attempts", "error"), rows)
