"""Settings of the catalog."""

from __future__ import annotations

from typing import ClassVar

from elevon_kit.settings import MEBIBYTE, ServiceSettings, SettingsGroup
from pydantic import Field

KIBIBYTE = 1024


class ValueSettings(SettingsGroup):
    """Where memoized values are kept."""

    prefix: str = Field(
        "metadata/catalog", min_length=1, description="Folder below `blobs.container` that large values are put into."
    )
    inline_bytes: int = Field(
        64 * KIBIBYTE, ge=0, le=4 * MEBIBYTE, description="Largest value kept in its database row, in bytes."
    )
    inline_total_bytes: int = Field(
        256 * KIBIBYTE,
        ge=0,
        le=16 * MEBIBYTE,
        description="Most bytes of values kept in one row.",
    )
    answer_bytes: int = Field(
        3 * MEBIBYTE,
        ge=KIBIBYTE,
        description="Most bytes of values in the answer to a listing or a batch; clients accept 4 MiB by default.",
    )


class ReservationSettings(SettingsGroup):
    """How long leases last."""

    max_heartbeat_seconds: float = Field(
        10.0, gt=0, le=86_400, description="Longest interval between two extensions that is granted, in seconds."
    )
    grace_multiplier: int = Field(3, ge=1, le=1000, description="How many intervals a lease lasts after an extension.")


class UpkeepSettings(SettingsGroup):
    """What the catalog deletes by itself."""

    max_age_seconds: float = Field(
        0.0,
        ge=0,
        description="Age of values from which on they are not found and are deleted, in seconds; 0 is never.",
    )
    interval_seconds: float = Field(300.0, gt=0, description="Time between two rounds of tidying up, in seconds.")


class CatalogSettings(ServiceSettings):
    """Everything that can be set; sections and environment variables are described by the base class."""

    service: ClassVar[str] = "catalog"

    values: ValueSettings = Field(ValueSettings(), description="Where memoized values are kept.")
    reservations: ReservationSettings = Field(ReservationSettings(), description="How long leases last.")
    upkeep: UpkeepSettings = Field(UpkeepSettings(), description="What the catalog deletes by itself.")
