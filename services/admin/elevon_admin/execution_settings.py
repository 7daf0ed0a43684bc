"""Settings about executions, their data, and the way to the engine."""

from __future__ import annotations

from elevon_kit.settings import SettingsGroup
from pydantic import Field


class QueueSettings(SettingsGroup):
    """A queue that tasks hand their own children to."""

    name: str = Field(min_length=1, description="What tasks are told, as `child_queue` of their configuration.")
    tags: list[str] = Field([], description="Executions that carry one of these tags may get the queue.")


class ExecutionSettings(SettingsGroup):
    """How executions run where request, launch plan and attributes are silent."""

    max_parallelism: int = Field(25, ge=0, description="Nodes of an execution that are active at once; 0 is unlimited.")
    interruptible: bool = Field(False, description="Whether tasks may run on machines that can be taken away.")
    overwrite_cache: bool = Field(False, description="Whether every execution replaces what is cached.")
    raw_output_prefix: str = Field("", description="URI below which tasks put raw data; the engine's own when empty.")
    iam_role: str = Field("", description="Role that tasks assume.")
    service_account: str = Field("", description="Kubernetes service account that tasks run as.")
    labels: dict[str, str] = Field({}, description="Labels of every task.")
    annotations: dict[str, str] = Field({}, description="Annotations of every task.")
    environment: dict[str, str] = Field({}, description="Environment variables of every task.")
    max_label_entries: int = Field(0, ge=0, description="Most labels of an execution once resolved; 0 is no limit.")
    max_annotation_entries: int = Field(0, ge=0, description="Most annotations once resolved; 0 is no limit.")
    namespace_template: str = Field(
        "{{ project }}-{{ domain }}", description="Name of the namespace that an execution runs in."
    )
    queues: list[QueueSettings] = Field([], description="Queues that executions are spread over by their tags.")
    queue_tags: dict[str, list[str]] = Field(
        {}, description="Domain to the tags of its executions where no attribute names any; the empty domain is any."
    )
    console_url: str = Field("", description="Where the console shows executions; given to tasks.")


class DataSettings(SettingsGroup):
    """Literals, uploads and downloads."""

    inline_bytes: int = Field(
        64 * 1024, ge=0, description="Serialized literals up to this size, in bytes, are kept in the database."
    )
    max_literal_bytes: int = Field(
        2 * 1024 * 1024,
        ge=1024,
        description="Largest literals that events carry and data calls answer, in bytes; of larger ones data calls "
        "tell where to download them.",
    )
    upload_prefix: str = Field("", description="Folder of the container that uploads go to.")
    max_upload_bytes: int = Field(
        10 * 1024 * 1024 * 1024, ge=1, description="Largest upload through admin's own HTTP server, in bytes."
    )
    upload_seconds: int = Field(3600, ge=1, description="Longest life of an upload URL, in seconds.")
    download_seconds: int = Field(3600, ge=1, description="Longest life of a download URL, in seconds.")


class WatchSettings(SettingsGroup):
    """Streams that follow executions."""

    max_streams: int = Field(1000, ge=1, description="Streams that are open at once; one more is refused.")
    poll_seconds: float = Field(
        1.0, gt=0, description="How often changes are looked for that another replica recorded, in seconds."
    )


class DeliverySettings(SettingsGroup):
    """How executions are handed to propeller."""

    in_flight: int = Field(64, ge=1, le=1024, description="Calls to propeller that are under way at once.")
    in_memory: int = Field(10_000, ge=1, description="Undelivered calls held in memory; more wait in the database.")
    sweep_seconds: float = Field(
        30.0, gt=0, description="How often the database is searched for what another replica left, in seconds."
    )
    others_seconds: float = Field(
        10.0, ge=0, description="How long what another replica made is left to it, in seconds."
    )
    timeout_seconds: float = Field(
        10.0, gt=0, description="How long one call to propeller may take before it is made again, in seconds."
    )
    longest_pause_seconds: float = Field(5.0, gt=0, description="Longest pause between two attempts, in seconds.")
