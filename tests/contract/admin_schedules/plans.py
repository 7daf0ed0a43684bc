"""Scheduled launch plans in a database, without everything else that a registration needs."""

from __future__ import annotations

from elevon_admin.domain.entities import Digests, EntityKey, NewEntity, NewLaunchPlan
from elevon_admin.domain.schedules import schedule_type
from elevon_admin.store.launch_plans import SqlLaunchPlans
from elevon_admin.store.workflows import SqlWorkflows
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.database import Database


def cron(text: str, *, kickoff: str = "", offset: str = "", **annotations: str) -> admin.LaunchPlanSpec:
    """The spec of a plan with a cron schedule; annotations are spelled with underscores."""
    schedule = admin.Schedule(
        cron_schedule=admin.CronSchedule(schedule=text, offset=offset), kickoff_time_input_arg=kickoff
    )
    return _spec(schedule, annotations)


def rate(minutes: int, **annotations: str) -> admin.LaunchPlanSpec:
    """The spec of a plan with a fixed rate."""
    return _spec(admin.Schedule(rate=admin.FixedRate(value=minutes)), annotations)


def _spec(schedule: admin.Schedule, annotations: dict[str, str]) -> admin.LaunchPlanSpec:
    spec = admin.LaunchPlanSpec(entity_metadata=admin.LaunchPlanMetadata(schedule=schedule))
    for name, value in annotations.items():
        spec.annotations.values[f"elevon/{name.replace('_', '-')}"] = value
    return spec


async def add_plan(database: Database, key: EntityKey, spec: admin.LaunchPlanSpec) -> None:
    """Register a plan of a workflow without nodes."""
    workflows = SqlWorkflows(database)
    workflow = EntityKey(key.project, key.domain, "w", "v")
    stored = await workflows.get(workflow)
    if stored is None:
        closure = core.CompiledWorkflowClosure()
        closure.primary.template.id.CopyFrom(workflow.identifier(core.WORKFLOW))
        stored = await workflows.add(NewEntity(workflow, Digests(b"", b""), 1), closure)
    kind = schedule_type(spec.entity_metadata.schedule)
    plan = NewLaunchPlan(spec, admin.LaunchPlanClosure(), stored.row, kind)
    await SqlLaunchPlans(database).add(NewEntity(key, Digests(b"", b""), 1), plan)
