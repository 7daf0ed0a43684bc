"""Putting notifications and CloudEvents together."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from elevon_kit.database import Database
from elevon_kit.grpc_server import GrpcServer

from elevon_admin.delivery_ports import Transport
from elevon_admin.domain.cloud_events import EventRoute
from elevon_admin.domain.deliveries import MAIL_RECEIVER
from elevon_admin.domain.notifications import NotificationRules, WebhookRoute
from elevon_admin.notification_settings import CloudEventSettings, NotificationSettings, SendSettings
from elevon_admin.ports import Clock
from elevon_admin.rpc.deliveries import DELIVERY_SERVICE, DeliveryServicer
from elevon_admin.settings import AdminSettings
from elevon_admin.store.announcements import SqlAnnouncements
from elevon_admin.store.deliveries import SqlDeliveries
from elevon_admin.usecases.deliver import Deliveries, SendingSettings
from elevon_admin.usecases.delivery_measurements import DeliveryMeasurements
from elevon_admin.usecases.delivery_queries import DeliveryQueries


@dataclass(frozen=True, slots=True)
class Notifying:
    """What tells people and programs outside; `start` needs an open database.

    `announcements` is None where nobody is to be told anything.
    """

    announcements: SqlAnnouncements | None
    deliveries: Deliveries
    queries: DeliveryQueries

    def add_to(self, server: GrpcServer) -> None:
        """Serve DeliveryService."""
        server.add(DeliveryServicer(self.queries), DELIVERY_SERVICE)

    async def start(self) -> None:
        """Begin to send."""
        self.deliveries.start()

    async def stop(self) -> None:
        """Stop sending and let go of connections."""
        await self.deliveries.stop()


def build_notifying(settings: AdminSettings, database: Database, clock: Clock) -> Notifying:
    """Put it together; needs a running event loop."""
    given = settings.notifications
    repository = SqlDeliveries(database)
    transports = _transports(given, settings.cloud_events, clock)
    sending = _sending(given.send)
    deliveries = Deliveries(repository, transports, uuid.uuid4().hex, clock, DeliveryMeasurements(), sending)
    routes = [EventRoute(receiver.name, receiver.kinds) for receiver in settings.cloud_events.receivers]
    announcements = SqlAnnouncements(_rules(given), routes, deliveries.wake) if transports else None
    return Notifying(announcements, deliveries, DeliveryQueries(repository, list(transports), clock))


def _rules(given: NotificationSettings) -> NotificationRules:
    webhooks = [
        WebhookRoute(
            webhook.name,
            webhook.format == "slack",
            webhook.recipients,
            webhook.phase_numbers(),
            webhook.projects,
        )
        for webhook in given.webhooks
    ]
    return NotificationRules(given.subject, given.body, bool(given.mail.host), webhooks)


def _transports(given: NotificationSettings, events: CloudEventSettings, clock: Clock) -> dict[str, Transport]:
    transports: dict[str, Transport] = {}
    timeout = given.send.timeout_seconds
    mail = given.mail
    # HTTP and SMTP clients take seven megabytes: they are loaded where somebody is to be told something.
    if mail.host:
        from elevon_admin.drivers.mail import MailServer, MailTransport

        password = mail.password.get_secret_value()
        server = MailServer(mail.host, mail.port, mail.sender, mail.security, mail.username, password, timeout)
        transports[MAIL_RECEIVER] = MailTransport(server)
    if given.webhooks or events.receivers:
        from elevon_admin.drivers.webhooks import Webhook, WebhookTransport
    for webhook in given.webhooks:
        secret = webhook.secret.get_secret_value()
        transports[webhook.name] = WebhookTransport(
            Webhook(webhook.url, secret, webhook.headers, timeout=timeout), clock
        )
    for receiver in events.receivers:
        target = Webhook(
            receiver.url,
            receiver.secret.get_secret_value(),
            receiver.headers,
            receiver.mode == "binary",
            events.source,
            timeout,
        )
        transports[receiver.name] = WebhookTransport(target, clock)
    return transports


def _sending(given: SendSettings) -> SendingSettings:
    return SendingSettings(
        in_flight=given.in_flight,
        poll_seconds=given.poll_seconds,
        lease_seconds=given.lease_seconds,
        timeout_seconds=given.timeout_seconds,
        longest_pause=given.longest_pause_seconds,
        give_up_seconds=given.give_up_seconds,
        keep_days=given.keep_days,
    )
