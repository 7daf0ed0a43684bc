"""Compiling tasks, and the quantities they ask for."""

from __future__ import annotations

import contextlib
import math
from decimal import Decimal
from typing import Any

import pytest
from elevon_core.compiler import compile_task, quantities
from elevon_core.errors import CompilationError, InvalidArgument
from elevon_idl.core import v1 as core
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.compiler.templates import INT, task_id, variables

Resources = core.Resources


def container_task(**container: Any) -> core.TaskTemplate:
    fields: dict[str, Any] = {"image": "image:1", "args": ["run"], **container}
    interface = core.TypedInterface(inputs=variables({"n": INT}))
    return core.TaskTemplate(
        id=task_id("t"), type="python-task", interface=interface, container=core.Container(**fields)
    )


def pod_task(pod_spec: object) -> core.TaskTemplate:
    template = core.TaskTemplate(id=task_id("t"), type="pod")
    json_format.ParseDict({"podSpec": pod_spec}, template.k8s_pod)
    return template


def asking(value: str) -> core.TaskTemplate:
    entry = Resources.ResourceEntry(name=Resources.CPU, value=value)
    return container_task(resources=Resources(requests=[entry], limits=[entry]))


def asking_pod(cpu: float) -> core.TaskTemplate:
    template = pod_task({"containers": [{"name": "a", "resources": {"requests": {"cpu": 1}}}]})
    [container] = template.k8s_pod.pod_spec.fields["containers"].list_value.values
    resources = container.struct_value.fields["resources"].struct_value
    resources.fields["requests"].struct_value.fields["cpu"].number_value = cpu
    return template


def without_id() -> core.TaskTemplate:
    template = container_task()
    template.ClearField("id")
    return template


def retried(retries: int) -> core.TaskTemplate:
    template = container_task()
    template.metadata.retries.retries = retries
    return template


SOUND = [
    container_task(),
    container_task(args=[], command=["run"]),
    asking("500m"),
    retried(10),
    core.TaskTemplate(id=task_id("sensor"), type="sensor"),
    core.TaskTemplate(id=task_id("sql"), type="sql", sql=core.Sql(statement="select 1")),
    core.TaskTemplate(id=task_id("t"), type="raw", container=core.Container(image="image:1")),
    pod_task({}),
    pod_task({"containers": [{"name": "primary", "image": "i", "args": ["a"]}], "initContainers": []}),
    pod_task({"containers": [{"name": "a", "image": None, "workingDir": None, "command": None, "args": None}]}),
    pod_task({"containers": [{"name": "a", "resources": None}], "initContainers": None}),
    pod_task({"containers": [{"name": "a", "resources": {"limits": None, "requests": {"cpu": None}}}]}),
    pod_task({"containers": None}),
    pod_task({"containers": [{"name": "a-1", "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": "1.5"}}}]}),
]


@pytest.mark.parametrize("template", SOUND)
def test_sound_tasks_are_kept_as_they_are(template: core.TaskTemplate) -> None:
    compiled = compile_task(template)
    assert compiled.template == template
    compiled.template.type = "changed"
    assert template.type != "changed"


