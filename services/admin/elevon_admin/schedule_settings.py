"""Settings about schedules."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from elevon_kit.settings import SettingsGroup
from pydantic import Field, field_validator


class ScheduleSettings(SettingsGroup):
    """When and how launch plans are launched by themselves."""

    enabled: bool = Field(True, description="Whether this process launches; any number of replicas may.")
    time_zone: str = Field("UTC", description="Zone of cron texts that name none, such as `Europe/Berlin`.")
    catch_up: Literal["none", "one", "all"] = Field(
        "all",
        description="What is launched of what was missed, unless the launch plan's annotation `elevon/catch-up` says.",
    )
    catch_up_window_seconds: float = Field(
        86_400.0,
        gt=0,
        description="What was missed longer ago is skipped, in seconds; annotation `elevon/catch-up-window` wins.",
    )
    on_time_seconds: float = Field(
        60.0, ge=0, description="What is no later than this, in seconds, was not missed and is launched in any case."
    )
    poll_seconds: float = Field(1.0, gt=0, description="How often the database is asked what is due, in seconds.")
    lease_seconds: float = Field(
        60.0, gt=0, description="After how many seconds another replica launches what one has decided to launch."
    )
    most_attempts: int = Field(
        30, ge=1, description="Attempts to launch, half a second to a minute apart, before one is given up."
    )
    in_flight: int = Field(16, ge=1, le=1024, description="Executions created at once by schedules.")
    catch_up_in_flight: int = Field(4, ge=1, le=1024, description="Those that were missed, created at once.")
    keep_days: int = Field(30, ge=1, description="For how many days the list of ticks goes back.")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"unknown time zone {zone!r}") from None
        return zone
