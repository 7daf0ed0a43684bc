"""What the platform fills into containers."""

from __future__ import annotations

import pytest
from elevon_admin.domain.task_resources import PlatformResources, fill_resources
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

Quantities = dict[int, str]
CPU, MEMORY, GPU = core.Resources.CPU, core.Resources.MEMORY, core.Resources.GPU
PLATFORM = PlatformResources.of(
    admin.TaskResourceAttributes(
        defaults=admin.TaskResourceSpec(cpu="500m", memory="200Mi"),
        limits=admin.TaskResourceSpec(cpu="2", memory="1Gi", gpu="1"),
    )
)


def filled(
    requests: Quantities, limits: Quantities, platform: PlatformResources = PLATFORM
) -> tuple[Quantities, Quantities]:
    closure = core.CompiledWorkflowClosure()
    closure.tasks.add().template.custom["left"] = "alone"
    container = closure.tasks.add().template.container
    container.SetInParent()
    for name, value in requests.items():
        container.resources.requests.add(name=name, value=value)
    for name, value in limits.items():
        container.resources.limits.add(name=name, value=value)
    fill_resources(closure, platform)
    assert not closure.tasks[0].template.HasField("container")
    resources = container.resources
    return (
        {entry.name: entry.value for entry in resources.requests},
        {entry.name: entry.value for entry in resources.limits},
    )


@pytest.mark.parametrize(
    ("requests", "limits", "expected_requests", "expected_limits"),
    [
        ({}, {}, {CPU: "500m", MEMORY: "200Mi"}, {CPU: "500m", MEMORY: "200Mi"}),
        ({CPU: "1"}, {}, {CPU: "1", MEMORY: "200Mi"}, {CPU: "1", MEMORY: "200Mi"}),
        ({}, {CPU: "1"}, {CPU: "1", MEMORY: "200Mi"}, {CPU: "1", MEMORY: "200Mi"}),
        ({CPU: "4"}, {CPU: "8"}, {CPU: "2", MEMORY: "200Mi"}, {CPU: "2", MEMORY: "200Mi"}),
        ({CPU: "2"}, {CPU: "1"}, {CPU: "1", MEMORY: "200Mi"}, {CPU: "1", MEMORY: "200Mi"}),
        ({GPU: "4"}, {}, {CPU: "500m", MEMORY: "200Mi", GPU: "1"}, {CPU: "500m", MEMORY: "200Mi", GPU: "1"}),
        ({CPU: "odd"}, {}, {CPU: "odd", MEMORY: "200Mi"}, {CPU: "odd", MEMORY: "200Mi"}),
    ],
)
def test_requests_and_limits(
    requests: Quantities, limits: Quantities, expected_requests: Quantities, expected_limits: Quantities
) -> None:
    assert filled(requests, limits) == (expected_requests, expected_limits)


def test_a_platform_without_bounds_leaves_what_was_asked() -> None:
    assert filled({CPU: "64"}, {}, PlatformResources()) == ({CPU: "64"}, {CPU: "64"})
    assert filled({}, {}, PlatformResources()) == ({}, {})
    unbounded = PlatformResources(limits={CPU: "0"})
    assert filled({CPU: "64"}, {}, unbounded) == ({CPU: "64"}, {CPU: "64"})
