"""Settings of a service: flags win over the environment, the environment over the file, the file over the defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from elevon_core.errors import InvalidArgument
from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

KNOWN_SECTIONS = frozenset({"admin", "catalog", "propeller", "standalone"})
CONFIG_VARIABLE = "ELEVON_CONFIG"
MEBIBYTE = 1024 * 1024


def address(host: str, port: int) -> str:
    """Write a host and a port as one address; IPv6 hosts get brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class SettingsGroup(BaseModel):
    """A group of settings that belong together; immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitSettings(SettingsGroup):
    """How much clients may ask for at a time; other services are not held back."""

    calls_per_second: float = Field(
        300.0, ge=0, description="Calls a second that one connection may keep up; those beyond it wait. 0 is no limit."
    )
    burst_calls: int = Field(3_000, ge=1, description="Calls of one connection before `calls_per_second` is felt.")
    wait_seconds: float = Field(
        0.2,
        ge=0,
        le=60,
        description="Longest wait of a call beyond the rate, in seconds; those that would wait longer are refused.",
    )
    turns: int = Field(32, ge=1, description="Calls of one connection that are worked on at once; more wait.")
    streams: int = Field(
        100,
        ge=1,
        description="Calls and streams that one connection may have open; its client keeps more back. Who keeps "
        "half of them waiting beside others, for as long as `burst_calls` last, has more refused.",
    )
    most_calls: int = Field(
        5_000,
        ge=1,
        description="Calls under way in all; more are refused, from half of it on those of connections with all "
        "their turns taken.",
    )
    most_streams: int = Field(
        20_000, ge=1, description="Calls and streams open in all, also half-sent ones and those of services."
    )
    service_key: SecretStr = Field(
        SecretStr(""),
        description="What another service shows, as its `service_key`, not to be held back; when empty, its word is "
        "enough.",
    )


class GrpcSettings(SettingsGroup):
    """How a service listens for gRPC."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 lets the system choose.")
    max_message_bytes: int = Field(32 * MEBIBYTE, ge=1024, description="Largest request accepted, in bytes.")
    max_metadata_bytes: int = Field(32 * 1024, ge=8192, description="Largest request metadata accepted, in bytes.")
    tls_certificate: Path | None = Field(None, description="PEM certificate chain; with `tls_key`, turns TLS on.")
    tls_key: Path | None = Field(None, description="PEM private key of `tls_certificate`.")
    tls_client_authority: Path | None = Field(None, description="PEM authority that clients must be signed by (mTLS).")
    drain_seconds: float = Field(10.0, ge=0, description="How long running calls may finish after a stop, in seconds.")
    drain_notice_seconds: float = Field(
        0.0, ge=0, description="How long to answer NOT_SERVING before calls are refused, in seconds."
    )
    min_ping_seconds: float = Field(
        5.0, gt=0, description="Keepalive pings closer together than this, in seconds, end the connection."
    )
    handshake_seconds: float = Field(
        20.0, gt=0, description="How long a connection may take to become one of HTTP/2, in seconds."
    )
    keepalive_seconds: float = Field(
        60.0, ge=1, description="Silence after which a client is asked whether it is still there, in seconds."
    )
    idle_seconds: float = Field(
        1800.0, ge=1, description="How long a connection without calls is kept, in seconds; clients open another."
    )
    limits: LimitSettings = Field(LimitSettings(), description="How much clients may ask for at a time.")
    reflection: bool = Field(True, description="Whether the services can be listed by reflection.")


class GrpcClientSettings(SettingsGroup):
    """How a service calls another one."""

    max_message_bytes: int = Field(128 * MEBIBYTE, ge=1024, description="Largest answer accepted, in bytes.")
    max_metadata_bytes: int = Field(64 * 1024, ge=8192, description="Largest answer metadata accepted, in bytes.")
    tls: bool = Field(False, description="Whether to speak TLS.")
    tls_authority: Path | None = Field(None, description="PEM authority to trust; the system's when absent.")
    tls_certificate: Path | None = Field(None, description="PEM certificate to show to a server that asks (mTLS).")
    tls_key: Path | None = Field(None, description="PEM private key of `tls_certificate`.")
    keepalive_seconds: float = Field(30.0, ge=10, description="Time between pings on an idle connection, in seconds.")
    service_key: SecretStr = Field(SecretStr(""), description="The other side's `grpc.limits.service_key`.")


