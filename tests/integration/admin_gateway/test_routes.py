"""Every route in every encoding answers what gRPC answers."""

from __future__ import annotations

import grpc
import httpx
import pytest
from elevon_admin.gateway.rules import Rule, load_rules
from elevon_admin.gateway.statuses import HTTP_CODES
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

from tests.integration.admin_gateway.harness import BINARY, JSON, REQUESTS, World, message, request_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULES = load_rules()
CAMEL_CASE = "text/plain"


@pytest.mark.parametrize("content_type", [BINARY, JSON, CAMEL_CASE])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.verb} {rule.path}")
async def test_a_route_answers_what_grpc_answers(running: World, rule: Rule, content_type: str) -> None:
    request = message(rule, request_for(rule))
    response = await running.send(rule, request, content_type)
    expected = await running.grpc(rule, request)
    assert response.headers["content-type"] == (BINARY if content_type == BINARY else JSON)
    if isinstance(expected, grpc.aio.AioRpcError):
        assert response.status_code == HTTP_CODES[expected.code()], response.text
        assert status_of(response) == (expected.code().value[0], expected.details())
    else:
        assert response.status_code == 200, response.text
        assert read(response, expected) == expected


def status_of(response: httpx.Response) -> tuple[int, str]:
    if response.headers["content-type"] == BINARY:
        status = status_pb2.Status.FromString(response.content)
        return status.code, status.message
    body = response.json()
    return body["code"], body["message"]


def read(response: httpx.Response, like: Message) -> Message:
    """The body as the official message; nothing in it may be unknown."""
    if response.headers["content-type"] == BINARY:
        return type(like).FromString(response.content)
    return json_format.Parse(response.content, type(like)())


async def test_every_call_has_a_request() -> None:
    assert {rule.method for rule in RULES} == set(REQUESTS)


async def test_most_of_them_answer(running: World) -> None:
    """Guards the table above: a wrong sample would compare errors only."""
    for rule in (rule for rule in RULES if rule.verb == "PUT" and rule.method.endswith("Attributes")):
        await running.grpc(rule, message(rule, request_for(rule)))
    reads = [rule for rule in RULES if rule.verb == "GET" and rule.service.endswith("AdminService")]
    answers = {rule: await running.grpc(rule, message(rule, request_for(rule))) for rule in reads}
    refused = {rule.method for rule, answer in answers.items() if isinstance(answer, grpc.aio.AioRpcError)}
    assert refused == {"GetDescriptionEntity", "GetDynamicNodeWorkflow"}
