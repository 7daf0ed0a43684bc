"""Who is told of an execution's end, and in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.deliveries import MAIL_RECEIVER, DeliveryKind, NewDelivery, message_id
from elevon_admin.domain.phases import workflow_phase_name
from elevon_admin.domain.records import ExecutionKey

_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_.]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class WebhookRoute:
    """Which notifications go to a webhook.

    Those addressed to its name or to one of `recipients`; and, asked for or not, the end of every execution in one of
    `phases`, of one of `projects` unless there is none.
    """

    name: str
    slack: bool = False
    recipients: Collection[str] = ()
    phases: Collection[int] = ()
    projects: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """What the installation says about notifications; `mail` tells whether there is a mail server."""

    subject: str
    body: str
    mail: bool = False
    webhooks: Sequence[WebhookRoute] = ()

    def concern(self, key: ExecutionKey, closure: admin.ExecutionClosure) -> bool:
        """Whether anybody might be told of an execution that has just ended."""
        if not (self.mail or self.webhooks):
            return False
        return bool(closure.notifications) or any(_always(route, key, closure.phase) for route in self.webhooks)


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that has ended."""

    key: ExecutionKey
    closure: admin.ExecutionClosure
    launch_plan: core.Identifier
    parameters: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", _parameters(self))


@dataclass(frozen=True, slots=True)
class _Told:
    """One recipient with the body that was asked for; no template means the installation's."""

    recipient: str
    template: str


def owed_notifications(rules: NotificationRules, ended: Ended) -> list[NewDelivery]:
    """The messages about an execution's end, one for every recipient; nobody gets it twice."""
    by_recipient = {recipient: route for route in rules.webhooks for recipient in (route.name, *route.recipients)}
    owed: dict[str, NewDelivery] = {}
    for told in _asked_for(ended.closure):
        route = by_recipient.get(told.recipient)
        if route is not None:
            _owe(owed, _webhook(rules, route, ended, told))
        elif rules.mail:
            _owe(owed, _mail(rules, ended, told))
    for route in rules.webhooks:
        if _always(route, ended.key, ended.closure.phase) and not _owes(owed, route.name):
            _owe(owed, _webhook(rules, route, ended, _Told("", "")))
    return list(owed.values())


def render(template: str, parameters: Mapping[str, str]) -> str:
    """The template with its placeholders replaced; a placeholder that means nothing stays as it is."""
    return _PLACEHOLDER.sub(lambda match: parameters.get(match[1], match[0]), template)


def _asked_for(closure: admin.ExecutionClosure) -> Iterator[_Told]:
    for notification in closure.notifications:
        kind = notification.WhichOneof("type")
        if kind is None or closure.phase not in notification.phases:
            continue
        asked = getattr(notification, kind)
        for recipient in asked.recipients_email:
            yield _Told(recipient, asked.template)


def _always(route: WebhookRoute, key: ExecutionKey, phase: int) -> bool:
    return phase in route.phases and (not route.projects or key.project in route.projects)


def _owe(owed: dict[str, NewDelivery], delivery: NewDelivery) -> None:
    owed.setdefault(delivery.message_id, delivery)


def _owes(owed: Mapping[str, NewDelivery], receiver: str) -> bool:
    return any(delivery.receiver == receiver for delivery in owed.values())


def _mail(rules: NotificationRules, ended: Ended, told: _Told) -> NewDelivery:
    content = {"recipient": told.recipient, **_text(rules, ended, told)}
    return _delivery(MAIL_RECEIVER, DeliveryKind.MAIL, ended, told, content)


def _webhook(rules: NotificationRules, route: WebhookRoute, ended: Ended, told: _Told) -> NewDelivery:
    text = _text(rules, ended, told)
    content: dict[str, Any]
    if route.slack:
        content = {"text": f"*{text['subject']}*\n{text['body']}"}
    else:
        content = {**_facts(ended), "recipient": told.recipient, **text}
    return _delivery(route.name, DeliveryKind.NOTIFICATION, ended, told, content)


def _text(rules: NotificationRules, ended: Ended, told: _Told) -> dict[str, str]:
    subject = " ".join(render(rules.subject, ended.parameters).split())
    return {"subject": subject, "body": render(told.template or rules.body, ended.parameters)}


def _delivery(receiver: str, kind: DeliveryKind, ended: Ended, told: _Told, content: Mapping[str, Any]) -> NewDelivery:
    # A webhook is told once, by whichever name it was asked for; a recipient of mails once for each.
    recipient = told.recipient if kind is DeliveryKind.MAIL else ""
    phase = workflow_phase_name(ended.closure.phase)
    identity = message_id(receiver, recipient, str(ended.key), phase)
    return NewDelivery(receiver, kind, str(ended.key), identity, json.dumps(content).encode())


def _facts(ended: Ended) -> dict[str, Any]:
    closure = ended.closure
    facts: dict[str, Any] = {
        "type": "execution.ended",
        "phase": workflow_phase_name(closure.phase),
        "occurred_at": closure.updated_at.ToJsonString(),
        "execution": ended.key._asdict(),
        "workflow": _parts(closure.workflow_id),
        "launch_plan": _parts(ended.launch_plan),
    }
    if closure.HasField("error"):
        error = closure.error
        kind = core.ExecutionError.ErrorKind.Name(error.kind)
        facts["error"] = {"code": error.code, "kind": kind, "message": error.message}
    return facts


def _parameters(ended: Ended) -> dict[str, str]:
    closure = ended.closure
    error = f" The execution failed with error: [{closure.error.message}]." if closure.HasField("error") else ""
    parameters = {
        **ended.key._asdict(),
        "phase": workflow_phase_name(closure.phase).lower(),
        "error": error,
    }
    for name, identifier in (("workflow", closure.workflow_id), ("launch_plan", ended.launch_plan)):
        parameters |= {f"{name}.{part}": value for part, value in _parts(identifier).items()}
    return parameters


def _parts(identifier: core.Identifier) -> dict[str, str]:
    return {part: getattr(identifier, part) for part in ("project", "domain", "name", "version")}