class HttpSettings(SettingsGroup):
    """How a service listens for HTTP."""

    enabled: bool = Field(True, description="Whether to listen for HTTP at all.")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 lets the system choose.")
    tls_certificate: Path | None = Field(None, description="PEM certificate chain; with `tls_key`, turns TLS on.")
    tls_key: Path | None = Field(None, description="PEM private key of `tls_certificate`.")
    drain_seconds: float = Field(5.0, ge=0, description="How long requests may run on after a stop, in seconds.")
    header_seconds: float = Field(20.0, gt=0, description="How long the header of a request may take, in seconds.")
    header_bytes: int = Field(64 * 1024, ge=8192, description="Largest header of a request accepted, in bytes.")
    stall_seconds: float = Field(
        60.0, gt=0, description="How long a client may send no byte of a body, or take none of an answer, in seconds."
    )
    body_bytes_per_second: float = Field(
        1024.0,
        ge=0,
        description="Slowest body of a request that is waited for, in bytes per second over `stall_seconds`; 0 is any.",
    )
    idle_seconds: float = Field(5.0, gt=0, description="How long a connection is kept for another request, in seconds.")
    connections: int = Field(2_000, ge=1, description="Connections kept at a time; one more is turned away.")


class DatabaseSettings(SettingsGroup):
    """Where a service keeps its rows."""

    url: str = Field(
        "sqlite+aiosqlite:///elevon.db",
        description="`sqlite+aiosqlite:///<path>` or `postgresql+asyncpg://<user>:<password>@<host>:<port>/<database>`.",
    )
    readers: int = Field(4, ge=1, le=64, description="Connections kept for reading.")
    group_size: int = Field(256, ge=1, le=10_000, description="Most pieces of work that share one commit.")
    migrate: bool = Field(False, description="Whether the service brings its own schema up to date when it starts.")


class BlobSettings(SettingsGroup):
    """Where a service keeps its files, and how it gets at object stores."""

    container: str = Field(
        "", description="Base URI: a local folder, `file://`, `s3://`, `gs://`, `az://` or `abfs://`."
    )
    s3_endpoint: str = Field("", description="URL of an S3-compatible store; Amazon's when empty.")
    s3_region: str = Field("", description="Region; from the environment, else us-east-1, when empty.")
    s3_access_key_id: str = Field("", description="Access key; the usual AWS sources when empty.")
    s3_secret_access_key: SecretStr = Field(SecretStr(""), description="Secret of `s3_access_key_id`.")
    s3_virtual_hosted: bool = Field(False, description="Whether the bucket is part of the host name.")
    gcs_service_account: Path | None = Field(None, description="JSON key file; the usual Google sources when absent.")
    azure_account: str = Field("", description="Storage account for `az://` URIs.")
    azure_account_key: SecretStr = Field(SecretStr(""), description="Key of `azure_account`.")
    timeout_seconds: float = Field(60.0, gt=0, description="Longest single request to an object store, in seconds.")
    retries: int = Field(5, ge=0, le=20, description="How often a request that failed for the moment is repeated.")
    retry_seconds: float = Field(30.0, gt=0, description="How long a request is repeated at most, in seconds.")


class LogSettings(SettingsGroup):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is written.")
    format: Literal["auto", "json", "text"] = Field("auto", description="`auto` is text on a terminal, else JSON.")


class TelemetrySettings(SettingsGroup):
    """What leaves the service for those who watch it; everything is off by default."""

    traces: Literal["none", "console", "otlp", "file"] = Field(
        "none", description="Where spans go; `otlp` honours the standard OTEL_EXPORTER_OTLP_* variables."
    )
    traces_file: Path | None = Field(None, description="With `traces: file`, where each span becomes a line.")
    sample_ratio: float = Field(1.0, ge=0, le=1, description="Share of traces recorded, decided by the trace id.")
    metrics: Literal["none", "prometheus"] = Field("none", description="Whether the HTTP port has /metrics.")


class ServiceSettings(BaseSettings):
    """Base of a service's settings: a subclass names its `service` and adds its own fields.

    `ELEVON_<SERVICE>_GRPC__PORT=1` sets `grpc.port`; the file, named by `--config` or ELEVON_CONFIG, has a section per
    service. Whatever cannot be understood, an unknown key included, raises InvalidArgument from `load`.
    """

    model_config = SettingsConfigDict(extra="forbid", env_nested_delimiter="__", frozen=True)
    service: ClassVar[str] = ""

    grpc: GrpcSettings = GrpcSettings()
    http: HttpSettings = HttpSettings()
    database: DatabaseSettings = DatabaseSettings()
    blobs: BlobSettings = BlobSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    ready_file: Path | None = Field(None, description="File that gets one JSON line with the addresses once ready.")

    @classmethod
    def load(cls, arguments: Sequence[str] = (), **flags: Any) -> Self:
        """Read the settings; `arguments` are `--config FILE` and `--group.field=value`, `flags` win over all.

        Raises InvalidArgument naming every key that is wrong.
        """
        given = parse_arguments(arguments)
        _merge(given, flags)
        try:
            return cls(**given)
        except ValidationError as error:
            lines = [_explain(cls, problem) for problem in error.errors()]
            raise InvalidArgument(f"settings of {cls.service or 'the service'}: " + "; ".join(lines)) from None

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
        flags = init_settings()
        config = flags.pop("config_file", None) or os.environ.get(CONFIG_VARIABLE)
        environment = StrictEnvironment(settings_cls, cls.service) if cls.service else env_settings
        return init_settings, environment, ConfigFile(settings_cls, cls.service, config)


