"""Compiling a task: what must hold whoever registers it, and whatever executes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from elevon_idl.core import v1 as core
from google.protobuf.struct_pb2 import Struct, Value

from elevon_core import structs
from elevon_core.compiler import quantities
from elevon_core.compiler.findings import Code, Findings
from elevon_core.errors import InvalidArgument

MOST_RETRIES: Final = 10
_PREFIX: Final = "task failed compilation with "
_CONTAINER_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def compile_task(template: core.TaskTemplate) -> core.CompiledTask:
    """Checks a task and wraps a copy of it; raises CompilationError with everything found.

    Whether the task may be registered at all (type, platform limits) is the registry's to say.
    """
    findings = Findings()
    if not template.HasField("id"):
        findings.require("", "Id")
    check_retries(template.metadata.retries, "", "metadata.retries.retries", findings)
    target = template.WhichOneof("target")
    if target == "container":
        _check_container(template, findings)
    elif target == "k8s_pod":
        _check_pod(template.k8s_pod, findings)
    findings.raise_if_any(_PREFIX)
    return core.CompiledTask(template=template)


def check_retries(strategy: core.RetryStrategy, node_id: str, field: str, findings: Findings) -> None:
    """Retries are between 0 and 10."""
    if strategy.retries > MOST_RETRIES:
        findings.add(
            Code.INVALID_VALUE, node_id, f"invalid value {strategy.retries} for {field}: at most {MOST_RETRIES}"
        )


def _check_container(template: core.TaskTemplate, findings: Findings) -> None:
    container = template.container
    if not container.image:
        findings.require("", "container.image")
    has_data = template.interface.inputs.variables or template.interface.outputs.variables
    if has_data and not (container.command or container.args):
        findings.require("", "container.command or container.args")
    resources = container.resources
    _check_entries(resources.requests, "container.resources.requests", findings)
    _check_entries(resources.limits, "container.resources.limits", findings)


def _check_entries(entries: Iterable[core.Resources.ResourceEntry], field: str, findings: Findings) -> None:
    names = core.Resources.ResourceName.DESCRIPTOR.values_by_number
    for entry in entries:
        name = names[entry.name].name if entry.name in names else str(entry.name)
        _check_quantity(entry.value, f"{field}[{name}]", findings)


def _check_quantity(written: str | float, field: str, findings: Findings) -> None:
    try:
        if isinstance(written, str):
            quantities.amount(written, field)
        else:
            quantities.amount_of(written, field)
    except InvalidArgument as error:
        findings.add(Code.INVALID_VALUE, "", error.message)


def _check_pod(pod: core.K8sPod, findings: Findings) -> None:
    if not pod.HasField("pod_spec"):
        findings.require("", "k8s_pod.pod_spec")
        return
    for kind in ("containers", "initContainers"):
        value = structs.given(pod.pod_spec).get(kind)
        if value is None:
            continue
        field = f"k8s_pod.pod_spec.{kind}"
        if value.WhichOneof("kind") != "list_value":
            _refuse(field, "a list of containers", findings)
            continue
        for index, container in enumerate(value.list_value.values):
            _check_pod_container(container, f"{field}[{index}]", findings)


def _check_pod_container(value: Value, field: str, findings: Findings) -> None:
    if value.WhichOneof("kind") != "struct_value":
        _refuse(field, "an object", findings)
        return
    fields = structs.given(value.struct_value)
    name = fields["name"].string_value if "name" in fields else ""
    if not _CONTAINER_NAME.fullmatch(name):
        _refuse(f"{field}.name {name!r}", "a DNS-1123 label", findings)
    for text in ("image", "workingDir"):
        if text in fields and fields[text].WhichOneof("kind") != "string_value":
            _refuse(f"{field}.{text}", "a string", findings)
    for words in ("command", "args"):
        if words in fields and not _is_list_of_strings(fields[words]):
            _refuse(f"{field}.{words}", "a list of strings", findings)
    if "resources" in fields:
        _check_pod_resources(fields["resources"], f"{field}.resources", findings)


def _check_pod_resources(value: Value, field: str, findings: Findings) -> None:
    if value.WhichOneof("kind") != "struct_value":
        _refuse(field, "an object", findings)
        return
    for kind in ("requests", "limits"):
        amounts = structs.given(value.struct_value).get(kind)
        if amounts is None:
            continue
        if amounts.WhichOneof("kind") != "struct_value":
            _refuse(f"{field}.{kind}", "an object", findings)
            continue
        _check_pod_amounts(amounts.struct_value, f"{field}.{kind}", findings)


def _check_pod_amounts(amounts: Struct, field: str, findings: Findings) -> None:
    for name, amount in sorted(structs.given(amounts).items()):
        kind = amount.WhichOneof("kind")
        if kind == "string_value":
            _check_quantity(amount.string_value, f"{field}[{name}]", findings)
        elif kind == "number_value":
            _check_quantity(amount.number_value, f"{field}[{name}]", findings)
        else:
            _refuse(f"{field}[{name}]", "a quantity", findings)


def _is_list_of_strings(value: Value) -> bool:
    return value.WhichOneof("kind") == "list_value" and all(
        word.WhichOneof("kind") == "string_value" for word in value.list_value.values
    )


def _refuse(field: str, rule: str, findings: Findings) -> None:
    findings.add(Code.INVALID_VALUE, "", f"invalid value for {field}: must be {rule}")
