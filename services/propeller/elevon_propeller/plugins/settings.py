"""Settings of the plugins, to be embedded in propeller's: one place, every field explained."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from elevon_propeller.plugins.connector.settings import ConnectorSettings


class EchoSettings(BaseModel):
    """The echo plugin."""

    model_config = ConfigDict(extra="forbid")

    delay: timedelta = Field(timedelta(0), description="How long an echo takes, counted from the attempt's start.")


class ProcessLimits(BaseModel):
    """Limits of each process of an attempt, set as rlimits; unset ones are those of propeller."""

    model_config = ConfigDict(extra="forbid")

    address_space_mib: int | None = Field(None, ge=64, description="Largest address space, MiB (RLIMIT_AS).")
    cpu_seconds: int | None = Field(None, ge=1, description="Most processor time, seconds (RLIMIT_CPU).")
    open_files: int | None = Field(None, ge=32, description="Most open files (RLIMIT_NOFILE).")
    file_size_mib: int | None = Field(None, ge=1, description="Largest file written, MiB (RLIMIT_FSIZE).")

    def as_rlimits(self) -> dict[str, int]:
        """Names and values as the system wants them."""
        mib = 1024 * 1024
        values = {
            "RLIMIT_AS": self.address_space_mib and self.address_space_mib * mib,
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_FSIZE": self.file_size_mib and self.file_size_mib * mib,
        }
        return {name: value for name, value in values.items() if value}


class ProcessSettings(BaseModel):
    """The process plugin: tasks as processes on this machine."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(True, description="Whether tasks with a container run as local processes.")
    folder: Path | None = Field(
        None, description="Where attempts, logs and fork servers keep files; unset: `processes` in the data folder."
    )
    python: Path | None = Field(
        None,
        description="The Python that runs tasks: an interpreter of a virtual environment that has flytekit and "
        "whatever the tasks import. Unset: the Python that runs propeller.",
    )
    images: dict[str, Path] = Field(
        default_factory=dict, description="Pythons for tasks of certain container images, by the image's name."
    )
    slots: int = Field(
        0,
        ge=0,
        description="Attempts at a time; the others wait in line. Eager workflows take no place from what they wait "
        "for. 0: two for each processor.",
    )
    warm_start: bool = Field(
        True, description="Whether the fork server of `python` is started with propeller, not by the first attempt."
    )
    preload: list[str] = Field(
        default_factory=list,
        description="Modules imported once for all attempts, besides flytekit: what many tasks import and takes long, "
        "such as `pandas`. Only what leaves no threads running, since these do not survive a fork.",
    )
    spares: int = Field(
        2,
        ge=0,
        le=64,
        description="Processes of each fork server that wait, already forked, for attempts; each holds about 15 MiB.",
    )
    grace: timedelta = Field(
        timedelta(seconds=60),
        description="How long attempts go on without propeller; then they are killed, to be run again.",
    )
    kill_grace: timedelta = Field(
        timedelta(seconds=5), description="How long an attempt that is to end has between SIGTERM and SIGKILL."
    )
    start_timeout: timedelta = Field(
        timedelta(seconds=60), description="How long a fork server may take to import and to answer."
    )
    keep_running: bool = Field(
        True, description="Whether attempts go on while propeller restarts; otherwise closing kills them."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables for every task; they win over all others."
    )
    inherited_variables: list[str] = Field(
        [
            *("LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"),
            *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        ],
        description="Variables tasks get from propeller's own environment; nothing else leaks into them.",
    )
    path: str = Field(
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        description="PATH of tasks, after the folder of their Python.",
    )
    python_path: list[Path] = Field(
        default_factory=list, description="Folders where tasks that were not registered fast find their modules."
    )
    platform_url: str = Field(
        "", description="Address of admin (host:port) for eager tasks and FlyteRemote inside tasks; empty: none."
    )
    platform_insecure: bool = Field(True, description="Whether `platform_url` is spoken to without TLS.")
    secrets_folder: Path | None = Field(
        None, description="Where secrets lie, one file `<group>/<key>` each; tasks get those they ask for."
    )
    log_link: str = Field(
        "file://{path}", description="URI of an attempt's log; `{path}` is the file, `{name}` the attempt's name."
    )
    keep_logs: timedelta = Field(
        timedelta(days=30), description="How long logs are kept; older ones go within an hour."
    )
    keep_distributions: timedelta = Field(
        timedelta(days=7), description="How long unpacked code is kept after its last use; older goes at a start."
    )
    limits: ProcessLimits = Field(default_factory=ProcessLimits, description="Limits of each process.")


class LiteralOffloadingSettings(BaseModel):
    """Large output literals in files of their own, which SDKs read when they need them; outputs.pb stays small."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(True, description="Whether large literals go to files of their own.")
    minimum_mib: int = Field(10, ge=0, description="From which size on, MiB.")
    maximum_mib: int = Field(1000, ge=1, description="Above which size a task fails instead, MiB.")


class PluginSettings(BaseModel):
    """All plugins."""

    model_config = ConfigDict(extra="forbid")

    default: str = Field("process", description="Id of the plugin for task types nobody claims; empty: they fail.")
    task_types: dict[str, str] = Field(
        default_factory=dict, description="Plugin ids by task type; decides where two plugins claim one type."
    )
    extra: list[str] | None = Field(
        None, description="Plugins of other packages to load, by entry point name; unset: all, empty: none."
    )
    options: dict[str, dict[str, object]] = Field(
        default_factory=dict, description="Options handed to plugins of other packages, by entry point name."
    )
    max_outputs_mib: int = Field(
        10, ge=1, description="Largest outputs.pb and futures.pb, MiB; larger ones fail the attempt for good."
    )
    literal_offloading: LiteralOffloadingSettings = Field(
        default_factory=LiteralOffloadingSettings, description="Large literals in files of their own."
    )
    console_url: str = Field("", description="Address of the console, for links given to tasks; empty: none.")
    echo: EchoSettings = Field(default_factory=EchoSettings, description="The echo plugin.")
    process: ProcessSettings = Field(default_factory=ProcessSettings, description="The process plugin.")
    connector: ConnectorSettings = Field(default_factory=ConnectorSettings, description="The connector plugin.")
