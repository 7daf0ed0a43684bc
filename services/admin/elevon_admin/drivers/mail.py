"""Mails of notifications, handed to an SMTP server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Literal

import aiosmtplib
from elevon_core.errors import FailedPrecondition, InvalidArgument, Unavailable

from elevon_admin.domain.deliveries import StoredDelivery

_BUSY = 421
_FINAL = 500
_TOO_LARGE = 552


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go and from whom they come; `timeout` in seconds."""

    host: str
    port: int
    sender: str
    security: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    password: str = ""
    timeout: float = 10.0


class MailTransport:
    """The Transport to a mail server: a connection for every mail, acknowledged by its answer to the text."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def deliver(self, delivery: StoredDelivery) -> None:
        """See Transport."""
        mail = self._mail(delivery)
        server = self._server
        try:
            await aiosmtplib.send(
                mail,
                sender=server.sender,
                hostname=server.host,
                port=server.port,
                username=server.username or None,
                password=server.password or None,
                use_tls=server.security == "tls",
                start_tls=server.security == "starttls",
                timeout=server.timeout,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            _raise_refused(error.recipients[0].code, error.recipients[0].message)
        except aiosmtplib.SMTPDataError as error:
            _raise_refused(error.code, error.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            if isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code == _TOO_LARGE:
                # A server knows but the size of the mail so far; other refusals are about the sender of all mails.
                raise InvalidArgument(f"the mail server answered {error.code} {error.message}") from error
            if isinstance(error, aiosmtplib.SMTPNotSupported) and not mail["To"].isascii():
                raise InvalidArgument(f"the mail server takes no address like {mail['To']}: {error}") from error
            raise Unavailable(f"the mail server {server.host}:{server.port} takes no mails: {error}") from error

    async def close(self) -> None:
        """See Transport."""

    def _mail(self, delivery: StoredDelivery) -> EmailMessage:
        content = json.loads(delivery.payload)
        mail = EmailMessage()
        try:
            mail["From"] = self._server.sender
            mail["To"] = content["recipient"]
            mail["Subject"] = content["subject"]
        except ValueError as error:
            raise InvalidArgument(f"recipient {content['recipient'][:200]!r} is no address: {error}") from None
        # The same for every attempt: what was delivered in spite of a lost answer is told from a second mail.
        domain = self._server.sender.rpartition("@")[2].strip("> ")
        mail["Message-ID"] = f"<{delivery.message_id}@{domain or 'localhost'}>"
        mail["Date"] = formatdate(delivery.created_at / 1_000_000_000)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(content["body"])
        return mail


def _raise_refused(code: int, message: str) -> None:
    text = f"the mail server answered {code} {message}"
    if code == _BUSY:
        raise Unavailable(text)
    if code >= _FINAL:
        raise InvalidArgument(text)
    raise FailedPrecondition(text)
