"""Settings of the admin service."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from elevon_core.compiler import quantities
from elevon_core.errors import InvalidArgument
from elevon_kit.settings import ServiceSettings, SettingsGroup
from pydantic import Field, ValidationInfo, field_validator, model_validator

from elevon_admin.execution_settings import DataSettings, DeliverySettings, ExecutionSettings, WatchSettings
from elevon_admin.gateway.settings import GatewaySettings
from elevon_admin.notification_settings import CloudEventSettings, NotificationSettings
from elevon_admin.retention_settings import RetentionSettings
from elevon_admin.schedule_settings import ScheduleSettings


class DomainSettings(SettingsGroup):
    """A domain that every project has."""

    id: str = Field(description="What requests name, such as `development`.")
    name: str = Field("", description="What people read; the id when empty.")


class SeedProject(SettingsGroup):
    """A project that exists from the first start on."""

    id: str = Field(description="A DNS-1123 label, at most 63 characters.")
    name: str = Field("", description="What people read; the id when empty.")
    description: str = Field("", description="At most 300 bytes.")


class WhitelistScope(SettingsGroup):
    """Where a restricted task type may be registered; an empty part means any."""

    project: str = Field("", description="Project id; any when empty.")
    domain: str = Field("", description="Domain id; any when empty.")


class RegistrationSettings(SettingsGroup):
    """What may be registered."""

    max_workflow_nodes: int = Field(
        0, ge=0, description="Most nodes of a workflow, sub-workflows aside; 0 is no limit."
    )
    max_closure_bytes: int = Field(0, ge=0, description="Largest compiled workflow, in bytes; 0 is no limit.")
    max_label_entries: int = Field(16, ge=0, description="Most labels of a launch plan, an execution or a project.")
    task_type_whitelist: dict[str, list[WhitelistScope]] = Field(
        {}, description="Task type to where it may be registered; types that are not listed are free."
    )


class ResourceSettings(SettingsGroup):
    """Kubernetes quantities of the platform; an empty text means none."""

    cpu: str = Field("", description="Cores, such as `2` or `500m`.")
    memory: str = Field("", description="Bytes, such as `1Gi`.")
    gpu: str = Field("", description="Whole devices.")
    ephemeral_storage: str = Field("", description="Bytes, such as `10Gi`.")

    @field_validator("*")
    @classmethod
    def _is_a_quantity(cls, value: str, info: ValidationInfo) -> str:
        try:
            if value:
                quantities.amount(value, str(info.field_name))
        except InvalidArgument as error:
            raise ValueError(error.message) from None
        return value


class TaskResourceSettings(SettingsGroup):
    """What tasks get and may ask for unless an attribute of their project says otherwise."""

    defaults: ResourceSettings = Field(ResourceSettings(), description="Given to a task that asks for nothing.")
    limits: ResourceSettings = Field(ResourceSettings(), description="Most that a task may request or set as limit.")


class CacheSettings(SettingsGroup):
    """What is kept in memory of entities that never change."""

    entity_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="Bytes of compiled tasks and workflows kept, as serialized."
    )


class AdminSettings(ServiceSettings):
    """Everything that can be set about admin; `ELEVON_ADMIN_*` in the environment, `admin:` in the file."""

    service: ClassVar[str] = "admin"

    propeller_address: str = Field(
        "",
        description="Host and port of propeller's gRPC server; several replicas as `ipv4:10.0.0.1:8089,10.0.0.2:8089` "
        "or `dns:///name:8089`.",
    )
    catalog_address: str = Field(
        "", description="Host and port of catalog's gRPC server, for explaining and evicting cached results."
    )
    public_url: str = Field(
        "",
        description="Where clients reach the HTTP server, such as `http://host:30080`; uploads, downloads and large "
        "outputs are told as addresses below it. Its own address when empty, which leads nowhere if it listens on all.",
    )
    signing_key_file: Path | None = Field(
        None, description="File with the key that signs local uploads and downloads; made when absent."
    )
    domains: list[DomainSettings] = Field(
        [DomainSettings(id=name, name=name) for name in ("development", "staging", "production")],
        min_length=1,
        description="The domains that every project has, in the order they are listed.",
    )
    projects: list[SeedProject] = Field(
        [SeedProject(id=name, name=name) for name in ("flytesnacks", "flytetester", "flyteexamples")],
        description="Projects made at start unless they exist.",
    )
    registration: RegistrationSettings = RegistrationSettings()
    task_resources: TaskResourceSettings = TaskResourceSettings()
    cache: CacheSettings = CacheSettings()
    executions: ExecutionSettings = ExecutionSettings()
    data: DataSettings = DataSettings()
    delivery: DeliverySettings = DeliverySettings()
    retention: RetentionSettings = RetentionSettings()
    watch: WatchSettings = WatchSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    notifications: NotificationSettings = NotificationSettings()
    cloud_events: CloudEventSettings = CloudEventSettings()
    gateway: GatewaySettings = GatewaySettings()

    @model_validator(mode="after")
    def _one_body_fits_among_the_unfinished(self) -> AdminSettings:
        least = self.grpc.max_message_bytes
        if self.gateway.unfinished_bytes < least:
            given = self.gateway.unfinished_bytes
            raise ValueError(f"gateway.unfinished_bytes is {given}, less than grpc.max_message_bytes, {least}")
        return self

    @model_validator(mode="after")
    def _receivers_have_names_of_their_own(self) -> AdminSettings:
        names = [receiver.name for receiver in (*self.notifications.webhooks, *self.cloud_events.receivers)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two receivers of notifications or events have the name {name!r}")
        return self
