"""Settings of the embedded control plane; flags win over the environment, the environment over the file."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

from elevon_core.errors import InvalidArgument
from elevon_kit.settings import CONFIG_VARIABLE, ConfigFile, StrictEnvironment
from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


def default_data_dir() -> Path:
    """`.elevon` in the current folder when it exists there, else in the home folder."""
    here = Path.cwd() / ".elevon"
    return here if here.is_dir() else Path.home() / ".elevon"


def default_python() -> Path:
    """The interpreter found first on PATH, which in an activated environment is the user's own."""
    return Path(shutil.which("python3") or sys.executable)


class StandaloneSettings(BaseSettings):
    """How `elevon up` runs: section `standalone` of the file, variables `ELEVON_STANDALONE_*`, flags."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)
    service: ClassVar[str] = "standalone"

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(30080, ge=0, le=65535, description="The one port for gRPC and HTTP; 0 lets the system choose.")
    public_host: str = Field("localhost", description="Host name under which clients reach this control plane.")
    data_dir: Path = Field(default_factory=default_data_dir, description="Folder for databases, data and logs.")
    python: Path = Field(default_factory=default_python, description="Python interpreter that has the tasks' packages.")
    propellers: int = Field(
        1, ge=1, le=8, description="How many replicas of propeller share the work; more than one need PostgreSQL."
    )
    start_seconds: float = Field(60.0, gt=0, description="How long a service may take to start, in seconds.")
    drain_seconds: float = Field(20.0, ge=0, description="How long a service may take to drain, in seconds.")
    connections: int = Field(
        4_000, ge=1, description="Connections to the one port at a time; for one more, the longest silent one is ended."
    )
    first_bytes_seconds: float = Field(
        10.0, gt=0, description="How long a connection to the one port may take to show what it speaks, in seconds."
    )
    connectors: list[str] = Field(
        default_factory=list,
        description="Connector services that tasks may go to, `host:port` or `name=host:port`; the first one without "
        "a name is called `default`, the others by their address.",
    )
    config: Path | None = Field(None, description="Settings file that the services read too; absent for none.")

    @field_validator("connectors")
    @classmethod
    def _distinct(cls, given: list[str]) -> list[str]:
        connector_addresses(given)
        return given

    @classmethod
    def load(cls, config: Path | None = None, **flags: Any) -> Self:
        """Read the settings; flags that are None were not given. Raises InvalidArgument naming what is wrong.

        Without `config` the file is the one that ELEVON_CONFIG names, if any.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        named = config or os.environ.get(CONFIG_VARIABLE)
        try:
            return cls(config=Path(named).expanduser().resolve() if named else None, **given)
        except ValidationError as error:
            rules = "; ".join(_explain(problem) for problem in error.errors())
            raise InvalidArgument(f"settings of elevon up: {rules}") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; pydantic calls this."""
        config = init_settings().get("config")
        return (
            init_settings,
            StrictEnvironment(settings_cls, cls.service),
            ConfigFile(settings_cls, cls.service, config),
        )


LAST_PORT = 65_535
"""Ports are numbers of 16 bits, and 0 is none."""

_ADDRESS = re.compile(r"(dns|ipv[46]|unix|unix-abstract|vsock|xds|k8s):.+|(\[[^\[\]=]+\]|[^\[\]:/=\s]+):([0-9]{1,5})")
"""A gRPC target that names how it is resolved, such as `dns:///host:port`, or a host and a port."""


def connector_addresses(given: Iterable[str]) -> dict[str, str]:
    """The addresses of connector services by name; raises ValueError for what is none, or a name used twice."""
    addresses: dict[str, str] = {}
    for each in given:
        name, separator, address = each.partition("=")
        if not separator:
            name, address = each if "default" in addresses else "default", each
        found = _ADDRESS.fullmatch(address)
        if not name or not found or not 0 < int(found[3] or 1) <= LAST_PORT:
            raise ValueError(f"{each!r} is neither host:port nor name=host:port, with a port of 1 to {LAST_PORT}")
        if name in addresses:
            raise ValueError(f"two connector services are called {name!r}")
        addresses[name] = address
    return addresses


def _explain(problem: ErrorDetails) -> str:
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place}"
    return f"{place}: {problem['msg']} (given: {problem['input']!r})"
