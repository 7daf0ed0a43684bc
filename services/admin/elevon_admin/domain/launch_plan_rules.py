"""What a launch plan must look like to be registered."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from elevon_core.errors import InvalidArgument
from elevon_core.inputs import check_default_and_fixed
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.catch_up import CatchUp, CatchUpMode, catch_up_of
from elevon_admin.domain.concurrency import check_policy
from elevon_admin.domain.environments import check_environment
from elevon_admin.domain.kubernetes_names import check_labels
from elevon_admin.domain.schedules import check_schedule, schedule_type

_FINAL_PHASES = (
    core.WorkflowExecution.SUCCEEDED,
    core.WorkflowExecution.FAILED,
    core.WorkflowExecution.TIMED_OUT,
    core.WorkflowExecution.ABORTED,
)

_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
"""Categories of characters that end lines or command; a recipient may be any other text, as names of webhooks are."""

_ANY_CATCH_UP = CatchUp(CatchUpMode.ALL, 1)
"""What stands for the default where a launch plan's own policy is only checked."""


def expected_inputs(spec: admin.LaunchPlanSpec, interface: core.TypedInterface, most_labels: int) -> core.ParameterMap:
    """Check the plan against the workflow's interface and answer what its executions expect as inputs.

    Raises InvalidArgument for the first rule that is broken.
    """
    check_labels(spec.labels.values, most_labels)
    check_environment(spec.envs.values)
    expected = check_default_and_fixed(spec.default_inputs, spec.fixed_inputs, interface.inputs)
    metadata = spec.entity_metadata
    if metadata.HasField("launch_conditions"):
        raise InvalidArgument("launch_conditions must be unset: launch conditions are not supported")
    if spec.max_parallelism < 0:
        raise InvalidArgument.invalid("max_parallelism", spec.max_parallelism, "must not be negative")
    _check_schedule(metadata.schedule, expected)
    catch_up_of(spec.annotations.values, _ANY_CATCH_UP)
    check_policy(spec)
    for number, notification in enumerate(metadata.notifications):
        check_notification(notification, f"notifications[{number}]")
    return expected


def _check_schedule(schedule: admin.Schedule, expected: core.ParameterMap) -> None:
    check_schedule(schedule)
    if schedule_type(schedule) == "NONE":
        return
    kickoff = schedule.kickoff_time_input_arg
    for name in sorted(expected.parameters):
        if expected.parameters[name].required and name != kickoff:
            raise InvalidArgument(
                f"cannot create a launch plan with a schedule if there is an unbound required input: {name}"
            )
    if not kickoff:
        return
    if kickoff not in expected.parameters:
        raise InvalidArgument.invalid("kickoff_time_input_arg", kickoff, "must be an input that is not fixed")
    if expected.parameters[kickoff].var.type.simple != core.DATETIME:
        raise InvalidArgument.invalid("kickoff_time_input_arg", kickoff, "must be an input of type DATETIME")


def check_notification(notification: admin.Notification, field: str) -> None:
    """Raise InvalidArgument unless somebody is told of a final phase."""
    kind = notification.WhichOneof("type")
    if kind is None:
        raise InvalidArgument.invalid(f"notification type of {field}", "none", "must be email, slack or pager_duty")
    recipients: Sequence[str] = getattr(notification, kind).recipients_email
    if not recipients or not all(recipients):
        raise InvalidArgument.missing(f"recipients of {field}")
    for recipient in recipients:
        if any(unicodedata.category(letter) in _CONTROLS for letter in recipient):
            rule = "must hold no control characters, such as line breaks"
            raise InvalidArgument.invalid(f"recipient of {field}", recipient, rule)
    if not notification.phases:
        raise InvalidArgument.missing(f"phase of {field}")
    for phase in notification.phases:
        if phase not in _FINAL_PHASES:
            rule = "must be SUCCEEDED, FAILED, TIMED_OUT or ABORTED"
            raise InvalidArgument.invalid(f"phase of {field}", phase, rule)
