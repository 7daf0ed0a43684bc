"""Looking after messages to receivers outside."""

from __future__ import annotations

from collections.abc import Collection

from elevon_core.errors import InvalidArgument, NotFound
from elevon_idl.admin import v1 as admin

from elevon_admin.delivery_ports import DeliveryRepository
from elevon_admin.domain.deliveries import DeliveryState, ReceiverStatus, StoredDelivery
from elevon_admin.domain.paging import cut, parse_page
from elevon_admin.domain.stored_text import check_text
from elevon_admin.ports import Clock


class DeliveryQueries:
    """What people ask about deliveries, and the one thing they can do about them: have them tried again."""

    def __init__(self, repository: DeliveryRepository, configured: Collection[str], clock: Clock) -> None:
        self._repository = repository
        self._configured = configured
        self._clock = clock

    async def list_receivers(self) -> admin.ListReceiversResponse:
        """Every receiver that the settings name or that is still owed something."""
        found = {status.name: status for status in await self._repository.receivers()}
        names = sorted({*found, *self._configured})
        return admin.ListReceiversResponse(
            receivers=[
                _receiver(found.get(name, ReceiverStatus(name)), configured=name in self._configured) for name in names
            ]
        )

    async def list_deliveries(self, request: admin.ListDeliveriesRequest) -> admin.ListDeliveriesResponse:
        """A page of what waits or was given up; raises InvalidArgument."""
        page = parse_page(request.limit, request.token, "ListDeliveries")
        state = None
        if request.state != admin.DELIVERY_STATE_UNSPECIFIED:
            if request.state not in {int(state) for state in DeliveryState}:
                raise InvalidArgument.invalid("state", request.state, "must be WAITING or GIVEN_UP")
            state = DeliveryState(request.state)
        check_text("receiver", request.receiver)
        rows, token = cut(page, await self._repository.deliveries(request.receiver, state, page))
        return admin.ListDeliveriesResponse(deliveries=[_delivery(row) for row in rows], token=token)

    async def retry(self, request: admin.RetryDeliveriesRequest) -> admin.RetryDeliveriesResponse:
        """Try again what was given up for a receiver; raises InvalidArgument and NotFound."""
        if not request.receiver:
            raise InvalidArgument.missing("receiver")
        if request.receiver not in self._configured:
            raise NotFound(f"there is no receiver {request.receiver[:200]!r} in the settings")
        return admin.RetryDeliveriesResponse(count=await self._repository.retry(request.receiver, self._clock()))


def _receiver(status: ReceiverStatus, *, configured: bool) -> admin.Receiver:
    message = admin.Receiver(
        name=status.name,
        configured=configured,
        waiting=status.waiting,
        given_up=status.given_up,
        error=status.error,
    )
    if status.oldest_at is not None:
        message.oldest_at.FromNanoseconds(status.oldest_at)
    if status.failing_since is not None:
        message.failing_since.FromNanoseconds(status.failing_since)
    return message


def _delivery(stored: StoredDelivery) -> admin.Delivery:
    message = admin.Delivery(
        receiver=stored.receiver,
        message_id=stored.message_id,
        subject=stored.subject,
        state=admin.DeliveryState.ValueType(stored.state),
        attempts=stored.attempts,
        error=stored.error,
    )
    message.created_at.FromNanoseconds(stored.created_at)
    return message
