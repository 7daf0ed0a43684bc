"""Settings about retention."""

from __future__ import annotations

from elevon_kit.settings import SettingsGroup
from pydantic import Field


class RetentionSettings(SettingsGroup):
    """When the rules of projects are applied by themselves."""

    enabled: bool = Field(True, description="Whether this process applies rules; any number of replicas may.")
    every_seconds: float = Field(3600.0, gt=0, description="How often each rule is applied, in seconds.")
    check_seconds: float = Field(30.0, gt=0, description="How often it is looked whether a rule is due, in seconds.")
    lease_seconds: float = Field(
        600.0, gt=0, description="How long a run may be silent until another replica takes it over, in seconds."
    )
