"""Launch plans with schedules and notifications, for the end-to-end tests."""

from datetime import datetime, timedelta

from flytekit import (
    Annotations,
    CronSchedule,
    Email,
    FixedRate,
    LaunchPlan,
    Slack,
    WorkflowExecutionPhase,
    task,
    workflow,
)


@task
def stamp(when: datetime) -> str:
    return when.isoformat()


@workflow
def report(when: datetime) -> str:
    """Tells which moment it is about."""
    return stamp(when=when)


yearly = LaunchPlan.get_or_create(
    report,
    name="yearly",
    schedule=CronSchedule(schedule="@yearly", kickoff_time_input_arg="when", offset="PT30M"),
    notifications=[
        Email(phases=[WorkflowExecutionPhase.FAILED], recipients_email=["team@example.com"]),
        Slack(phases=[WorkflowExecutionPhase.SUCCEEDED], recipients_email=["ops"]),
    ],
    annotations=Annotations({"elevon/catch-up": "one"}),
)

weekly = LaunchPlan.get_or_create(
    report, name="weekly", schedule=FixedRate(duration=timedelta(weeks=1), kickoff_time_input_arg="when")
)
