"""What a task must look like to be registered, apart from what the compiler checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from elevon_core import structs
from elevon_core.compiler import quantities
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.struct_pb2 import Struct

from elevon_admin.domain.environments import check_environment

_LIMITED = {
    core.Resources.CPU: "cpu",
    core.Resources.GPU: "gpu",
    core.Resources.MEMORY: "memory",
    core.Resources.EPHEMERAL_STORAGE: "ephemeral_storage",
}
_POD_RESOURCES = {
    "cpu": core.Resources.CPU,
    "memory": core.Resources.MEMORY,
    "ephemeral-storage": core.Resources.EPHEMERAL_STORAGE,
    "gpu": core.Resources.GPU,
    "nvidia.com/gpu": core.Resources.GPU,
    "amd.com/gpu": core.Resources.GPU,
}

Amounts = dict[int, Decimal]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a task type may be registered; an empty part means any."""

    project: str = ""
    domain: str = ""


Whitelist = Mapping[str, Sequence[Scope]]


def check_template(template: core.TaskTemplate) -> None:
    """Raise InvalidArgument for the first field that must be set and is not."""
    if not template.type:
        raise InvalidArgument.missing("type")
    if not template.HasField("metadata"):
        raise InvalidArgument.missing("metadata")
    if template.metadata.HasField("runtime") and not template.metadata.runtime.version:
        raise InvalidArgument.missing("runtime version")
    if not template.HasField("interface"):
        raise InvalidArgument.missing("typed interface")
    if template.HasField("container") and not template.container.image:
        raise InvalidArgument.missing("image")
    check_environment(template.container.env, "container.env")


def check_whitelisted(task_type: str, project: str, domain: str, whitelist: Whitelist) -> None:
    """Raise InvalidArgument for a type that is restricted to other projects and domains."""
    scopes = whitelist.get(task_type)
    if not scopes:
        return
    if not any(scope.project in ("", project) and scope.domain in ("", domain) for scope in scopes):
        raise InvalidArgument(
            f"task type must be whitelisted before use: {task_type!r} is not allowed in {project}/{domain}"
        )


def check_resources(template: core.TaskTemplate, platform: admin.TaskResourceSpec) -> None:
    """Raise InvalidArgument for amounts that contradict each other or exceed the platform's.

    The template must have passed the compiler: what cannot be read is told there.
    """
    target = template.WhichOneof("target")
    if target == "container":
        resources = template.container.resources
        requests = _entries("requests", resources.requests)
        _check_amounts("container", requests, _entries("limits", resources.limits), platform)
    elif target == "k8s_pod":
        for name, resources_of_pod in _pod_resources(template.k8s_pod.pod_spec):
            requests = dict(_pod_amounts(resources_of_pod, "requests"))
            _check_amounts(name, requests, dict(_pod_amounts(resources_of_pod, "limits")), platform)


def _entries(field: str, entries: Iterable[core.Resources.ResourceEntry]) -> Amounts:
    amounts: Amounts = {}
    for entry in entries:
        if entry.name in amounts:
            name = _LIMITED.get(entry.name, str(entry.name))
            place = f"container.resources.{field}[{name}]"
            raise InvalidArgument.invalid(place, entry.value, "the resource is listed more than once")
        amounts[entry.name] = quantities.parse(entry.value)
    return amounts


def _pod_resources(specification: Struct) -> Iterator[tuple[str, Struct]]:
    for kind in ("containers", "initContainers"):
        containers = structs.given(specification).get(kind)
        for container in containers.list_value.values if containers is not None else ():
            fields = structs.given(container.struct_value)
            if "resources" in fields:
                yield fields["name"].string_value, fields["resources"].struct_value


def _pod_amounts(resources: Struct, kind: str) -> Iterator[tuple[int, Decimal]]:
    amounts = structs.given(resources).get(kind)
    if amounts is None:
        return
    for name, value in structs.given(amounts.struct_value).items():
        resource = _POD_RESOURCES.get(name)
        if resource is not None:
            is_text = value.WhichOneof("kind") == "string_value"
            yield resource, quantities.parse(value.string_value) if is_text else Decimal(str(value.number_value))


def _check_amounts(place: str, requests: Amounts, own_limits: Amounts, platform: admin.TaskResourceSpec) -> None:
    _check_devices(place, requests.get(core.Resources.GPU), own_limits.get(core.Resources.GPU))
    for resource, label in _LIMITED.items():
        request, own = requests.get(resource), own_limits.get(resource)
        # As in the original, a limit without a request is compared with nothing.
        if request is None:
            continue
        if own is not None and request > own:
            raise InvalidArgument(f"{place}: requested {label} [{request}] is greater than its own limit [{own}]")
        most = getattr(platform, label)
        bound = quantities.parse(most) if most else None
        for what, amount in (("limit of", own), ("requested", request)):
            # A bound of zero is none, as where the platform's amounts are filled in.
            if bound and amount is not None and amount > bound:
                raise InvalidArgument(f"{place}: {what} {label} [{amount}] is greater than the platform limit [{most}]")


def _check_devices(place: str, request: Decimal | None, own: Decimal | None) -> None:
    for amount in (request, own):
        if amount is not None and amount != amount.to_integral_value():
            raise InvalidArgument(f"{place}: gpu [{amount}] must be a whole number of devices")
    if request is not None and own is not None and request != own:
        raise InvalidArgument(f"{place}: requested gpu [{request}] must equal its limit [{own}]")
