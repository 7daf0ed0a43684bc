"""Where each setting of an execution comes from."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_admin.domain.execution_config import ConfigDefaults, effective_notifications, resolve
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.wrappers_pb2 import BoolValue
from hypothesis import given
from hypothesis import strategies as st

NOTHING = ConfigDefaults(max_parallelism=0)


def resolved(request: Any = None, plan: Any = None, attributes: Any = (), defaults: Any = NOTHING, **more: Any) -> Any:
    given_labels = {"project_labels": {}, **more}
    return resolve(request or admin.ExecutionSpec(), plan, attributes, defaults, **given_labels)


@given(st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_the_first_parallelism_that_is_not_zero_wins(values: list[int]) -> None:
    config = resolved(
        admin.ExecutionSpec(max_parallelism=values[0]),
        admin.LaunchPlanSpec(max_parallelism=values[1]),
        [admin.WorkflowExecutionConfig(max_parallelism=value) for value in values[2:4]],
        ConfigDefaults(max_parallelism=values[4]),
    )
    assert config.max_parallelism == next((value for value in values if value), 0)


@given(st.lists(st.sampled_from([None, True, False]), min_size=4, max_size=4))
def test_an_explicit_false_counts_for_interruptible(values: list[bool | None]) -> None:
    wrapped = [None if value is None else BoolValue(value=value) for value in values]
    config = resolved(
        admin.ExecutionSpec(interruptible=wrapped[0]),
        admin.LaunchPlanSpec(interruptible=wrapped[1]),
        [admin.WorkflowExecutionConfig(interruptible=each) for each in wrapped[2:]],
    )
    assert config.interruptible == next((value for value in values if value is not None), None)


def test_a_false_overwrite_does_not_hide_a_true_one() -> None:
    assert resolved(plan=admin.LaunchPlanSpec(overwrite_cache=True)).overwrite_cache is True
    assert resolved(defaults=ConfigDefaults(overwrite_cache=True)).overwrite_cache is True
    assert resolved().overwrite_cache is False


def test_whole_maps_win_and_are_copied() -> None:
    plan = admin.LaunchPlanSpec(labels=admin.Labels(values={"a": "plan", "b": "plan"}))
    request = admin.ExecutionSpec(labels=admin.Labels(values={"a": "request"}))
    config = resolved(request, plan, project_labels={"a": "project", "c": "project"})
    assert config.labels == {"a": "request", "c": "project"}
    assert dict(request.labels.values) == {"a": "request"}
    defaults = ConfigDefaults(labels={"d": "service"})
    resolved(defaults=defaults, project_labels={"c": "project"}).labels["x"] = "y"
    assert resolved(defaults=defaults).labels == {"d": "service"}


def test_empty_messages_count_as_absent() -> None:
    request = admin.ExecutionSpec(
        labels=admin.Labels(),
        annotations=admin.Annotations(),
        envs=admin.Envs(),
        raw_output_data_config=admin.RawOutputDataConfig(),
        security_context=core.SecurityContext(run_as=core.Identity()),
        auth_role=admin.AuthRole(),
    )
    plan = admin.LaunchPlanSpec(
        annotations=admin.Annotations(values={"a": "1"}),
        envs=admin.Envs(values=[core.KeyValuePair(key="E", value="1")]),
        raw_output_data_config=admin.RawOutputDataConfig(output_location_prefix="s3://p"),
        security_context=core.SecurityContext(run_as=core.Identity(iam_role="plan")),
    )
    config = resolved(request, plan)
    assert (config.annotations, config.environment, config.raw_output_prefix) == ({"a": "1"}, {"E": "1"}, "s3://p")
    assert config.security_context.run_as.iam_role == "plan"
    config.security_context.run_as.iam_role = "changed"
    assert plan.security_context.run_as.iam_role == "plan"


def test_older_roles_count_before_the_service_and_after_everything_else() -> None:
    defaults = ConfigDefaults(service_account="service")
    request = admin.ExecutionSpec(auth_role=admin.AuthRole(kubernetes_service_account="request"))
    assert resolved(request, defaults=defaults).security_context.run_as.k8s_service_account == "request"
    for plan in (
        admin.LaunchPlanSpec(auth_role=admin.AuthRole(assumable_iam_role="plan")),
        admin.LaunchPlanSpec(auth=admin.Auth(assumable_iam_role="plan")),
        admin.LaunchPlanSpec(role="plan"),
    ):
        assert resolved(plan=plan, defaults=defaults).security_context.run_as.iam_role == "plan"
    attribute = admin.WorkflowExecutionConfig()
    attribute.security_context.run_as.k8s_service_account = "attribute"
    config = resolved(request, attributes=[attribute], defaults=defaults)
    assert config.security_context.run_as.k8s_service_account == "attribute"
    assert resolved(defaults=defaults).security_context.run_as.k8s_service_account == "service"
    assert resolved().security_context.HasField("run_as")


def test_the_user_is_noted_unless_the_request_says_otherwise() -> None:
    assert resolved(identity="me").security_context.run_as.execution_identity == "me"
    spec = admin.ExecutionSpec()
    spec.security_context.run_as.execution_identity = "other"
    assert resolved(spec, identity="me").security_context.run_as.execution_identity == "other"


def test_too_many_entries_are_refused() -> None:
    labels = admin.ExecutionSpec(labels=admin.Labels(values={"a": "1", "b": "2"}))
    with pytest.raises(InvalidArgument, match=r"labels has too many entries \[2 > 1\]"):
        resolved(labels, defaults=ConfigDefaults(maximum_labels=1))
    annotations = admin.ExecutionSpec(annotations=admin.Annotations(values={"a": "1", "b": "2"}))
    with pytest.raises(InvalidArgument, match=r"annotations has too many entries \[2 > 1\]"):
        resolved(annotations, defaults=ConfigDefaults(maximum_annotations=1))


def test_notifications_of_the_request_replace_those_of_the_plan() -> None:
    mine, theirs = (
        admin.Notification(phases=[core.WorkflowExecution.SUCCEEDED]),
        admin.Notification(phases=[core.WorkflowExecution.FAILED]),
    )
    plan = admin.LaunchPlanSpec(entity_metadata=admin.LaunchPlanMetadata(notifications=[theirs]))
    request = admin.ExecutionSpec(notifications=admin.NotificationList(notifications=[mine]))
    assert effective_notifications(request, plan) == [mine]
    assert effective_notifications(admin.ExecutionSpec(disable_all=True), plan) == []
    assert effective_notifications(admin.ExecutionSpec(disable_all=False), plan) == [theirs]
    assert effective_notifications(admin.ExecutionSpec(notifications=admin.NotificationList()), plan) == [theirs]
    assert effective_notifications(admin.ExecutionSpec(), None) == []
