"""What admin owes people and programs outside: messages that wait until their receiver acknowledges them."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass

MAIL_RECEIVER = "mail"
"""The receiver of all mails: the mail server. No webhook may have this name."""


class DeliveryKind(enum.IntEnum):
    """What the payload of a delivery is."""

    MAIL = 1
    """JSON with `recipient`, `subject` and `body`."""
    NOTIFICATION = 2
    """JSON that is sent as it is."""
    CLOUD_EVENT = 3
    """A serialized admin.ExecutionEvent."""


class DeliveryState(enum.IntEnum):
    """Whether a delivery is still tried; what was acknowledged is not there any more."""

    WAITING = 1
    GIVEN_UP = 2


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message for a receiver; those about one subject are sent in order.

    `message_id` is the same for every attempt: receivers tell repetitions by it.
    """

    receiver: str
    kind: DeliveryKind
    subject: str
    message_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as it is kept; times in nanoseconds since the epoch."""

    row: int
    receiver: str
    kind: DeliveryKind
    subject: str
    message_id: str
    payload: bytes
    created_at: int
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReceiverStatus:
    """How a receiver does; `failing_since` is None while it takes what it is sent, `oldest_at` when nothing waits."""

    name: str
    waiting: int = 0
    given_up: int = 0
    oldest_at: int | None = None
    failing_since: int | None = None
    error: str = ""


def message_id(*parts: str) -> str:
    """The id of a message from what makes it unique."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
