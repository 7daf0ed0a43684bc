"""Notifications of a running service: who is told, in which words, and exactly once whatever the receivers do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from elevon_admin.domain.webhook_secrets import signing_key
from elevon_admin.drivers.engine_memory import MemoryEngine
from elevon_admin.drivers.webhooks import signature
from elevon_idl.admin import v1 as admin_idl
from elevon_idl.admin.v1 import delivery_service_pb2_grpc
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2
from flyteidl.core import execution_pb2 as core_execution

from tests.integration.admin_executions.harness import WORKFLOW, Admin, eventually, fake_propeller, serving
from tests.integration.admin_notifications.receivers import HttpReceiver, MailReceiver, listening
from tests.integration.admin_registry.harness import refused
from tests.servers import free_port

SEND = {"poll_seconds": 0.05, "longest_pause_seconds": 0.1, "timeout_seconds": 30, "lease_seconds": 60}
SECRET = "whsec_c2VjcmV0"
IMPATIENT = {"timeout_seconds": 5, "lease_seconds": 10}
"""With a receiver that hangs; with others a pause of the machine would have a message sent twice."""

FAILED_ERROR = core_execution.ExecutionError(code="Boom", message="it broke", kind=core_execution.ExecutionError.USER)
ENDS = (WORKFLOW.SUCCEEDED, WORKFLOW.FAILED)


def configured(
    http: HttpReceiver | None = None, mail: MailReceiver | None = None, *, send: Any = None, **webhook: Any
) -> dict[str, Any]:
    """Flags for an admin that tells a webhook `ops` and a mail server."""
    notifications: dict[str, Any] = {"send": {**SEND, **(send or {})}}
    if http is not None:
        notifications["webhooks"] = [{"name": "ops", "url": http.url, "secret": SECRET, **webhook}]
    if mail is not None:
        notifications["mail"] = {"host": "127.0.0.1", "port": mail.port, "sender": "elevon@example.com"}
    return {"notifications": notifications, "delivery": {"longest_pause_seconds": 0.1}}


def email(*recipients: str, template: str = "", phases: tuple[int, ...] = ENDS) -> common_pb2.Notification:
    asked = common_pb2.EmailNotification(recipients_email=recipients, template=template)
    return common_pb2.Notification(phases=phases, email=asked)


def told(*notifications: common_pb2.Notification) -> dict[str, Any]:
    """The fields of a launch plan that asks for notifications."""
    return {"entity_metadata": launch_plan_pb2.LaunchPlanMetadata(notifications=notifications)}


async def finish(admin: Admin, target: Any, name: str, phase: int = WORKFLOW.SUCCEEDED, **fields: Any) -> None:
    """An execution from its creation to its end."""
    identifier = await admin.launch(target, name)
    await admin.report(identifier, WORKFLOW.RUNNING, 1)
    await admin.report(identifier, phase, 2, **fields)


async def status(admin: Admin, name: str) -> admin_idl.Receiver:
    """How a receiver does."""
    async with grpc.aio.insecure_channel(admin.app.grpc_address) as channel:
        stub: Any = delivery_service_pb2_grpc.DeliveryServiceStub(channel)
        found = await stub.ListReceivers(admin_idl.ListReceiversRequest())
    receivers: list[admin_idl.Receiver] = list(found.receivers)
    return next(receiver for receiver in receivers if receiver.name == name)


async def settled(admin: Admin, name: str, *, given_up: int = 0) -> None:
    """Wait until nothing waits for a receiver."""
    while (await status(admin, name)).waiting:
        await asyncio.sleep(0.02)
    assert (await status(admin, name)).given_up == given_up


async def test_a_mail_for_each_recipient(database_url: str, tmp_path: Path) -> None:
    mail = MailReceiver()
    async with listening(mail), serving(database_url, tmp_path, **configured(mail=mail)) as admin:
        pager = common_pb2.Notification(
            phases=[WORKFLOW.FAILED], pager_duty=common_pb2.PagerDutyNotification(recipients_email=["p@example.com"])
        )
        asked = told(email("a@example.com", "b@example.com"), pager, email("a@example.com", phases=(WORKFLOW.FAILED,)))
        target = await admin.register("w", **asked)
        await finish(admin, target, "good")
        await finish(admin, target, "bad", WORKFLOW.FAILED, error=FAILED_ERROR)
        await settled(admin, "mail")
    by_subject = {(each["Subject"], each["To"]) for each in mail.received}
    place = "flytesnacks/development"
    assert by_subject == {
        (f"{place}/good succeeded", "a@example.com"),
        (f"{place}/good succeeded", "b@example.com"),
        (f"{place}/bad failed", "a@example.com"),
        (f"{place}/bad failed", "b@example.com"),
        (f"{place}/bad failed", "p@example.com"),
    }
    assert len(mail.received) == len({each["Message-ID"] for each in mail.received}) == 5
    body = next(each for each in mail.received if "bad" in each["Subject"]).get_content()
    assert "launch plan w (version v1)" in body
    assert "has failed. The execution failed with error: [it broke]." in body


async def test_a_template_of_the_notification_replaces_the_body(database_url: str, tmp_path: Path) -> None:
    mail = MailReceiver()
    template = "{{name}} of {{ workflow.name }}@{{workflow.version}}: {{ phase }}{{ error }} {{ other }}"
    async with listening(mail), serving(database_url, tmp_path, **configured(mail=mail)) as admin:
        target = await admin.register("w", **told(email("a@example.com", template=template)))
        await finish(admin, target, "x")
        await settled(admin, "mail")
    assert mail.received[0].get_content().strip() == "x of w@v1: succeeded {{ other }}"


async def test_a_webhook_is_told_by_name_or_address_and_can_check_who_tells(database_url: str, tmp_path: Path) -> None:
    http = HttpReceiver()
    async with listening(http):
        flags = configured(http, recipients=["team@slack.example.com"], headers={"x-team": "ops"})
        async with serving(database_url, tmp_path, **flags) as admin:
            slack = common_pb2.SlackNotification(recipients_email=["team@slack.example.com", "ops"])
            asked = common_pb2.Notification(phases=[WORKFLOW.FAILED], slack=slack)
            target = await admin.register("w", **told(asked, email("nobody@example.com")))
            await finish(admin, target, "good")
            await finish(admin, target, "bad", WORKFLOW.FAILED, error=FAILED_ERROR)
            await settled(admin, "ops")
    (posted,) = http.received
    content = json.loads(posted.body)
    assert content["type"] == "execution.ended"
    assert content["phase"] == "FAILED"
    assert content["execution"] == {"project": "flytesnacks", "domain": "development", "name": "bad"}
    assert content["launch_plan"]["version"] == "v1"
    assert content["error"] == {"code": "Boom", "kind": "USER", "message": "it broke"}
    headers = posted.headers
    assert headers["x-team"] == "ops"
    key = signing_key(SECRET)
    expected = signature(key, headers["webhook-id"], headers["webhook-timestamp"], posted.body)
    assert headers["webhook-signature"] == expected


async def test_slack_gets_a_text_and_what_was_not_asked_for_can_be_told(database_url: str, tmp_path: Path) -> None:
    http = HttpReceiver()
    async with listening(http):
        flags = configured(http, format="slack", phases=["FAILED"], projects=["flytesnacks"])
        async with serving(database_url, tmp_path, **flags) as admin:
            target = await admin.register("w")
            await finish(admin, target, "good")
            await finish(admin, target, "bad", WORKFLOW.FAILED, error=FAILED_ERROR)
            await settled(admin, "ops")
    (posted,) = http.received
    content = json.loads(posted.body)
    assert list(content) == ["text"]
    assert content["text"].startswith("*flytesnacks/development/bad failed*\nExecution bad")


async def test_nobody_is_told_when_the_request_says_so(database_url: str, tmp_path: Path) -> None:
    http = HttpReceiver()
    async with listening(http), serving(database_url, tmp_path, **configured(http)) as admin:
        target = await admin.register("w", **told(email("ops")))
        identifier = await admin.launch(target, "quiet", disable_all=True)
        await admin.report(identifier, WORKFLOW.SUCCEEDED, 1)
        own = execution_pb2.NotificationList(notifications=[email("ops", phases=(WORKFLOW.FAILED,))])
        identifier = await admin.launch(target, "other", notifications=own)
        await admin.report(identifier, WORKFLOW.SUCCEEDED, 1)
        await finish(admin, target, "loud")
        await settled(admin, "ops")
    assert [json.loads(posted.body)["execution"]["name"] for posted in http.received] == ["loud"]


async def test_an_execution_that_the_engine_refuses_is_told_too(database_url: str, tmp_path: Path) -> None:
    http, engine = HttpReceiver(), MemoryEngine()
    engine.refused.add("w")
    async with listening(http), serving(database_url, tmp_path, engine, **configured(http)) as admin:
        await admin.launch(await admin.register("w", **told(email("ops"))), "x")
        await eventually(lambda: bool(http.received), "the failure is told")
    assert json.loads(http.received[0].body)["phase"] == "FAILED"


@pytest.mark.parametrize("trouble", ["fail", "refuse", "cut", "hang", "dead"])
async def test_a_webhook_in_trouble_gets_everything_once_it_is_back(
    sqlite_url: str, tmp_path: Path, trouble: str
) -> None:
    http = HttpReceiver(mode=trouble, port=free_port())
    if trouble != "dead":
        await http.start()
    flags = configured(http, send=IMPATIENT if trouble == "hang" else {})
    async with serving(sqlite_url, tmp_path, **flags) as admin:
        target = await admin.register("w", **told(email("ops")))
        for number in range(5):
            await finish(admin, target, f"e{number}")
        while (await status(admin, "ops")).failing_since.seconds == 0 and trouble != "refuse":
            await asyncio.sleep(0.02)
        assert (await status(admin, "ops")).waiting == 5
        http.mode = "ok"
        if trouble == "dead":
            await http.start()
        await settled(admin, "ops")
        assert not (await status(admin, "ops")).HasField("failing_since")
        await http.die()
    names = sorted(json.loads(posted.body)["execution"]["name"] for posted in http.received)
    assert names == [f"e{number}" for number in range(5)]
    assert len({posted.headers["webhook-id"] for posted in http.received}) == 5


@pytest.mark.parametrize("trouble", ["busy", "hang", "dead"])
async def test_a_mail_server_in_trouble_gets_everything_once_it_is_back(
    sqlite_url: str, tmp_path: Path, trouble: str
) -> None:
    mail = MailReceiver(mode=trouble, port=free_port())
    if trouble != "dead":
        await mail.start()
    flags = configured(mail=mail, send=IMPATIENT if trouble == "hang" else {})
    async with serving(sqlite_url, tmp_path, **flags) as admin:
        target = await admin.register("w", **told(email("a@example.com", "b@example.com")))
        for number in range(3):
            await finish(admin, target, f"e{number}")
        if trouble == "dead":
            while not (await status(admin, "mail")).HasField("failing_since"):
                await asyncio.sleep(0.02)
        else:
            await eventually(lambda: mail.attempts > 0, "it was tried")
        assert (await status(admin, "mail")).waiting == 6
        mail.mode = "ok"
        if trouble == "dead":
            await mail.start()
        await settled(admin, "mail")
        await mail.die()
    assert len(mail.received) == len({each["Message-ID"] for each in mail.received}) == 6
    assert sorted(mail.recipients) == ["a@example.com"] * 3 + ["b@example.com"] * 3


async def test_an_address_that_does_not_exist_stops_nobody(database_url: str, tmp_path: Path) -> None:
    mail = MailReceiver(unknown={"gone@example.com"})
    async with listening(mail), serving(database_url, tmp_path, **configured(mail=mail)) as admin:
        target = await admin.register("w", **told(email("gone@example.com", "here@example.com", "öde@example.com")))
        await finish(admin, target, "x")
        await eventually(lambda: len(mail.received) == 1, "the mail that can be delivered is")
        while (await status(admin, "mail")).waiting:
            await asyncio.sleep(0.02)
        async with grpc.aio.insecure_channel(admin.app.grpc_address) as channel:
            stub: Any = delivery_service_pb2_grpc.DeliveryServiceStub(channel)
            listing = admin_idl.ListDeliveriesRequest(
                receiver="mail", state=admin_idl.DELIVERY_STATE_GIVEN_UP, limit=10
            )
            given_up = (await stub.ListDeliveries(listing)).deliveries
    assert mail.recipients[0] == "here@example.com"
    assert "550 no such user" in given_up[0].error
    assert (given_up[0].subject, given_up[0].attempts) == ("flytesnacks:development:x", 1)


async def test_a_mail_that_is_too_large_stops_nobody(database_url: str, tmp_path: Path) -> None:
    mail = MailReceiver(most_bytes=5_000)
    async with listening(mail), serving(database_url, tmp_path, **configured(mail=mail)) as admin:
        large = email("a@example.com", template="x" * 10_000)
        target = await admin.register("w", **told(large, email("b@example.com")))
        await finish(admin, target, "x")
        await settled(admin, "mail", given_up=1)
    assert mail.recipients == ["b@example.com"]


async def test_a_dead_receiver_keeps_nobody_waiting(database_url: str, tmp_path: Path) -> None:
    dead, alive = HttpReceiver(mode="hang"), HttpReceiver()
    async with listening(dead, alive):
        flags = configured(dead)
        flags["notifications"]["webhooks"].append({"name": "alive", "url": alive.url})
        async with serving(database_url, tmp_path, **flags) as admin:
            target = await admin.register("w", **told(email("ops", "alive")))
            for number in range(20):
                await finish(admin, target, f"e{number}")
            await eventually(lambda: len(alive.received) == 20, "the one that works has everything")
            assert dead.received == []
            assert (await status(admin, "ops")).waiting == 20
            await dead.die()


async def test_what_is_too_old_is_given_up_and_can_be_tried_again(database_url: str, tmp_path: Path) -> None:
    http = HttpReceiver(mode="fail")
    async with listening(http):
        flags = configured(http, send={"give_up_seconds": 0.001})
        async with serving(database_url, tmp_path, **flags) as admin:
            target = await admin.register("w", **told(email("ops")))
            await finish(admin, target, "x")
            while not (await status(admin, "ops")).given_up:
                await asyncio.sleep(0.02)
            found = await status(admin, "ops")
            assert "answered 503" in found.error
            assert (found.waiting, found.configured) == (0, True)
            http.mode = "ok"
            async with grpc.aio.insecure_channel(admin.app.grpc_address) as channel:
                stub: Any = delivery_service_pb2_grpc.DeliveryServiceStub(channel)
                again = await stub.RetryDeliveries(admin_idl.RetryDeliveriesRequest(receiver="ops"))
                assert again.count == 1
                code = grpc.StatusCode
                unknown = admin_idl.RetryDeliveriesRequest(receiver="x")
                await refused(stub.RetryDeliveries(unknown), code.NOT_FOUND, "'x'")
                await refused(stub.RetryDeliveries(admin_idl.RetryDeliveriesRequest()), code.INVALID_ARGUMENT)
                await refused(stub.ListDeliveries(admin_idl.ListDeliveriesRequest()), code.INVALID_ARGUMENT, "limit")
            await settled(admin, "ops")
    assert len(http.received) == 1


async def test_what_was_not_sent_before_a_restart_is_sent_after_it(database_url: str, tmp_path: Path) -> None:
    http = HttpReceiver(port=free_port())
    flags, engine = configured(http), MemoryEngine()
    async with fake_propeller(engine) as address:
        async with serving(database_url, tmp_path, engine, address, **flags) as admin:
            await finish(admin, await admin.register("w", **told(email("ops"))), "x")
        async with listening(http), serving(database_url, tmp_path, engine, address, **flags) as admin:
            await settled(admin, "ops")
    assert [json.loads(posted.body)["execution"]["name"] for posted in http.received] == ["x"]


async def test_what_waits_for_a_receiver_that_was_removed_is_given_up(sqlite_url: str, tmp_path: Path) -> None:
    http, engine = HttpReceiver(port=free_port()), MemoryEngine()
    async with fake_propeller(engine) as address:
        async with serving(sqlite_url, tmp_path, engine, address, **configured(http)) as admin:
            await finish(admin, await admin.register("w", **told(email("ops"))), "x")
        flags = configured(send={"give_up_seconds": 0.001})
        async with serving(sqlite_url, tmp_path, engine, address, **flags) as admin:
            while (await status(admin, "ops")).waiting:
                await asyncio.sleep(0.02)
            found = await status(admin, "ops")
            assert (found.given_up, found.configured) == (1, False)


async def test_replicas_send_everything_once(postgres_url: str, tmp_path: Path) -> None:
    http, engine = HttpReceiver(mode="fail"), MemoryEngine()
    async with listening(http), fake_propeller(engine) as address:
        flags = configured(http)
        async with (
            serving(postgres_url, tmp_path, engine, address, **flags) as first,
            serving(postgres_url, tmp_path, engine, address, **flags) as second,
        ):
            target = await first.register("w", **told(email("ops")))
            for number in range(20):
                await finish((first, second)[number % 2], target, f"e{number}")
            await eventually(lambda: http.attempts > 5, "it was tried")
            http.mode = "ok"
            await settled(second, "ops")
    assert len(http.received) == len({posted.headers["webhook-id"] for posted in http.received}) == 20


async def test_events_go_out_as_cloud_events(database_url: str, tmp_path: Path) -> None:
    structured, binary = HttpReceiver(), HttpReceiver()
    async with listening(structured, binary):
        receivers = [
            {"name": "all", "url": structured.url, "secret": SECRET},
            {"name": "tasks", "url": binary.url, "mode": "binary", "kinds": ["task"]},
        ]
        flags = {**configured(), "cloud_events": {"receivers": receivers, "source": "https://elevon.example.com"}}
        async with serving(database_url, tmp_path, **flags) as admin:
            identifier = await admin.launch(await admin.register("w"), "x")
            await admin.report(identifier, WORKFLOW.RUNNING, 1)
            await admin.report_node(identifier, "n0", core_execution.NodeExecution.RUNNING, 2)
            await admin.report_task(identifier, "n0", core_execution.TaskExecution.RUNNING, 3)
            await refused(admin.report(identifier, WORKFLOW.RUNNING, 4), grpc.StatusCode.ALREADY_EXISTS)
            await admin.report(identifier, WORKFLOW.SUCCEEDED, 5)
            await settled(admin, "all")
            await settled(admin, "tasks")
    events = [json.loads(posted.body) for posted in structured.received]
    assert structured.received[0].headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert [each["type"].rpartition(".")[2] for each in events] == [
        "WorkflowExecutionEventRequest",
        "NodeExecutionEventRequest",
        "TaskExecutionEventRequest",
        "WorkflowExecutionEventRequest",
    ]
    assert all(each["type"].startswith("com.flyte.resource.flyteidl.admin.") for each in events)
    assert {each["source"] for each in events} == {"https://elevon.example.com"}
    assert events[0]["specversion"] == "1.0"
    assert events[0]["time"] == events[0]["data"]["event"]["occurredAt"]
    assert events[0]["id"].startswith("flytesnacks:development:x.RUNNING")
    assert events[2]["subject"] == "flytesnacks/development/x/n0/0"
    assert len({each["id"] for each in events}) == 4
    (posted,) = binary.received
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["ce-type"] == events[2]["type"]
    assert posted.headers["ce-id"] == events[2]["id"]
    assert json.loads(posted.body) == events[2]["data"]
    assert "webhook-signature" in structured.received[0].headers
    assert "webhook-signature" not in posted.headers


async def test_nothing_is_kept_where_nobody_is_to_be_told(database_url: str, tmp_path: Path) -> None:
    async with serving(database_url, tmp_path, http={"enabled": True}) as admin:
        await finish(admin, await admin.register("w", **told(email("a@example.com"))), "x")
        async with httpx.AsyncClient(timeout=60) as client:
            assert (await client.get(f"http://{admin.app.http_address}/healthcheck")).status_code == 200
        async with grpc.aio.insecure_channel(admin.app.grpc_address) as channel:
            stub: Any = delivery_service_pb2_grpc.DeliveryServiceStub(channel)
            assert not (await stub.ListReceivers(admin_idl.ListReceiversRequest())).receivers
            assert not (await stub.ListDeliveries(admin_idl.ListDeliveriesRequest(limit=1))).deliveries
