"""Settings about retention."""

from __future__ import annotations

from elevon_kit.settings import SettingsGroup
from pydantic import Field


class RetentionSettings(SettingsGroup):
    """When the rules of projects are applied by themselves."""

    enabled: bool = Field(True, description="Whether this process applies rules; any number of replicas may.")
    every_seconds: float = Field(3600.0, gt=0, description="How often each rule is applied, in seconds.")
    check_seconds: float = Field(30.0, gt=0, description="How often it is looked whether a rule is due, in seconds.")
    settle_seconds: float = Field(
        5.0,
        ge=0,
        description="How long results that were found in the cache may take until they are reported, in seconds: after "
        "cached results were deleted, the files they point at stay for so long, and are kept if somebody has them.",
    )
    lease_seconds: float = Field(
        30.0,
        gt=0,
        description="How long nobody can apply a rule after the process that applied it was killed, in seconds: a run "
        "has the right to apply its rule for so long, and renews it.",
    )
