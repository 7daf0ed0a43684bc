"""The CPU and memory that the platform fills into task templates before they are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from elevon_core.compiler import quantities
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

_FILLED: tuple[int, ...] = (
    core.Resources.CPU,
    core.Resources.MEMORY,
    core.Resources.EPHEMERAL_STORAGE,
    core.Resources.GPU,
)


@dataclass(frozen=True, slots=True)
class PlatformResources:
    """Defaults and limits as Kubernetes quantities, by resource; what is absent has no default or no limit."""

    defaults: Mapping[int, str] = field(default_factory=dict)
    limits: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, attributes: admin.TaskResourceAttributes) -> PlatformResources:
        """Read the attribute message; empty texts mean absent."""
        return cls(_by_name(attributes.defaults), _by_name(attributes.limits))


def _by_name(spec: admin.TaskResourceSpec) -> dict[int, str]:
    named = {
        core.Resources.CPU: spec.cpu,
        core.Resources.MEMORY: spec.memory,
        core.Resources.GPU: spec.gpu,
        core.Resources.EPHEMERAL_STORAGE: spec.ephemeral_storage,
    }
    return {name: quantity for name, quantity in named.items() if quantity}


def fill_resources(closure: core.CompiledWorkflowClosure, platform: PlatformResources) -> None:
    """Give every container of the closure its requests and limits; the closure is changed in place."""
    for task in closure.tasks:
        if task.template.HasField("container"):
            _fill_container(task.template.container, platform)


def _fill_container(container: core.Container, platform: PlatformResources) -> None:
    requests: dict[int, str] = {entry.name: entry.value for entry in container.resources.requests}
    limits: dict[int, str] = {entry.name: entry.value for entry in container.resources.limits}
    for name in _FILLED:
        request, limit = _resolved(
            requests.get(name, ""), limits.get(name, ""), platform.defaults.get(name, ""), platform.limits.get(name, "")
        )
        if request:
            requests[name] = request
            limits[name] = limit
    container.resources.CopyFrom(core.Resources(requests=_entries(requests), limits=_entries(limits)))


def _entries(quantities: Mapping[int, str]) -> list[core.Resources.ResourceEntry]:
    entries = []
    for name in sorted(quantities):
        entry = core.Resources.ResourceEntry(value=quantities[name])
        entry.name = core.Resources.ResourceName.ValueType(name)
        entries.append(entry)
    return entries


def _resolved(request: str, limit: str, default: str, bound: str) -> tuple[str, str]:
    request = request or limit or default
    limit = limit or request
    limit = _capped(limit, bound)
    return _capped(_capped(request, bound), limit), limit


def _capped(quantity: str, bound: str) -> str:
    """The smaller of two quantities; a bound of zero, or one that is no quantity, does not bind."""
    highest, asked = _amount(bound), _amount(quantity)
    if not highest or asked is None:
        return quantity
    return bound if asked > highest else quantity


def _amount(quantity: str) -> Decimal | None:
    try:
        return quantities.parse(quantity)
    except InvalidArgument:
        return None
