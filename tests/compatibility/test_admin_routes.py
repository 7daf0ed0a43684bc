"""The cases of the table once more, over HTTP in each encoding: a route refuses and accepts what its RPC does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.gateway.rules import Rule, load_rules
from elevon_admin.gateway.statuses import HTTP_CODES
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

from tests.compatibility.admin_table import SERVICES
from tests.compatibility.calls import placed, refusal
from tests.compatibility.cases import Case, Reply, Rpc, judge
from tests.compatibility.test_admin_table import prepared_world
from tests.integration.admin_executions.harness import Admin
from tests.integration.admin_gateway.harness import BINARY, JSON, World, flat, message, method_of

pytestmark = pytest.mark.schema(MIGRATIONS)

RULES = {rule.method: rule for rule in load_rules()}
"""One route of each call: where there are several, the last, which asks for the least in its path."""

TABLED = [rpc for service in SERVICES for rpc in service.rpcs if rpc.name in RULES]
ALONE = [rpc for rpc in TABLED if rpc.alone]
encodings = pytest.mark.parametrize("content_type", [BINARY, JSON])


async def check_over_http(world: Admin, rpc: Rpc, content_type: str, store: str) -> int:
    """Assert that the cases whose identifiers a path can say are answered as the table says; answers their number."""
    rule, tried = RULES[rpc.name], 0
    async with (
        httpx.AsyncClient(base_url=f"http://{world.app.http_address}", timeout=60) as http,
        grpc.aio.insecure_channel(world.app.grpc_address) as channel,
    ):
        for case in rpc.cases:
            if sayable(rule, case):
                tried += 1
                request = message(rule, placed(case.request, store))
                for repeated in (False, True):
                    reply = await answer(World(world, http, channel), rule, request, content_type)
                    judge(case, reply, repeated=repeated)
    return tried


async def answer(world: World, rule: Rule, request: Message, content_type: str) -> Reply:
    """What a route answers; its HTTP status is asserted to be that of the code."""
    response = await world.send(rule, request, content_type)
    assert response.headers["content-type"] == content_type
    if response.status_code == 200:
        return Reply("OK", answer=json_format.MessageToDict(read(response, method_of(rule).output_type)))
    status = read(response, status_pb2.Status.DESCRIPTOR)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    assert response.status_code == HTTP_CODES[code]
    return refusal(code.name, status.message, status)


def read(response: httpx.Response, descriptor: Any) -> Any:
    """The body as a message; nothing in it may be unknown."""
    kind = message_factory.GetMessageClass(descriptor)
    if response.headers["content-type"] == BINARY:
        return kind.FromString(response.content)
    return json_format.Parse(response.content, kind())


def sayable(rule: Rule, case: Case) -> bool:
    """Whether everything that the path wants is said."""
    said = flat(json_format.MessageToDict(message(rule, dict(case.request)), preserving_proto_field_name=True))
    wanted = [segment[1:-1] for segment in rule.path.split("/") if segment.startswith("{")]
    return all(said.get(name) or name.endswith("retry_attempt") for name in wanted)


@encodings
async def test_routes_that_share_a_world(
    sqlite_url: str, tmp_path: Path, subtests: pytest.Subtests, content_type: str
) -> None:
    async with prepared_world(sqlite_url, tmp_path) as world:
        for rpc in TABLED:
            if not rpc.alone:
                with subtests.test(rpc=rpc.name):
                    assert await check_over_http(world, rpc, content_type, str(tmp_path))


@encodings
@pytest.mark.parametrize("rpc", ALONE, ids=lambda rpc: rpc.name)
async def test_routes_with_a_world_of_their_own(sqlite_url: str, tmp_path: Path, rpc: Rpc, content_type: str) -> None:
    async with prepared_world(sqlite_url, tmp_path) as world:
        assert await check_over_http(world, rpc, content_type, str(tmp_path))


def test_every_route_has_cases() -> None:
    assert {rpc.name for rpc in TABLED} == set(RULES)
