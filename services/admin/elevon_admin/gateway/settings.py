"""Settings of the HTTP gateway."""

from __future__ import annotations

from elevon_kit.settings import SettingsGroup
from pydantic import Field


class GatewaySettings(SettingsGroup):
    """How browsers and other HTTP clients are answered."""

    allow_cors: bool = Field(True, description="Whether pages of other origins may call the HTTP API.")
    allowed_origins: list[str] = Field(
        ["*"],
        description="Origins whose pages may call, such as `https://console.example.com`; `*` is any, `loopback` is "
        "localhost, 127.0.0.1 and [::1] with any port. `elevon up` says `loopback`.",
    )
    refuse_other_origins: bool = Field(
        False,
        description="Whether requests that change something are refused when a page of an origin sends them that is "
        "neither allowed nor the server's own. `elevon up` says true.",
    )
    allowed_hosts: list[str] = Field(
        ["*"],
        description="Names under which requests may come (header Host), besides localhost, IP addresses and the one in "
        "`public_url`; `*` is any. `elevon up` says none.",
    )
    allowed_headers: list[str] = Field(
        ["Content-Type", "flyte-authorization"], description="Request headers that such pages may send."
    )
    compress_from_bytes: int = Field(
        1024, ge=0, description="Smallest answer that is compressed for clients which accept gzip, in bytes."
    )
    unfinished_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024,
        description="Bytes that bodies of requests hold together at most while they come; for more, the one that began "
        "first is answered with 503.",
    )
