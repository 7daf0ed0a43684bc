"""Notifications and CloudEvents, posted to webhooks and signed as standardwebhooks.com describes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from elevon_core.errors import FailedPrecondition, Unavailable

from elevon_admin.domain.cloud_events import binary, structured
from elevon_admin.domain.deliveries import DeliveryKind, StoredDelivery
from elevon_admin.domain.webhook_secrets import signing_key
from elevon_admin.ports import Clock

_PASSING = frozenset({408, 425, 429})
"""Client errors that say nothing about the message."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post; `timeout` in seconds. CloudEvents have their attributes in headers if `binary_mode`."""

    url: str
    secret: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    binary_mode: bool = False
    source: str = ""
    timeout: float = 10.0


class WebhookTransport:
    """The Transport to a webhook: any answer of the 200s acknowledges."""

    def __init__(self, webhook: Webhook, clock: Clock) -> None:
        self._webhook = webhook
        self._clock = clock
        self._key = signing_key(webhook.secret)
        self._client = httpx.AsyncClient(timeout=webhook.timeout, follow_redirects=False)

    async def deliver(self, delivery: StoredDelivery) -> None:
        """See Transport."""
        headers, body = self._content(delivery)
        headers |= self._signed(delivery.message_id, body)
        try:
            response = await self._client.post(self._webhook.url, content=body, headers=headers)
        except httpx.InvalidURL as error:
            raise Unavailable(f"the webhook's address cannot be used: {error}") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"the webhook does not answer: {type(error).__name__} {error}".rstrip()) from error
        if response.is_success:
            return
        text = f"the webhook answered {response.status_code}"
        if response.is_client_error and response.status_code not in _PASSING:
            raise FailedPrecondition(text)
        raise Unavailable(text)

    async def close(self) -> None:
        """See Transport."""
        await self._client.aclose()

    def _content(self, delivery: StoredDelivery) -> tuple[dict[str, str], bytes]:
        if delivery.kind is not DeliveryKind.CLOUD_EVENT:
            return {**self._webhook.headers, "content-type": "application/json"}, delivery.payload
        encode = binary if self._webhook.binary_mode else structured
        headers, body = encode(delivery.payload, self._webhook.source)
        return {**self._webhook.headers, **headers}, body

    def _signed(self, message_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(self._clock() // 1_000_000_000)
        headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
        if self._key:
            headers["webhook-signature"] = signature(self._key, message_id, timestamp, body)
        return headers


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body, joined by dots; `v1,` and base64."""
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
