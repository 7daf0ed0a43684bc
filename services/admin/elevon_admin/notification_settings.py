"""Settings about notifications and CloudEvents."""

from __future__ import annotations

from typing import Literal

from elevon_idl.core import v1 as core
from elevon_kit.settings import SettingsGroup
from pydantic import Field, SecretStr, field_validator, model_validator

from elevon_admin.domain.deliveries import MAIL_RECEIVER
from elevon_admin.domain.webhook_secrets import signing_key

Phase = Literal["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]
DEFAULT_SUBJECT = "{{ project }}/{{ domain }}/{{ name }} {{ phase }}"
DEFAULT_BODY = (
    "Execution {{ name }} of launch plan {{ launch_plan.name }} (version {{ launch_plan.version }}) in "
    "{{ project }}/{{ domain }} has {{ phase }}.{{ error }}"
)


class ReceiverSettings(SettingsGroup):
    """A webhook; its name is unique among all receivers."""

    name: str = Field(min_length=1, max_length=100, description="What notifications and lists call it; not `mail`.")
    url: str = Field(pattern="^https?://", description="Where to post to.")
    secret: SecretStr = Field(
        SecretStr(""), description="Key of the signatures, or `whsec_` and its base64; not signed when empty."
    )
    headers: dict[str, str] = Field({}, description="Headers of every request, such as an authorization.")

    @field_validator("name")
    @classmethod
    def _not_mail(cls, name: str) -> str:
        if name == MAIL_RECEIVER:
            raise ValueError(f"{MAIL_RECEIVER!r} is the mail server's name")
        return name

    @field_validator("secret")
    @classmethod
    def _readable(cls, secret: SecretStr) -> SecretStr:
        signing_key(secret.get_secret_value())
        return secret


class WebhookSettings(ReceiverSettings):
    """A webhook for notifications."""

    format: Literal["json", "slack"] = Field("json", description="`slack` posts a text, as incoming webhooks want it.")
    recipients: list[str] = Field([], description="Addresses whose notifications go here instead of by mail.")
    phases: list[Phase] = Field([], description="Ends of executions that are told here whether asked for or not.")
    projects: list[str] = Field([], description="Projects that `phases` is about; all when empty.")

    def phase_numbers(self) -> list[int]:
        """The phases as numbers."""
        return [core.WorkflowExecution.Phase.Value(phase) for phase in self.phases]


class CloudEventReceiverSettings(ReceiverSettings):
    """A webhook for CloudEvents."""

    mode: Literal["structured", "binary"] = Field("structured", description="Attributes in the body or in headers.")
    kinds: list[Literal["workflow", "node", "task"]] = Field(
        ["workflow", "node", "task"], min_length=1, description="Which executions' events it gets."
    )


class MailSettings(SettingsGroup):
    """The mail server."""

    host: str = Field("", description="SMTP server; no mails are sent when empty.")
    port: int = Field(25, ge=1, le=65_535, description="Its port.")
    security: Literal["none", "starttls", "tls"] = Field("none", description="How the connection is secured.")
    username: str = Field("", description="User to log in as; none when empty.")
    password: SecretStr = Field(SecretStr(""), description="Password of `username`.")
    sender: str = Field("elevon@localhost", min_length=1, description="Address that mails come from.")


class SendSettings(SettingsGroup):
    """How messages are sent to receivers."""

    in_flight: int = Field(4, ge=1, le=256, description="Messages that are under way to one receiver at once.")
    poll_seconds: float = Field(1.0, gt=0, description="How often the database is asked what waits, in seconds.")
    lease_seconds: float = Field(
        30.0, gt=0, description="After how many seconds another replica sends for one that died."
    )
    timeout_seconds: float = Field(10.0, gt=0, description="How long a receiver may take to answer, in seconds.")
    longest_pause_seconds: float = Field(
        60.0,
        gt=0,
        description="Longest pause of a receiver between attempts, in seconds. A message that failed waits up to five "
        "times as long while its receiver takes others, and no longer than the receiver after an outage.",
    )
    give_up_seconds: float = Field(
        259_200.0, gt=0, description="Age at which a message that is not acknowledged is given up, in seconds."
    )
    keep_days: int = Field(30, ge=1, description="For how many days messages that were given up are kept.")

    @model_validator(mode="after")
    def _lease_is_long_enough(self) -> SendSettings:
        if self.lease_seconds < 2 * self.timeout_seconds:
            raise ValueError("lease_seconds must be at least twice timeout_seconds")
        return self


class NotificationSettings(SettingsGroup):
    """Who is told of an execution's end."""

    subject: str = Field(DEFAULT_SUBJECT, description="Subject of notifications, with placeholders.")
    body: str = Field(DEFAULT_BODY, description="Text of notifications that bring no template of their own.")
    mail: MailSettings = MailSettings()
    webhooks: list[WebhookSettings] = Field([], description="Webhooks for notifications.")
    send: SendSettings = SendSettings()


class CloudEventSettings(SettingsGroup):
    """Events for programs outside."""

    source: str = Field(
        "https://github.com/flyteorg/flyte/flyteadmin",
        min_length=1,
        description="Attribute `source`; the default is what consumers of the original's events look for.",
    )
    receivers: list[CloudEventReceiverSettings] = Field([], description="Who gets events; nobody when empty.")
