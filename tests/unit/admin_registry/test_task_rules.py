"""What tasks may ask for, as containers and in the specifications of pods."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_admin.domain.task_rules import check_resources
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core


def container(cpu: str) -> core.TaskTemplate:
    template = core.TaskTemplate()
    template.container.resources.requests.add(name=core.Resources.CPU, value=cpu)
    template.container.resources.limits.add(name=core.Resources.CPU, value=cpu)
    return template


def pod(**resources: Any) -> core.TaskTemplate:
    template = core.TaskTemplate()
    template.k8s_pod.pod_spec.update({"containers": [{"name": "a", "resources": resources}]})
    return template


ASKING = [container("3"), pod(requests={"cpu": "3"}, limits={"cpu": "4"}), pod(requests={"cpu": 3})]


@pytest.mark.parametrize("template", ASKING)
@pytest.mark.parametrize("bound", ["", "0", "0.0", "0Gi", "4"])
def test_a_bound_of_zero_is_none(template: core.TaskTemplate, bound: str) -> None:
    check_resources(template, admin.TaskResourceSpec(cpu=bound))


@pytest.mark.parametrize(
    "resources",
    [{"limits": None}, {"requests": None}, {"requests": {"cpu": None}, "limits": {"cpu": 1}}, {"requests": {"cpu": 1}}],
)
def test_what_is_null_in_a_pod_asks_for_nothing(resources: dict[str, Any]) -> None:
    check_resources(pod(**resources), admin.TaskResourceSpec(cpu="2"))
    template = core.TaskTemplate()
    template.k8s_pod.pod_spec.update({"containers": [{"name": "a", "resources": None}], "initContainers": None})
    check_resources(template, admin.TaskResourceSpec(cpu="2"))


@pytest.mark.parametrize("template", ASKING)
def test_a_bound_holds(template: core.TaskTemplate) -> None:
    with pytest.raises(InvalidArgument, match=r"is greater than the platform limit \[2\]"):
        check_resources(template, admin.TaskResourceSpec(cpu="2"))
