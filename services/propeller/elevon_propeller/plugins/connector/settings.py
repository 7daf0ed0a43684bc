"""Settings of the connector plugin."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from elevon_kit.settings import GrpcClientSettings
from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT = "default"
ROUND_ROBIN = '{"loadBalancingConfig": [{"round_robin": {}}]}'


class CallTimeouts(BaseModel):
    """How long each call to a connector service may take."""

    model_config = ConfigDict(extra="forbid")

    create_task: timedelta = Field(timedelta(seconds=30), gt=timedelta(0), description="Longest CreateTask.")
    get_task: timedelta = Field(timedelta(seconds=10), gt=timedelta(0), description="Longest GetTask.")
    delete_task: timedelta = Field(timedelta(seconds=30), gt=timedelta(0), description="Longest DeleteTask.")
    execute_task_sync: timedelta = Field(
        timedelta(minutes=10), gt=timedelta(0), description="Longest ExecuteTaskSync, which is the whole task."
    )
    list_agents: timedelta = Field(timedelta(seconds=10), gt=timedelta(0), description="Longest ListAgents.")


class EndpointSettings(BaseModel):
    """A service that runs connectors, such as `pyflyte serve connector`."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(
        min_length=1, description="Host and port, or a gRPC target; `k8s:///service.namespace:port` works too."
    )
    client: GrpcClientSettings = Field(
        GrpcClientSettings(), description="How it is called; `keepalive_seconds` is 310 here unless it is set."
    )
    service_config: str = Field(ROUND_ROBIN, description="gRPC service configuration, JSON; empty: none.")
    metadata: dict[str, str] = Field(
        default_factory=dict, description="Metadata sent with every call, such as a token under `authorization`."
    )
    timeouts: CallTimeouts = Field(default_factory=CallTimeouts, description="How long calls may take.")
    calls_per_second: float = Field(100.0, gt=0, description="Most calls per second, apart for reading and writing.")
    burst: int = Field(200, ge=1, description="Calls that may be made at once after a quiet time.")


class ConnectorSettings(BaseModel):
    """The connector plugin: tasks as jobs of Flyte connector services."""

    model_config = ConfigDict(extra="forbid")

    endpoints: dict[str, EndpointSettings] = Field(
        default_factory=dict,
        description="Connector services by name; the one named `default` comes first where several serve a task type.",
    )
    task_types: dict[str, str] = Field(
        default_factory=dict,
        description="Names of endpoints by task type: these types go there, listed or not.",
    )
    discovery_interval: timedelta = Field(
        timedelta(seconds=10),
        ge=timedelta(milliseconds=50),
        description="How often every endpoint is asked what it serves.",
    )
    first_poll: timedelta = Field(
        timedelta(milliseconds=500),
        gt=timedelta(0),
        description="Pause after the first look at a job; each further one is longer by half, until something changes.",
    )
    poll_interval: timedelta = Field(
        timedelta(seconds=10), gt=timedelta(0), description="Longest pause between two looks at a job."
    )
    patience: timedelta = Field(
        timedelta(hours=1),
        gt=timedelta(0),
        description="How long a task waits, queued or running, for an endpoint that is away; then its attempt fails "
        "with a SYSTEM error.",
    )
    max_failures: int = Field(
        5, ge=1, description="Looks at a job that may fail in a row, for other reasons than an endpoint that is away."
    )

    @model_validator(mode="after")
    def _known_endpoints(self) -> Self:
        for task_type, endpoint in self.task_types.items():
            if endpoint not in self.endpoints:
                known = sorted(self.endpoints)
                raise ValueError(f"task_types[{task_type}] names {endpoint!r}, which is no endpoint; there are {known}")
        return self
