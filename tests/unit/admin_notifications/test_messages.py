"""Words of notifications, forms of CloudEvents, signatures, and the settings about them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from elevon_admin.domain.cloud_events import EventRoute, binary, owed_events, structured
from elevon_admin.domain.deliveries import MAIL_RECEIVER
from elevon_admin.domain.notifications import Ended, NotificationRules, WebhookRoute, owed_notifications, render
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.webhook_secrets import signing_key
from elevon_admin.drivers.webhooks import signature
from elevon_admin.settings import AdminSettings
from elevon_core.errors import ElevonError
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = ExecutionKey("p", "d", "x")
FAILED = core.WorkflowExecution.FAILED


def ended(*recipients: str, phase: core.WorkflowExecution.Phase.ValueType = FAILED) -> Ended:
    closure = admin.ExecutionClosure(phase=phase)
    closure.notifications.add(phases=[FAILED], email=admin.EmailNotification(recipients_email=recipients))
    return Ended(KEY, closure, core.Identifier(name="plan", version="v1"))


def receivers(rules: NotificationRules, *recipients: str) -> list[str]:
    return [delivery.receiver for delivery in owed_notifications(rules, ended(*recipients))]


def test_recipients_are_webhooks_or_addresses() -> None:
    hooks = [WebhookRoute("ops", recipients=("team@x",)), WebhookRoute("all", phases=(FAILED,), projects=("p",))]
    rules = NotificationRules("s", "b", mail=True, webhooks=hooks)
    assert receivers(rules, "a@x", "team@x", "ops", "b@x", "a@x") == [MAIL_RECEIVER, "ops", MAIL_RECEIVER, "all"]
    assert receivers(rules, "all") == ["all"]
    assert receivers(NotificationRules("s", "b", webhooks=hooks[:1]), "a@x", "ops") == ["ops"]
    assert receivers(NotificationRules("s", "b"), "a@x") == []


def test_only_what_may_concern_somebody_is_looked_into() -> None:
    closure = ended("a@x").closure
    quiet = admin.ExecutionClosure(phase=FAILED)
    elsewhere = WebhookRoute("all", phases=(FAILED,), projects=("other",))
    assert NotificationRules("s", "b", mail=True).concern(KEY, closure)
    assert not NotificationRules("s", "b").concern(KEY, closure)
    assert not NotificationRules("s", "b", mail=True, webhooks=[elsewhere]).concern(KEY, quiet)
    assert NotificationRules("s", "b", webhooks=[WebhookRoute("all", phases=(FAILED,))]).concern(KEY, quiet)


def test_message_ids_are_the_same_every_time_and_differ_between_messages() -> None:
    rules = NotificationRules("s", "b", mail=True)
    first = [delivery.message_id for delivery in owed_notifications(rules, ended("a@x", "b@x"))]
    again = [delivery.message_id for delivery in owed_notifications(rules, ended("a@x", "b@x"))]
    assert first == again
    assert len(set(first)) == 2


def test_a_subject_is_one_line() -> None:
    rules = NotificationRules("{{ name }}\r\nBcc: {{project}}", "b", mail=True)
    (delivery,) = owed_notifications(rules, ended("a@x"))
    assert json.loads(delivery.payload)["subject"] == "x Bcc: p"


@settings(deadline=None)
@given(st.text(max_size=50), st.dictionaries(st.from_regex(r"[a-z_.]{1,8}", fullmatch=True), st.text(max_size=10)))
def test_rendering_replaces_what_it_knows_and_nothing_else(text: str, parameters: dict[str, str]) -> None:
    template = text.replace("{{", "") + "".join(f"{{{{ {name} }}}}|{{{{{name}}}}}" for name in parameters)
    expected = text.replace("{{", "") + "".join(f"{value}|{value}" for value in parameters.values())
    assert render(template, parameters) == expected
    assert render(text, {}) == text


def task_event(name: str = "t", version: int = 0) -> event.TaskExecutionEvent:
    reported = event.TaskExecutionEvent(
        task_id=core.Identifier(project="p", domain="d", name=name, version="v"),
        parent_node_execution_id=core.NodeExecutionIdentifier(node_id="n0", execution_id=KEY.identifier()),
        phase=core.TaskExecution.RUNNING,
        phase_version=version,
    )
    reported.occurred_at.FromSeconds(1_700_000_000)
    return reported


def test_routes_choose_kinds() -> None:
    routes = [EventRoute("all"), EventRoute("nodes", ("node",)), EventRoute("tasks", ("task",))]
    assert [delivery.receiver for delivery in owed_events(routes, task_event())] == ["all", "tasks"]
    assert owed_events(routes[1:2], task_event()) == []
    one, two = (owed_events(routes[:1], task_event(version=number))[0] for number in (1, 2))
    assert one.message_id != two.message_id
    assert one.subject == str(KEY)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_both_forms_say_the_same_whatever_the_names(name: str) -> None:
    (delivery,) = owed_events([EventRoute("all")], task_event(name))
    _, whole = structured(delivery.payload, "https://x")
    headers, data = binary(delivery.payload, "https://x")
    body = json.loads(whole)
    assert body["data"] == json.loads(data)
    assert body["datacontenttype"] == headers["content-type"] == "application/json"
    assert headers["ce-type"] == body["type"] == "com.flyte.resource.flyteidl.admin.TaskExecutionEventRequest"
    assert all(value.isascii() and value.isprintable() and '"' not in value for value in headers.values())
    assert body["data"]["event"]["taskId"]["name"] == name


def test_signatures() -> None:
    key = signing_key("whsec_" + base64.b64encode(b"key").decode())
    assert key == b"key"
    assert signing_key("plain") == b"plain"
    for text in ("+/8=", "-_8=", "-_8", "+/8"):
        assert signing_key(f"whsec_{text}") == b"\xfb\xff"
    digest = hmac.new(b"key", b'msg_1.1700000000.{"a": 1}', hashlib.sha256).digest()
    assert signature(key, "msg_1", "1700000000", b'{"a": 1}') == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"notifications": {"webhooks": [{"name": "mail", "url": "http://x"}]}}, "mail server's name"),
        ({"notifications": {"webhooks": [{"name": "a", "url": "ftp://x"}]}}, "url"),
        ({"notifications": {"webhooks": [{"name": "a", "url": "http://x", "secret": "whsec_x"}]}}, "base64"),
        ({"notifications": {"send": {"lease_seconds": 5}}}, "twice timeout_seconds"),
        (
            {
                "notifications": {"webhooks": [{"name": "a", "url": "http://x"}]},
                "cloud_events": {"receivers": [{"name": "a", "url": "http://x"}]},
            },
            "two receivers",
        ),
        ({"schedules": {"time_zone": "Mars/Olympus"}}, "unknown time zone"),
        ({"gateway": {"unfinished_bytes": 2048}}, "unfinished_bytes is 2048, less than grpc.max_message_bytes"),
    ],
)
def test_settings_that_cannot_work_are_refused(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(ElevonError, match=words):
        AdminSettings.load([], database={"url": "sqlite+aiosqlite:///x"}, **flags)


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_!!!", "whsec_====", "whsec_hidden hidden", "whsec_hid-den~", "whsec_QqXxZ"]
)
def test_secrets_without_a_key_are_refused_and_not_shown(secret: str) -> None:
    place = {"notifications": {"webhooks": [{"name": "a", "url": "http://x", "secret": secret}]}}
    with pytest.raises(ElevonError, match=r"notifications\.webhooks\.0\.secret.*whsec_") as refused:
        AdminSettings.load([], database={"url": "sqlite+aiosqlite:///x"}, **place)
    hidden = secret.removeprefix("whsec_")
    assert not hidden or hidden not in refused.value.message
    twice = [{"name": "a", "url": "http://x", "secret": "whsec_aGlkZGVu"}] * 2
    with pytest.raises(ElevonError, match="two receivers") as refused:
        AdminSettings.load([], database={"url": "sqlite+aiosqlite:///x"}, notifications={"webhooks": twice})
    assert "aGlkZGVu" not in refused.value.message