class StrictEnvironment(EnvSettingsSource):
    """The variables `ELEVON_<SERVICE>_*`; one that no field is named after is an error, not a surprise."""

    def __init__(self, settings_cls: type[BaseSettings], service: str) -> None:
        super().__init__(settings_cls, env_prefix=f"ELEVON_{service.upper()}_", env_nested_delimiter="__")

    def __call__(self) -> dict[str, Any]:
        """Answer the values found; an unknown variable appears under its own name, so that validation rejects it."""
        try:
            values = super().__call__()
        except SettingsError as error:
            field = str(error).partition('"')[2].partition('"')[0]
            variable = f"{self.env_prefix}{field.upper()}"
            raise InvalidArgument(f"environment variable {variable} is not valid JSON: {error.__cause__}") from None
        prefix = self.env_prefix.lower()
        for variable in self.env_vars:
            if not variable.lower().startswith(prefix):
                continue
            field = variable.lower().removeprefix(prefix).split("__")[0]
            if field not in self.settings_cls.model_fields:
                values[variable.upper()] = self.env_vars[variable]
        return values


class ConfigFile(PydanticBaseSettingsSource):
    """The section of the YAML file that bears the service's name."""

    def __init__(self, settings_cls: type[BaseSettings], service: str, path: str | Path | None) -> None:
        super().__init__(settings_cls)
        self._service = service
        self._path = Path(path) if path else None

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the section is answered as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Answer the section; raises InvalidArgument when the file cannot be read or has unknown sections."""
        if self._path is None:
            return {}
        document = read_config(self._path)
        section = document.get(self._service) or {}
        if not isinstance(section, dict):
            raise InvalidArgument(f"{self._path}: section {self._service!r} must be a mapping")
        return section


def read_config(path: Path) -> dict[str, Any]:
    """Read the settings file of all services; raises InvalidArgument when it is not one."""
    import yaml  # most processes have no settings file

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidArgument(f"settings file {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise InvalidArgument(f"settings file {path} must be a mapping of sections")
    unknown = sorted(str(name) for name in document if name not in KNOWN_SECTIONS)
    if unknown:
        known = ", ".join(sorted(KNOWN_SECTIONS))
        raise InvalidArgument(f"settings file {path}: unknown section {unknown[0]!r}; there are {known}")
    return document


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """Turn `--a.b=1 --c 2` into nested values; JSON is read where a value starts like a list or an object."""
    values: dict[str, Any] = {}
    remaining = list(arguments)
    while remaining:
        flag = remaining.pop(0)
        if not flag.startswith("--") or flag == "--":
            raise InvalidArgument(f"unexpected argument {flag!r}: settings are given as --group.field=value")
        name, equals, value = flag[2:].partition("=")
        if not equals:
            if name == "help":
                raise InvalidArgument("settings are given as --config FILE and --group.field=value")
            if not remaining:
                raise InvalidArgument(f"--{name} needs a value")
            value = remaining.pop(0)
        path = ["config_file"] if name == "config" else name.replace("-", "_").split(".")
        _merge(values, _nested(path, _value(name, value)))
    return values


def _value(name: str, text: str) -> Any:
    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"--{name} is not valid JSON: {error}") from None


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        existing = into.get(key)
        if isinstance(existing, dict) and isinstance(value, Mapping):
            _merge(existing, value)
        else:
            into[key] = value


def _explain(settings: type[BaseModel], problem: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "(all)"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place}"
    said = f"{place}: {problem['msg']}"
    return f"{said} (given: {problem['input']!r})" if _may_be_shown(settings, problem) else said


def _may_be_shown(settings: type[BaseModel], problem: Mapping[str, Any]) -> bool:
    """Whether what was given is no secret, and nothing that may have one inside."""
    given = problem["input"]
    parts = given if isinstance(given, list) else [given]
    return all(isinstance(part, str | int | float | None) for part in parts) and not _is_secret(
        settings, problem["loc"]
    )


def _is_secret(annotation: Any, place: Sequence[int | str]) -> bool:
    """Whether a place below a type holds a secret."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(place[0])) if place else None
        return field is not None and _is_secret(field.annotation, place[1:])
    if annotation in (SecretStr, SecretBytes):
        return True
    # Of a list or a mapping the place names an entry; of a union it goes on where it is.
    inner = place[1:] if get_origin(annotation) in (list, tuple, dict) else place
    return any(_is_secret(each, inner) for each in get_args(annotation))
