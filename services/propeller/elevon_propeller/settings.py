"""Settings of propeller."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from elevon_kit.settings import GrpcClientSettings, ServiceSettings, SettingsGroup
from pydantic import Field

from elevon_propeller.plugins.settings import PluginSettings

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE


class EngineSettings(SettingsGroup):
    """How executions are run."""

    cluster_id: str = Field("propeller", min_length=1, description="Name of this engine in its events.")
    metadata_prefix: str = Field("metadata/propeller", description="Folder of inputs and outputs below the container.")
    raw_output_prefix: str = Field(
        "", description="URI under which tasks put raw data; `raw` below the container when empty."
    )
    max_system_retries: int = Field(3, ge=0, le=100, description="Retries after failures that are not the user's.")
    default_attempts: int = Field(1, ge=1, le=11, description="Attempts of a node that asks for no retries.")
    backoff_seconds: float = Field(0.1, ge=0, description="Pause before the first retry of a node, in seconds.")
    backoff_factor: float = Field(2.0, ge=1, description="Each further pause is longer by this factor.")
    backoff_limit_seconds: float = Field(60.0, ge=0, description="Longest pause between attempts, in seconds.")
    stop_tries: int = Field(
        10,
        ge=1,
        le=1000,
        description="How often a plugin is asked to stop an attempt when it fails at that, outages not counted; then "
        "the node ends and says that the attempt may still run.",
    )
    interruptible_threshold: int = Field(
        -1, description="System failures before attempts leave interruptible machines; ≤0 counts from the budget's end."
    )
    inline_limit_bytes: int = Field(
        64 * KIBIBYTE, ge=0, le=MEBIBYTE, description="Largest literal map kept in rows and events, in bytes."
    )
    element_inline_limit_bytes: int = Field(
        KIBIBYTE, ge=0, le=64 * KIBIBYTE, description="Largest outputs of one array element kept in rows, in bytes."
    )
    array_parallelism: Literal["unlimited", "workflow", "hybrid"] = Field(
        "unlimited",
        description="What bounds elements of an array without a parallelism of its own: nothing, the workflow's "
        "max_parallelism, or that unless the array says 0.",
    )
    array_live_elements: int = Field(
        10_000, ge=0, description="Elements of one array under way at a time, for memory's sake; 0 is unlimited."
    )
    array_event_seconds: float = Field(
        0.1, ge=0, description="How long news of an array's elements are gathered at least, in seconds."
    )
    data_limit_bytes: int = Field(
        100 * MEBIBYTE, ge=KIBIBYTE, description="Largest literal map read from the object store, in bytes."
    )
    lease_seconds: float = Field(
        3.0, ge=0.2, le=600, description="How long a replica that died keeps its executions, in seconds."
    )
    replica_name: str = Field(
        "",
        max_length=200,
        description="Name of this replica, random when empty. A replica takes over at once what one of its "
        "name has left; name it only where something, such as a supervisor, makes sure that the former process ended.",
    )
    retention_days: float = Field(
        0.0, ge=0, description="How long ended executions stay in the engine's database, in days; 0 keeps them."
    )


class AdminSettings(SettingsGroup):
    """Where admin is."""

    address: str = Field("", description="Host and port of admin's gRPC; required.")
    client: GrpcClientSettings = Field(GrpcClientSettings(), description="How it is called.")
    timeout_seconds: float = Field(30.0, gt=0, description="Longest delivery of one batch of events, in seconds.")


class CatalogSettings(SettingsGroup):
    """Where the catalog is."""

    address: str = Field("", description="Host and port of the catalog's gRPC; nothing is cached when empty.")
    client: GrpcClientSettings = Field(GrpcClientSettings(), description="How it is called.")
    timeout_seconds: float = Field(15.0, gt=0, description="Longest single call, in seconds.")
    max_age_seconds: float = Field(0.0, ge=0, description="Older entries count as absent, in seconds; 0 for any age.")
    wait_seconds: float = Field(
        2.0, gt=0, description="How often a node looks whether another one has filled a serialized entry, in seconds."
    )
    heartbeat_seconds: float = Field(10.0, gt=0, description="How often reservations are extended, in seconds.")


class PropellerSettings(ServiceSettings):
    """All settings; see the groups."""

    service: ClassVar[str] = "propeller"

    data_folder: Path = Field(Path("propeller-data"), description="Folder for what plugins keep on this machine.")
    engine: EngineSettings = EngineSettings()
    admin: AdminSettings = AdminSettings()
    catalog: CatalogSettings = CatalogSettings()
    plugins: PluginSettings = Field(PluginSettings(), description="Where tasks run.")
