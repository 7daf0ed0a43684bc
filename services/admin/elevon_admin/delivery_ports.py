"""What delivering messages needs from the world outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from elevon_admin.domain.deliveries import DeliveryState, ReceiverStatus, StoredDelivery
from elevon_admin.domain.paging import Page


class DeliveryRepository(Protocol):
    """The outbox towards receivers; moments are nanoseconds since the epoch."""

    async def lease(self, receiver: str, owner: str, now: int, until: int) -> bool:
        """Become or stay the only one who sends to a receiver until a moment; False while somebody else is it."""
        ...

    async def waiting(self, receiver: str, now: int, limit: int) -> Sequence[StoredDelivery]:
        """Deliveries that may be tried now, those first that wait longest for it; not what something earlier holds."""
        ...

    async def acknowledged(self, row: int) -> None:
        """Forget a delivery; calls that come together share a transaction."""
        ...

    async def postpone(self, row: int, try_at: int, error: str, *, holds: bool) -> None:
        """Write a failed attempt, and when the delivery is tried again.

        If it `holds`, what was made later about its subject is not tried before it is acknowledged or given up.
        """
        ...

    async def give_up(self, row: int, error: str) -> None:
        """Write a failed attempt after which no other follows."""
        ...

    async def give_up_older(self, receiver: str, before: int, error: str) -> int:
        """Give up all that waits for a receiver since before a moment; answers how many that are."""
        ...

    async def receiver_failing(self, receiver: str, now: int, error: str) -> None:
        """Write that a receiver takes nothing, since now unless it was known before."""
        ...

    async def receiver_works(self, receiver: str, now: int, outage: int) -> None:
        """Write that a receiver takes what it is sent.

        After an outage that was at least so long, in nanoseconds, what has waited for it is due at once.
        """
        ...

    async def forget(self, before: int, limit: int) -> int:
        """Remove given up deliveries made before a moment; answers how many rows went."""
        ...

    async def receivers(self) -> Sequence[ReceiverStatus]:
        """All receivers that ever were sent something or are owed something, by name."""
        ...

    async def deliveries(self, receiver: str, state: DeliveryState | None, page: Page) -> Sequence[StoredDelivery]:
        """A page and one more if there is one, the oldest first; of all receivers when the name is empty."""
        ...

    async def retry(self, receiver: str, now: int) -> int:
        """Let all that was given up for a receiver wait again, as if made now; answers how many that are."""
        ...


class Transport(Protocol):
    """The way to one receiver."""

    async def deliver(self, delivery: StoredDelivery) -> None:
        """Send a message; it is acknowledged when this returns.

        Raises Unavailable when the receiver takes nothing at the moment, FailedPrecondition when it refuses this
        message for now, InvalidArgument when it will never take it.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
