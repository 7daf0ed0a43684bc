"""What holds for every request: errors, limits, other origins, compression, ids, the document."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from flyteidl.admin import execution_pb2
from google.protobuf import json_format
from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information
from openapi_spec_validator import validate

from tests.integration.admin_gateway.harness import BINARY, JSON, World, world
from tests.integration.admin_registry.harness import task

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASKS = "/api/v1/tasks/flytesnacks/development"
ORIGIN = "https://console.example.com"


async def test_no_route_and_no_such_verb(running: World) -> None:
    for path in ("/", "/api/v1", "/api/v1/tasks/", "/api/v2/projects", "/api/v1/projects/a/b"):
        response = await running.http.get(path)
        assert (response.status_code, response.json()["code"]) == (404, 5), path
    for verb in ("DELETE", "PATCH", "HEAD", "OPTIONS"):
        assert (await running.http.request(verb, "/api/v1/projects")).status_code == 501, verb
    for path in ("/api/v1/openapi", "/healthcheck", "/metrics"):
        for verb in ("POST", "DELETE", "OPTIONS"):
            refused = await running.http.request(verb, path)
            assert (refused.status_code, refused.json()["code"]) == (501, 12), (verb, path)
            assert f"{verb} is not available at {path}: use GET" in refused.json()["message"]
    for path in ("/api/v1/openapi", "/healthcheck"):
        assert (await running.http.head(path)).status_code == 200


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{TASKS}?limit=many", "limit"),
        (f"{TASKS}?limit=1&filters=nonsense", "filters"),
        ("/api/v1/named_entities/9/p/d", "resource_type"),
        ("/api/v1/projects/%zz", "hexadecimal"),
        ("/api/v1/projects/%ff", "UTF-8"),
    ],
)
async def test_bad_requests_name_what_is_wrong(running: World, path: str, words: str) -> None:
    response = await running.http.get(path, headers={"Accept": BINARY})
    status = status_pb2.Status.FromString(response.content)
    assert (response.status_code, status.code) == (400, 3)
    assert words in status.message


async def test_enums_by_name_and_by_number(running: World) -> None:
    answers = [
        await running.http.get(f"/api/v1/named_entities/{kind}/flytesnacks/development/w") for kind in ("WORKFLOW", 2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["resourceType"] == "WORKFLOW"


async def test_details_travel_in_both_encodings(running: World) -> None:
    request = {"id": "flytetester", "state": "ARCHIVED"}
    assert (await running.http.put("/api/v1/projects/flytetester", json=request)).status_code == 200
    body = task("t", project="flytetester").SerializeToString()
    headers = {"Content-Type": BINARY}
    response = await running.http.post("/api/v1/tasks", content=body, headers=headers)
    details = status_pb2.Status.FromString(response.content).details
    assert [detail.type_url for detail in details] == ["type.googleapis.com/flyteidl.admin.InactiveProject"]
    response = await running.http.post("/api/v1/tasks", content=body, headers={**headers, "Accept": JSON})
    (detail,) = response.json()["details"]
    assert detail["@type"] == "type.googleapis.com/flyteidl.admin.InactiveProject"
    assert detail["id"] == "flytetester"


async def test_path_fields_win_over_the_body(running: World) -> None:
    body = {"id": {"project": "elsewhere", "name": "other"}, "state": "EXECUTION_ARCHIVED"}
    response = await running.http.put("/api/v1/executions/flytesnacks/development/e1", json=body)
    assert response.status_code == 200, response.text
    found = (await running.http.get("/api/v1/executions/flytesnacks/development/e1")).json()
    assert found["closure"]["stateChangeDetails"]["state"] == "EXECUTION_ARCHIVED"


async def test_registration_in_json(running: World) -> None:
    document = json_format.MessageToDict(task("from-json"))
    unknown = {**document, "unknown": 1}
    strict = await running.http.post("/api/v1/tasks", json=unknown)
    assert strict.status_code == 400
    assert "unknown" in strict.json()["message"]
    content = json.dumps(unknown)
    assert (await running.http.post("/api/v1/tasks", content=content)).json() == {}
    again = await running.http.post("/api/v1/tasks", json=document)
    assert (again.status_code, again.json()["code"]) == (409, 6)
    stored = await running.http.get(f"{TASKS}/from-json/v1", headers={"Accept": JSON})
    template = stored.json()["closure"]["compiled_task"]["template"]
    assert template["task_type_version"] == 0
    assert template["container"]["image"] == "image:1"
    assert (await running.http.get(f"{TASKS}/from-json/v1")).json()["closure"]["compiledTask"]


async def test_bytes_that_are_no_message(running: World) -> None:
    for path in ("/api/v1/tasks", "/api/v1/executions/relaunch"):
        response = await running.http.post(path, content=b"\xff\xff", headers={"Content-Type": BINARY})
        assert response.status_code == 400
    response = await running.http.put("/api/v1/projects/p", content=b"\xff", headers={"Content-Type": BINARY})
    assert "1 bytes are not a" in status_pb2.Status.FromString(response.content).message


async def test_aborting_needs_no_body(running: World) -> None:
    created = await running.http.post("/api/v1/executions/relaunch", json={"id": identifier("e1"), "name": "short"})
    assert created.status_code == 200, created.text
    ended = await running.http.request("DELETE", "/api/v1/executions/flytesnacks/development/short")
    assert ended.status_code == 200, ended.text
    found = await running.http.get("/api/v1/executions/flytesnacks/development/short", headers={"Accept": BINARY})
    assert execution_pb2.Execution.FromString(found.content).closure.HasField("abort_metadata")


def identifier(name: str) -> dict[str, str]:
    return {"project": "flytesnacks", "domain": "development", "name": name}


async def test_a_page_of_another_origin_may_ask(running: World) -> None:
    for method in ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH"):
        asked = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "content-type,flyte-authorization",
        }
        allowed = await running.http.options("/api/v1/executions", headers=asked)
        assert allowed.status_code == 200, allowed.text
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert allowed.headers["access-control-allow-credentials"] == "true"
        assert method in allowed.headers["access-control-allow-methods"]
    refused = await running.http.options("/api/v1/executions", headers={**asked, "Access-Control-Request-Headers": "x"})
    assert refused.status_code == 400


async def test_answers_and_errors_name_the_origin(running: World) -> None:
    for path in ("/api/v1/projects", "/api/v1/projects/none"):
        answer = await running.http.get(path, headers={"Origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]


async def test_answers_are_compressed_when_that_is_accepted(running: World) -> None:
    path = "/api/v1/workflows/flytesnacks/development/w/v1"
    plain = await running.http.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    compressed = await running.http.get(path, headers={"Accept-Encoding": "gzip"})
    assert compressed.headers["content-encoding"] == "gzip"
    assert compressed.json() == plain.json()
    assert int(compressed.headers["content-length"]) < len(plain.content)
    for accepted, encoding in {"gzip;q=0": None, "notgzip": None, "*": "gzip", "GZIP": "gzip"}.items():
        answer = await running.http.get(path, headers={"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == encoding, accepted


async def test_requests_have_ids(running: World) -> None:
    assert (await running.http.get("/api/v1/version")).headers["x-request-id"]
    given = await running.http.get("/nothing", headers={"X-Request-Id": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"


async def test_the_document_is_valid(running: World) -> None:
    answer = await running.http.get("/api/v1/openapi")
    assert answer.headers["content-type"] == "application/json"
    validate(answer.json())
    assert (await running.http.get("/api/v1/openapi")).content == answer.content


async def test_many_at_once_do_not_mix(running: World) -> None:
    async def ask(number: int) -> tuple[Any, str]:
        path = f"/api/v1/projects/none-{number}"
        answer = await running.http.get(path, headers={"X-Request-Id": str(number)})
        return answer.json()["message"], answer.headers["x-request-id"]

    answers = await asyncio.gather(*(ask(number) for number in range(50)))
    assert answers == [(f"project [none-{number}] not found", str(number)) for number in range(50)]


async def test_other_routes_are_left_alone(running: World) -> None:
    assert (await running.http.get("/healthcheck")).json()["status"] == "SERVING"
    assert (await running.http.get("/metrics")).status_code in (200, 404)


async def test_the_settings_count(tmp_path: Path) -> None:
    gateway = {"allowed_origins": [ORIGIN], "compress_from_bytes": 1}
    async with world(tmp_path, gateway=gateway, grpc={"max_message_bytes": 2048}) as small:
        await settings_count(small.http)


async def settings_count(http: httpx.AsyncClient) -> None:
    stranger = await http.get("/api/v1/version", headers={"Origin": "https://elsewhere.example.com"})
    assert "access-control-allow-origin" not in stranger.headers
    known = await http.get("/api/v1/version", headers={"Origin": ORIGIN, "Accept-Encoding": "gzip"})
    assert known.headers["access-control-allow-origin"] == ORIGIN
    assert known.headers["content-encoding"] == "gzip"
    large = await http.post("/api/v1/tasks", content=b"\0" * 2049, headers={"Content-Type": BINARY, "Accept": JSON})
    assert (large.status_code, large.json()["code"]) == (413, 8)
    assert "2048 bytes" in large.json()["message"]


async def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    limits = {"calls_per_second": 0.2, "burst_calls": 50, "wait_seconds": 0}
    async with world(tmp_path, grpc={"limits": limits}) as strict:
        answers = [await strict.http.get("/api/v1/version", headers={"Accept": JSON}) for _ in range(70)]
        assert [answer.status_code for answer in answers[:50]] == [200] * 50
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 1 <= int(refused.headers["retry-after"]) <= 5
        body = refused.json()
        assert body["code"] == 8
        assert body["details"][0]["@type"] == "type.googleapis.com/google.rpc.RetryInfo"
        async with httpx.AsyncClient(base_url=strict.http.base_url, timeout=60) as other:
            assert (await other.get("/api/v1/version")).status_code == 200


async def test_other_origins_can_be_kept_out(tmp_path: Path) -> None:
    async with world(tmp_path, gateway={"allow_cors": False}) as closed:
        answer = await closed.http.get("/api/v1/version", headers={"Origin": ORIGIN})
        assert "access-control-allow-origin" not in answer.headers
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
        assert (await closed.http.options("/api/v1/version", headers=asked)).status_code == 501