FAULTS = [
    (without_id(), "ValueRequired", "[Id]"),
    (container_task(image=""), "ValueRequired", "[container.image]"),
    (container_task(args=[]), "ValueRequired", "[container.command or container.args]"),
    (asking("1 core"), "InvalidValue", "container.resources.requests[CPU]: '1 core'"),
    (
        asking("-1"),
        "InvalidValue",
        "container.resources.requests[CPU]: '-1': must be neither negative nor more than 8Ei",
    ),
    (asking("1e999"), "InvalidValue", "must be neither negative nor more than 8Ei"),
    (asking(""), "InvalidValue", "container.resources.limits[CPU]: ''"),
    (retried(11), "InvalidValue", "11 for metadata.retries.retries: at most 10"),
    (core.TaskTemplate(id=task_id("t"), k8s_pod=core.K8sPod()), "ValueRequired", "[k8s_pod.pod_spec]"),
    (pod_task({"containers": "one"}), "InvalidValue", "k8s_pod.pod_spec.containers: must be a list of containers"),
    (pod_task({"containers": ["one"]}), "InvalidValue", "k8s_pod.pod_spec.containers[0]: must be an object"),
    (pod_task({"containers": [{"name": "A_b"}]}), "InvalidValue", "containers[0].name 'A_b': must be a DNS-1123 label"),
    (pod_task({"containers": [{"name": "a" * 64}]}), "InvalidValue", "must be a DNS-1123 label"),
    (pod_task({"containers": [None]}), "InvalidValue", "k8s_pod.pod_spec.containers[0]: must be an object"),
    (pod_task({"containers": [{"name": None}]}), "InvalidValue", "containers[0].name '': must be a DNS-1123 label"),
    (pod_task({"initContainers": [{}]}), "InvalidValue", "initContainers[0].name '': must be a DNS-1123 label"),
    (pod_task({"containers": [{"name": "a", "image": 1}]}), "InvalidValue", "containers[0].image: must be a string"),
    (pod_task({"containers": [{"name": "a", "args": "x"}]}), "InvalidValue", "args: must be a list of strings"),
    (pod_task({"containers": [{"name": "a", "command": [1]}]}), "InvalidValue", "command: must be a list of strings"),
    (pod_task({"containers": [{"name": "a", "resources": 1}]}), "InvalidValue", "resources: must be an object"),
    (
        pod_task({"containers": [{"name": "a", "resources": {"limits": 1}}]}),
        "InvalidValue",
        "resources.limits: must be an object",
    ),
    (
        pod_task({"containers": [{"name": "a", "resources": {"limits": {"cpu": []}}}]}),
        "InvalidValue",
        "limits[cpu]: must be a quantity",
    ),
    (
        pod_task({"containers": [{"name": "a", "resources": {"requests": {"cpu": "x"}}}]}),
        "InvalidValue",
        "requests[cpu]: 'x'",
    ),
    (asking_pod(math.nan), "InvalidValue", "containers[0].resources.requests[cpu]: 'nan': must be a finite number"),
    (asking_pod(math.inf), "InvalidValue", "requests[cpu]: 'inf': must be a finite number"),
    (asking_pod(-1), "InvalidValue", "requests[cpu]: '-1.0': must be neither negative"),
    (asking_pod(1e30), "InvalidValue", "requests[cpu]: '1e+30': must be neither negative"),
]


@pytest.mark.parametrize(("template", "code", "text"), FAULTS)
def test_faulty_tasks_are_refused_with_the_field(template: core.TaskTemplate, code: str, text: str) -> None:
    with pytest.raises(CompilationError) as caught:
        compile_task(template)
    assert caught.value.message.startswith("task failed compilation with Collected Errors: ")
    assert {finding.code for finding in caught.value.findings} == {code}
    assert any(text in finding.description for finding in caught.value.findings)


def test_all_faults_of_a_task_are_told() -> None:
    with pytest.raises(CompilationError, match="Collected Errors: 2"):
        compile_task(container_task(image="", args=[]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("500m", "0.5"),
        ("1.5Gi", "1610612736"),
        ("2e3", "2000"),
        ("2E3", "2000"),
        ("1E", "1e18"),
        (".5k", "500"),
        ("3.", "3"),
        ("-1Ki", "-1024"),
        ("+1n", "1e-9"),
        ("1e-3", "0.001"),
    ],
)
def test_quantities(text: str, expected: str) -> None:
    assert quantities.parse(text) == Decimal(expected)


@pytest.mark.parametrize(
    "text", ["", "m", "1 Gi", "1gi", "1K", "1e", "1e1000", "1Gi2", "0x1", "١", "1" * 65, "1,5", "nan"]
)
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid value for cpu"):
        quantities.parse(text, "cpu")


@pytest.mark.parametrize("text", ["0", "-0", "1n", "8Ei", "1e-999"])
def test_what_can_be_asked_for(text: str) -> None:
    assert quantities.amount(text) == quantities.parse(text)


@pytest.mark.parametrize("text", ["-1", "-1n", "9Ei", "10E", "1e19", "1e999"])
def test_what_cannot_be_asked_for(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid value for cpu: '.*': must be neither negative nor more than"):
        quantities.amount(text, "cpu")


@settings(deadline=None)
@given(st.text(alphabet="0123456789.eE+-mkKMGi ", max_size=12))
def test_quantities_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert quantities.parse(text).is_finite()
