"""How an execution is configured: the first place that says something wins, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

Value = TypeVar("Value")

ConfigSource = admin.ExecutionSpec | admin.LaunchPlanSpec | admin.WorkflowExecutionConfig
"""Whatever may say how to run an execution: the three messages share the names of these fields."""


@dataclass(frozen=True, slots=True)
class ConfigDefaults:
    """What counts when request, launch plan and attributes are silent; the limits of 0 are no limits."""

    max_parallelism: int = 25
    interruptible: bool = False
    overwrite_cache: bool = False
    raw_output_prefix: str = ""
    iam_role: str = ""
    service_account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    maximum_labels: int = 0
    maximum_annotations: int = 0

    def as_config(self) -> admin.WorkflowExecutionConfig:
        """The defaults in the form of the last source."""
        config = admin.WorkflowExecutionConfig(
            max_parallelism=self.max_parallelism,
            overwrite_cache=self.overwrite_cache,
            raw_output_data_config=admin.RawOutputDataConfig(output_location_prefix=self.raw_output_prefix),
            labels=admin.Labels(values=self.labels),
            annotations=admin.Annotations(values=self.annotations),
        )
        if self.interruptible:
            config.interruptible.value = True
        for name, value in self.environment.items():
            config.envs.values.add(key=name, value=value)
        if self.iam_role or self.service_account:
            config.security_context.run_as.iam_role = self.iam_role
            config.security_context.run_as.k8s_service_account = self.service_account
        return config


@dataclass(slots=True)
class ExecutionConfig:
    """The resolved settings of one execution; nothing here is shared with what it was resolved from."""

    max_parallelism: int = 0
    interruptible: bool | None = None
    overwrite_cache: bool = False
    raw_output_prefix: str = ""
    security_context: core.SecurityContext = field(default_factory=core.SecurityContext)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def resolve(
    request: admin.ExecutionSpec,
    launch_plan: admin.LaunchPlanSpec | None,
    attributes: Iterable[admin.WorkflowExecutionConfig],
    defaults: ConfigDefaults,
    *,
    project_labels: Mapping[str, str],
    identity: str = "",
) -> ExecutionConfig:
    """Resolve every field over request, launch plan, attributes (most specific first) and defaults.

    `launch_plan` is None for a single task; `identity` is the authenticated user, empty without authentication.
    Raises InvalidArgument when there are more labels or annotations than allowed.
    """
    explicit: list[ConfigSource] = [request]
    if launch_plan is not None:
        explicit.append(launch_plan)
    explicit.extend(attributes)
    sources = [*explicit, defaults.as_config()]
    config = ExecutionConfig(
        max_parallelism=_first(sources, lambda source: source.max_parallelism) or 0,
        interruptible=_interruptible(sources),
        overwrite_cache=any(source.overwrite_cache for source in sources),
        raw_output_prefix=_first(sources, lambda source: source.raw_output_data_config.output_location_prefix) or "",
        security_context=_security_context(explicit, request, launch_plan, sources[-1]),
        labels=dict(_first(sources, lambda source: source.labels.values) or {}),
        annotations=dict(_first(sources, lambda source: source.annotations.values) or {}),
        environment={pair.key: pair.value for pair in _first(sources, lambda source: source.envs.values) or ()},
    )
    if identity and not config.security_context.run_as.execution_identity:
        config.security_context.run_as.execution_identity = identity
    _check_count("labels", config.labels, defaults.maximum_labels)
    _check_count("annotations", config.annotations, defaults.maximum_annotations)
    for name, value in project_labels.items():
        config.labels.setdefault(name, value)
    return config


def merged_config(config: admin.WorkflowExecutionConfig, defaults: ConfigDefaults) -> admin.WorkflowExecutionConfig:
    """What an attribute says, with the defaults in the fields that it leaves empty; fields empty in both are absent."""
    merged = admin.WorkflowExecutionConfig()
    merged.CopyFrom(config)
    fallback = defaults.as_config()
    merged.max_parallelism = config.max_parallelism or fallback.max_parallelism
    merged.overwrite_cache = config.overwrite_cache or fallback.overwrite_cache
    if not config.HasField("interruptible") and fallback.HasField("interruptible"):
        merged.interruptible.CopyFrom(fallback.interruptible)
    if not _says_whom(config.security_context) and _says_whom(fallback.security_context):
        merged.security_context.CopyFrom(fallback.security_context)
    for field_name, inner in _WHOLE_FIELDS.items():
        if not getattr(getattr(config, field_name), inner):
            merged.ClearField(field_name)
            if getattr(getattr(fallback, field_name), inner):
                getattr(merged, field_name).CopyFrom(getattr(fallback, field_name))
    return merged


_WHOLE_FIELDS: Mapping[Literal["raw_output_data_config", "labels", "annotations", "envs"], str] = {
    "raw_output_data_config": "output_location_prefix",
    "labels": "values",
    "annotations": "values",
    "envs": "values",
}
"""Messages that count as a whole, and what in them must not be empty."""


def _first(sources: Iterable[ConfigSource], read: Callable[[ConfigSource], Value]) -> Value | None:
    for source in sources:
        value = read(source)
        if value:
            return value
    return None


def _interruptible(sources: Iterable[ConfigSource]) -> bool | None:
    """An explicit false counts."""
    for source in sources:
        if source.HasField("interruptible"):
            return bool(source.interruptible.value)
    return None


def _security_context(
    explicit: Iterable[ConfigSource],
    request: admin.ExecutionSpec,
    launch_plan: admin.LaunchPlanSpec | None,
    defaults: ConfigSource,
) -> core.SecurityContext:
    """A copy of the first context that says whom to run as; `run_as` is present in any case."""
    context = core.SecurityContext()
    found = next((source.security_context for source in explicit if _says_whom(source.security_context)), None)
    if found is None:
        found = _legacy_roles(request, launch_plan)
    if found is None and _says_whom(defaults.security_context):
        found = defaults.security_context
    if found is not None:
        context.CopyFrom(found)
    context.run_as.SetInParent()
    return context


def _says_whom(context: core.SecurityContext) -> bool:
    run_as = context.run_as
    return bool(run_as.k8s_service_account or run_as.iam_role or run_as.execution_identity)


def _legacy_roles(
    request: admin.ExecutionSpec, launch_plan: admin.LaunchPlanSpec | None
) -> core.SecurityContext | None:
    """The deprecated fields that older clients put roles into."""
    pairs = [(request.auth_role.assumable_iam_role, request.auth_role.kubernetes_service_account)]
    if launch_plan is not None:
        pairs.append((launch_plan.auth_role.assumable_iam_role, launch_plan.auth_role.kubernetes_service_account))
        pairs.append((launch_plan.auth.assumable_iam_role, launch_plan.auth.kubernetes_service_account))
        pairs.append((launch_plan.role, ""))
    for iam_role, service_account in pairs:
        if iam_role or service_account:
            run_as = core.Identity(iam_role=iam_role, k8s_service_account=service_account)
            return core.SecurityContext(run_as=run_as)
    return None


def _check_count(field_name: str, entries: Mapping[str, str], maximum: int) -> None:
    if maximum and len(entries) > maximum:
        raise InvalidArgument(f"{field_name} has too many entries [{len(entries)} > {maximum}]")


def effective_notifications(
    request: admin.ExecutionSpec, launch_plan: admin.LaunchPlanSpec | None
) -> list[admin.Notification]:
    """Whom to tell at the end: the request's list, nobody when it says so, else the launch plan's list."""
    if request.notifications.notifications:
        return list(request.notifications.notifications)
    if request.disable_all or launch_plan is None:
        return []
    return list(launch_plan.entity_metadata.notifications)
