"""Sending to receivers outside what they are owed, each apart from the others, until they acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elevon_core.errors import ElevonError, InvalidArgument, Unavailable
from elevon_kit import telemetry
from elevon_kit.logging import get_logger
from elevon_kit.tasks import BackgroundTasks

from elevon_admin.delivery_ports import DeliveryRepository, Transport
from elevon_admin.domain.deliveries import StoredDelivery
from elevon_admin.domain.timetables import SECOND
from elevon_admin.ports import Clock
from elevon_admin.usecases.backing_off import Pause, backoff
from elevon_admin.usecases.delivery_measurements import DeliveryMeasurements

log = get_logger("deliver")

FORGET_SECONDS = 600.0
ROWS_AT_ONCE = 200
MESSAGE_PATIENCE = 5
"""How much longer than a receiver's longest pause one of its messages waits at most for its next attempt."""


@dataclass(frozen=True, slots=True)
class SendingSettings:
    """How hard to try; times in seconds."""

    in_flight: int = 4
    poll_seconds: float = 1.0
    lease_seconds: float = 30.0
    timeout_seconds: float = 10.0
    first_pause: float = 0.5
    longest_pause: float = 60.0
    give_up_seconds: float = 3 * 86_400.0
    keep_days: int = 30


class ReceiverQueue:
    """Sends to one receiver while it holds its lease, so that two replicas never send the same."""

    def __init__(
        self,
        receiver: str,
        transport: Transport,
        repository: DeliveryRepository,
        owner: str,
        clock: Clock,
        measurements: DeliveryMeasurements,
        settings: SendingSettings,
    ) -> None:
        self.receiver = receiver
        self._transport = transport
        self._repository = repository
        self._owner = owner
        self._clock = clock
        self._measurements = measurements
        self._settings = settings
        self._pause = Pause(settings.first_pause, settings.longest_pause)
        self._leased_until = 0
        self._works: bool | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for something to send soon."""
        self._woken.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            await self._pause.over()
            self._woken.clear()
            if not await self.send_waiting():
                await self._rest()

    async def send_waiting(self) -> bool:
        """Try once what may be tried now; whether there was anything."""
        now = self._clock()
        if not await self._leased(now):
            return False
        waiting = await self._repository.waiting(self.receiver, now, ROWS_AT_ONCE)
        by_subject: dict[str, list[StoredDelivery]] = {}
        for delivery in waiting:
            by_subject.setdefault(delivery.subject, []).append(delivery)
        limit = asyncio.Semaphore(self._settings.in_flight)
        await asyncio.gather(*(self._send_in_order(group, limit) for group in by_subject.values()))
        return bool(waiting)

    async def close(self) -> None:
        """Let go of the receiver, so that another replica need not wait."""
        if self._leased_until > self._clock():
            await self._repository.lease(self.receiver, self._owner, self._clock(), 0)
        await self._transport.close()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _leased(self, now: int) -> bool:
        """Hold the lease for long enough to send; it is renewed when half of it is over."""
        length = round(self._settings.lease_seconds * SECOND)
        if self._leased_until - now > length // 2:
            return True
        until = now + length
        if not await self._repository.lease(self.receiver, self._owner, now, until):
            self._leased_until = 0
            return False
        self._leased_until = until
        return True

    def _may_send(self) -> bool:
        """Whether an attempt that begins now ends within the lease, and the receiver is not left in peace."""
        longest = round(self._settings.timeout_seconds * SECOND)
        return not self._pause.lasts and self._clock() + longest < self._leased_until

    async def _send_in_order(self, group: Sequence[StoredDelivery], limit: asyncio.Semaphore) -> None:
        """Send the messages about one subject as they were made; none overtakes one that failed."""
        for delivery in sorted(group, key=lambda each: each.row):
            async with limit:
                if not self._may_send() or not await self._send(delivery):
                    return

    async def _send(self, delivery: StoredDelivery) -> bool:
        """Whether the next message about the subject may follow."""
        try:
            with telemetry.tracer().start_as_current_span("deliver"):
                async with asyncio.timeout(self._settings.timeout_seconds):
                    await self._transport.deliver(delivery)
        except TimeoutError:
            await self._unavailable(delivery, f"no answer within {self._settings.timeout_seconds:g} s")
        except Unavailable as error:
            await self._unavailable(delivery, error.message)
        except InvalidArgument as error:
            await self._give_up(delivery, error.message)
            return True
        except ElevonError as error:
            await self._refused(delivery, error.message)
        except Exception as error:
            log.error("delivery failed", receiver=self.receiver, exc_info=error)
            await self._refused(delivery, f"{type(error).__name__}: {error}")
        else:
            await self._acknowledged(delivery)
            return True
        return False

    async def _acknowledged(self, delivery: StoredDelivery) -> None:
        await self._repository.acknowledged(delivery.row)
        self._measurements.sent(self.receiver, "acknowledged")
        self._pause.succeeded()
        if self._works is not True:
            self._works = True
            outage = round(self._settings.longest_pause * SECOND)
            await self._repository.receiver_works(self.receiver, self._clock(), outage)

    async def _unavailable(self, delivery: StoredDelivery, error: str) -> None:
        """Leave the receiver in peace for a while; what waits for it too long is given up.

        It may be this message that the receiver cannot take. So the message waits for a time of its own, with what
        follows about its subject, and others are tried first.
        """
        self._pause.failed()
        self._measurements.sent(self.receiver, "failed")
        if self._works is not False:
            self._works = False
            log.warning("receiver takes nothing", receiver=self.receiver, reason=error)
        now = self._clock()
        await self._repository.receiver_failing(self.receiver, now, error)
        pause = backoff(
            delivery.attempts + 1, self._settings.first_pause, self._settings.longest_pause * MESSAGE_PATIENCE
        )
        await self._repository.postpone(delivery.row, now + round(pause * SECOND), error, holds=True)
        before = now - round(self._settings.give_up_seconds * SECOND)
        given_up = await self._repository.give_up_older(self.receiver, before, error)
        if given_up:
            self._measurements.sent(self.receiver, "given_up", given_up)
            log.error("deliveries given up", receiver=self.receiver, count=given_up, reason=error)

    async def _refused(self, delivery: StoredDelivery, error: str) -> None:
        """Try this one again later; others go on."""
        now = self._clock()
        if now - delivery.created_at > self._settings.give_up_seconds * SECOND:
            await self._give_up(delivery, error)
            return
        self._measurements.sent(self.receiver, "failed")
        pause = backoff(delivery.attempts + 1, self._settings.first_pause, self._settings.longest_pause)
        await self._repository.postpone(delivery.row, now + round(pause * SECOND), error, holds=False)

    async def _give_up(self, delivery: StoredDelivery, error: str) -> None:
        await self._repository.give_up(delivery.row, error)
        self._measurements.sent(self.receiver, "given_up")
        log.error("delivery given up", receiver=self.receiver, subject=delivery.subject, reason=error)


class Deliveries:
    """All receivers of this installation; one that is dead keeps nobody waiting."""

    def __init__(
        self,
        repository: DeliveryRepository,
        transports: Mapping[str, Transport],
        owner: str,
        clock: Clock,
        measurements: DeliveryMeasurements,
        settings: SendingSettings | None = None,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._settings = settings or SendingSettings()
        self._queues = [
            ReceiverQueue(name, transport, repository, owner, clock, measurements, self._settings)
            for name, transport in transports.items()
        ]
        self._tasks = BackgroundTasks("deliver")

    def start(self) -> None:
        """Begin to send."""
        for queue in self._queues:
            self._tasks.keep_running(queue.run, queue.receiver)
        self._tasks.keep_running(self._forget, "forget")

    async def stop(self) -> None:
        """Stop sending; what is left waits in the database."""
        await self._tasks.stop()
        for queue in self._queues:
            await queue.close()

    def wake(self) -> None:
        """Look for something to send soon."""
        for queue in self._queues:
            queue.wake()

    async def _forget(self) -> None:
        while True:
            await self._give_up_for_nobody()
            before = self._clock() - self._settings.keep_days * 86_400 * SECOND
            forgotten = await self._repository.forget(before, ROWS_AT_ONCE)
            await asyncio.sleep(0 if forgotten == ROWS_AT_ONCE else FORGET_SECONDS)

    async def _give_up_for_nobody(self) -> None:
        """Give up what has long been waiting for receivers that the settings do not name any more."""
        before = self._clock() - round(self._settings.give_up_seconds * SECOND)
        named = {queue.receiver for queue in self._queues}
        for status in await self._repository.receivers():
            if status.name not in named and status.oldest_at is not None and status.oldest_at < before:
                await self._repository.give_up_older(status.name, before, "the settings name no such receiver")
