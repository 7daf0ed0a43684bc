"""Pages of strangers in the browser of somebody who can reach the server: what they send changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc import code_pb2, status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

from tests.integration.admin_gateway.harness import BINARY, JSON, world

STRICT = {"allowed_origins": ["loopback"], "refuse_other_origins": True, "allowed_hosts": []}
STRANGER = "https://strange.example.com"
BODY = b'{"project": {"id": "mine", "name": "mine"}}'
OWN_PAGES = (
    "http://localhost:30080", "https://localhost", "http://127.0.0.1:3000", "http://[::1]:8080", "http://console.test:30080",
)  # fmt: skip
OTHER_PAGES = (
    STRANGER, "null", "http://localhost.example.com", "http://127.0.0.1.example.com:80", "http://console.test", "file://",
)  # fmt: skip


async def register(http: httpx.AsyncClient, **headers: str) -> httpx.Response:
    """As a form or a script of any page can: without asking before."""
    return await http.post("/api/v1/projects", content=BODY, headers={"Content-Type": "text/plain", **headers})


def refused(answer: httpx.Response, *words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (403, code_pb2.PERMISSION_DENIED), answer.text
    assert all(word in answer.json()["message"] for word in words)


async def test_pages_of_strangers_change_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, gateway=STRICT, public_url="http://console.test:30080") as strict:
        for origin in OTHER_PAGES:
            refused(await register(strict.http, Origin=origin), origin, "admin.gateway.allowed_origins")
        for verb in ("PUT", "DELETE", "PATCH"):
            refused(await strict.http.request(verb, "/api/v1/projects/flytesnacks", headers={"Origin": STRANGER}))
        binary = await register(strict.http, Origin=STRANGER, Accept=BINARY)
        assert status_pb2.Status.FromString(binary.content).code == code_pb2.PERMISSION_DENIED
        read = await strict.http.get("/api/v1/projects", headers={"Origin": STRANGER})
        assert read.status_code == 200
        assert "access-control-allow-origin" not in read.headers
        assert "mine" not in [each["id"] for each in read.json()["projects"]]
        assert (await register(strict.http)).status_code == 200


@pytest.mark.parametrize("origin", OWN_PAGES)
async def test_pages_of_this_machine_and_of_the_server_may(tmp_path: Path, origin: str) -> None:
    async with world(tmp_path, gateway=STRICT, public_url="http://console.test:30080") as strict:
        assert (await register(strict.http, Origin=origin)).status_code == 200
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        allowed = await strict.http.options("/api/v1/projects", headers=asked)
        assert (allowed.status_code == 200) == ("console" not in origin)


async def test_a_page_under_the_name_of_the_server_may(tmp_path: Path) -> None:
    async with world(tmp_path, gateway={**STRICT, "allowed_hosts": ["Flyte.test"]}) as strict:
        page = {"Host": "flyte.test:81", "Origin": "http://flyte.test:81"}
        assert (await register(strict.http, **page)).status_code == 200
        refused(await register(strict.http, **page | {"Origin": "http://flyte.test"}), "flyte.test")


@pytest.mark.parametrize("path", ["/api/v1/version", "/healthcheck", "/data/x"])
async def test_names_that_anybody_may_point_here_are_refused(tmp_path: Path, path: str) -> None:
    async with world(tmp_path, gateway=STRICT, public_url="http://console.test:30080") as strict:
        for name in (
            "strange.example.com",
            "strange.example.com:30080",
            "localhost.example.com",
            "a@localhost",
            "127.1",
            "[1:2:3]:80",
            "[127.0.0.1]",
        ):
            answer = await strict.http.get(path, headers={"Host": name, "Accept": JSON})
            refused(answer, "Host", name, "admin.gateway.allowed_hosts")
        for name in ("localhost", "LOCALHOST.:1", "a.localhost", "127.0.0.1:9", "[::1]:9", "10.1.2.3", "console.test"):
            answer = await strict.http.get(path, headers={"Host": name})
            assert answer.status_code != 403 or "Host" not in answer.text


@pytest.mark.parametrize(
    "gateway", [{}, {"allowed_origins": ["https://console.example.com"]}, {"allow_cors": False}], ids=str
)
async def test_admin_alone_asks_nobody_where_they_come_from(tmp_path: Path, gateway: dict[str, Any]) -> None:
    async with world(tmp_path, gateway=gateway) as open_to_all:
        assert (await register(open_to_all.http, Origin=STRANGER, Host="flyte.example.com")).status_code == 200
