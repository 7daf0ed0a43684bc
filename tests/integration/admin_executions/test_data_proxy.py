"""Uploads and downloads over real HTTP, and what the data proxy says about them."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

import grpc
import httpx
import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import literals_pb2
from flyteidl.service import dataproxy_pb2
from google.protobuf.duration_pb2 import Duration

from tests.integration.admin_executions.harness import (
    NODE,
    TASK,
    WORKFLOW,
    Admin,
    execution_id,
    integer,
    literals,
    node_id_of,
    serving,
)
from tests.integration.admin_registry.harness import refused

INVALID, EXISTS, MISSING = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.NOT_FOUND,
)
CONTENT = b"print('hello')\n" * 100


def md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def upload(**fields: Any) -> dataproxy_pb2.CreateUploadLocationRequest:
    given = {"project": "flytesnacks", "domain": "development", "filename": "a.py", "content_md5": md5(CONTENT)}
    return dataproxy_pb2.CreateUploadLocationRequest(**{**given, **fields})


@pytest.fixture
async def admin(sqlite_url: str, tmp_path: Path) -> Any:
    async with serving(sqlite_url, tmp_path / "blobs", data={"max_upload_bytes": 1_000_000}) as running:
        yield running


async def put(url: str, content: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.put(url, content=content, headers=headers)


async def get(url: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.request(method, url)


def local(uri: str) -> Path:
    assert uri.startswith("/"), "flytekit reads local files by their plain paths"
    return Path(uri)


def changed(url: str, **parameters: str) -> str:
    """The URL with other query parameters."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    return urlunsplit(parts._replace(query=urlencode(query)))


async def test_an_upload_as_flytekit_does_it(admin: Admin) -> None:
    location = await admin.data.CreateUploadLocation(upload(add_content_md5_metadata=True))
    assert "Content-Length" not in location.headers
    encoded = base64.b64encode(md5(CONTENT)).decode()
    response = await put(location.signed_url, CONTENT, {"Content-MD5": encoded, **location.headers})
    assert response.status_code == 200
    assert local(location.native_url).read_bytes() == CONTENT
    folder = base64.b32encode(md5(CONTENT)).decode()
    assert location.native_url.endswith(f"/flytesnacks/development/{folder}/a.py")
    again = await admin.data.CreateUploadLocation(upload())
    assert again.native_url == location.native_url
    found = await admin.data.CreateDownloadLocation(
        dataproxy_pb2.CreateDownloadLocationRequest(native_url=location.native_url)
    )
    downloaded = await get(found.signed_url)
    assert (downloaded.status_code, downloaded.content) == (200, CONTENT)
    with_scheme = dataproxy_pb2.CreateDownloadLocationRequest(native_url=f"file://{location.native_url}")
    assert (await get((await admin.data.CreateDownloadLocation(with_scheme)).signed_url)).content == CONTENT
    head = await get(found.signed_url, "HEAD")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(CONTENT)))


async def test_a_stream_needs_neither_name_nor_digest(admin: Admin) -> None:
    request = upload(filename="", content_md5=b"", filename_root="folder=")
    first, second = await admin.data.CreateUploadLocation(request), await admin.data.CreateUploadLocation(request)
    assert first.native_url != second.native_url
    assert "/folder=/" in first.native_url
    assert dict(first.headers) == {}
    assert (await put(first.signed_url, b"anything")).status_code == 200
    assert local(first.native_url).read_bytes() == b"anything"


async def test_odd_names_are_taken_literally(admin: Admin) -> None:
    name = "a b%20c#d?e=é.tar.gz"
    location = await admin.data.CreateUploadLocation(upload(filename=name))
    assert (await put(location.signed_url, CONTENT)).status_code == 200
    assert local(location.native_url).name == name
    assert local(location.native_url).is_file()


async def test_content_that_does_not_fit_is_refused_and_leaves_nothing(admin: Admin, tmp_path: Path) -> None:
    location = await admin.data.CreateUploadLocation(upload())
    assert (await put(location.signed_url, b"other")).status_code == 400
    wrong = {"Content-MD5": base64.b64encode(md5(b"other")).decode()}
    assert (await put(location.signed_url, b"other", wrong)).status_code == 400
    free = await admin.data.CreateUploadLocation(upload(content_md5=b"", filename_root="r"))
    assert (await put(free.signed_url, b"x" * 1_000_001)).status_code == 413
    assert (await put(free.signed_url, b"x", {"Content-MD5": "not base64!"})).status_code == 400
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


async def test_tampered_and_expired_addresses_are_refused(admin: Admin, tmp_path: Path) -> None:
    location = await admin.data.CreateUploadLocation(upload())
    url = location.signed_url
    signature = parse_qs(urlsplit(url).query)["signature"][0]
    flipped = ("0" if signature[0] != "0" else "1") + signature[1:]
    for bad in (
        changed(url, signature=flipped),
        changed(url, signature=""),
        changed(url, signature="é"),
        changed(url, expires="99999999999"),
        changed(url, expires="x"),
        changed(url, md5=""),
        url.replace("a.py", "b.py"),
        url.split("?")[0],
    ):
        assert (await put(bad, CONTENT)).status_code == 403, bad
    assert (await get(url)).status_code == 403
    assert (await get(url.replace("a.py", quote("../../secret")))).status_code == 403
    short = await admin.data.CreateUploadLocation(upload(expires_in=Duration(nanos=1_000)))
    assert (await put(short.signed_url, CONTENT)).status_code == 403
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.post(url, content=CONTENT)).status_code in (404, 405)
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


async def test_signed_paths_never_lead_out(admin: Admin, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir(exist_ok=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "blobs" / "link").symlink_to(outside)
    base = f"file://{tmp_path}/blobs"
    call = admin.data.CreateDownloadLocation
    for uri in (
        f"{base}/../outside/secret",
        f"file://{outside}/secret",
        "file:///etc/passwd",
        "s3://bucket/key",
        f"{base}-other/x",
        base,
        "nonsense",
    ):
        await refused(call(dataproxy_pb2.CreateDownloadLocationRequest(native_url=uri)), INVALID)
    await refused(call(dataproxy_pb2.CreateDownloadLocationRequest()), INVALID, "missing native_url")
    followed = await call(dataproxy_pb2.CreateDownloadLocationRequest(native_url=f"{base}/link/secret"))
    assert (await get(followed.signed_url)).status_code == 403
    absent = await call(dataproxy_pb2.CreateDownloadLocationRequest(native_url=f"{base}/absent"))
    assert (await get(absent.signed_url)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"project": ""}, "project"),
        ({"domain": ""}, "domain"),
        ({"content_md5": b""}, "content_md5 or filename_root"),
        ({"content_md5": b"short"}, "content_md5"),
        ({"filename": "../x"}, "filename"),
        ({"filename": "a/../../x"}, "filename"),
        ({"filename": "/etc/passwd"}, "filename"),
        ({"filename": "a\0b"}, "filename"),
        ({"filename": "a\\b"}, "filename"),
        ({"filename": "x" * 256}, "filename"),
        ({"filename_root": ".."}, "filename_root"),
        ({"filename_root": "a//b"}, "filename_root"),
        ({"project": ".."}, "project"),
        ({"domain": "a/b"}, "domain"),
        ({"org": ".."}, "org"),
        ({"expires_in": Duration(seconds=-1)}, "expires_in"),
        ({"expires_in": Duration(seconds=3601)}, "expires_in"),
        ({"expires_in": Duration(seconds=3600, nanos=1)}, "at most 3600 seconds"),
        ({"expires_in": Duration(seconds=2**60)}, "expires_in"),
        ({"expires_in": Duration(seconds=1, nanos=-5)}, "expires_in"),
    ],
)
async def test_bad_upload_requests_are_refused(admin: Admin, fields: dict[str, Any], word: str) -> None:
    await refused(admin.data.CreateUploadLocation(upload(**fields)), INVALID, word)


async def test_no_time_is_the_longest_there_is(admin: Admin) -> None:
    location = await admin.data.CreateUploadLocation(upload(expires_in=Duration()))
    assert abs(location.expires_at.ToSeconds() - time.time() - 3600) < 60
    assert (await put(location.signed_url, CONTENT)).status_code == 200


async def test_below_a_file_there_is_no_place(admin: Admin) -> None:
    above = await admin.data.CreateUploadLocation(upload(filename_root="root", filename="a"))
    assert (await put(above.signed_url, CONTENT)).status_code == 200
    below = await admin.data.CreateUploadLocation(upload(filename_root="root/a", filename="c"))
    answer = await put(below.signed_url, CONTENT)
    assert answer.status_code == 400
    assert "a part of it is a file" in answer.text
    assert local(above.native_url).read_bytes() == CONTENT


async def test_names_that_no_file_can_have_are_refused(admin: Admin) -> None:
    there = await admin.data.CreateUploadLocation(upload(filename_root="root/b", filename="c"))
    assert (await put(there.signed_url, CONTENT)).status_code == 200
    folder = await admin.data.CreateUploadLocation(upload(filename_root="root", filename="b"))
    answer = await put(folder.signed_url, CONTENT)
    assert (answer.status_code, "it is a folder" in answer.text) == (400, True)
    for uri in (folder.native_url, folder.native_url + "x" * 300):
        link = await admin.data.CreateDownloadLocation(dataproxy_pb2.CreateDownloadLocationRequest(native_url=uri))
        assert (await get(link.signed_url)).status_code == 404


async def test_a_deck_that_lies_elsewhere_is_not_shown(admin: Admin) -> None:
    identifier = await admin.launch(await admin.register(), "x")
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1, deck_uri="s3://elsewhere/deck.html")
    request = dataproxy_pb2.CreateDownloadLinkRequest(
        artifact_type=1, node_execution_id=node_id_of(identifier, "n0"), expires_in=Duration()
    )
    code = grpc.StatusCode.FAILED_PRECONDITION
    await refused(admin.data.CreateDownloadLink(request), code, "s3://elsewhere/deck.html", ":x:n0")


async def test_a_named_place_is_given_again_only_for_the_same_content(admin: Admin) -> None:
    request = upload(filename_root="root")
    location = await admin.data.CreateUploadLocation(request)
    assert (await put(location.signed_url, CONTENT)).status_code == 200
    await admin.data.CreateUploadLocation(request)
    other = upload(filename_root="root", content_md5=md5(b"other"))
    await refused(admin.data.CreateUploadLocation(other), EXISTS)
    await refused(admin.data.CreateUploadLocation(upload(filename_root="root", content_md5=b"")), EXISTS)


async def test_addresses_stay_good_over_a_restart_and_name_the_public_host(sqlite_url: str, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    choices: tuple[dict[str, Any], ...] = ({}, {"signing_key_file": str(key_file)})
    for flags in choices:
        async with serving(sqlite_url, tmp_path / "blobs", **flags) as admin:
            location = await admin.data.CreateUploadLocation(upload())
        public: dict[str, Any] = {"public_url": "https://elevon.example.com/"}
        async with serving(sqlite_url, tmp_path / "blobs", **flags, **public) as admin:
            parts = urlsplit(location.signed_url)._replace(netloc=admin.app.http_address)
            assert (await put(urlunsplit(parts), CONTENT)).status_code == 200
            named = await admin.data.CreateUploadLocation(upload())
            assert named.signed_url.startswith("https://elevon.example.com/data/")
    assert key_file.stat().st_mode & 0o077 == 0


async def test_data_by_flyte_url(admin: Admin, tmp_path: Path) -> None:
    identifier = await admin.launch(await admin.register(), "x")
    deck = tmp_path / "blobs" / "deck.html"
    deck.parent.mkdir(exist_ok=True)
    uri = f"file://{deck}"
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1, input_data=literals(a=1), deck_uri=uri)
    await admin.report_task(identifier, "n0", TASK.SUCCEEDED, 1, output_data=literals(o0=2), retry_attempt=0)
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 2, output_data=literals(o0=2))
    await admin.report_node(identifier, "n1", NODE.RUNNING, 1)
    base = "flyte://v1/flytesnacks/development/x"

    async def data(url: str) -> dataproxy_pb2.GetDataResponse:
        return await admin.data.GetData(dataproxy_pb2.GetDataRequest(flyte_url=url))

    assert (await data(f"{base}/n0/i")).literal_map == literals(a=1)
    assert (await data(f"{base}/n0/o")).literal_map == literals(o0=2)
    assert (await data(f"{base}/n0/0/o/o0")).literal == integer(2)
    await refused(data(f"{base}/n0/d"), MISSING, "object not found")
    deck.write_text("<html>deck</html>")
    page = await get((await data(f"{base}/n0/d")).pre_signed_urls.signed_url[0])
    assert (page.text, page.headers["content-type"].split(";")[0]) == ("<html>deck</html>", "text/html")
    assert page.headers["content-security-policy"] == "sandbox allow-scripts"
    link = await admin.data.CreateDownloadLink(
        dataproxy_pb2.CreateDownloadLinkRequest(artifact_type=1, node_execution_id=node_id_of(identifier, "n0"))
    )
    assert list(link.signed_url) == list(link.pre_signed_urls.signed_url)
    assert (await get(link.signed_url[0])).status_code == 200
    await refused(data(""), INVALID)
    await refused(data("http://elsewhere"), INVALID)
    await refused(data(f"{base}/n0/x"), INVALID)
    await refused(data(f"{base}/n0/0/d"), INVALID)
    await refused(data(f"{base}/n0/5/o"), INVALID, "attempt")
    await refused(data(f"{base}/n0/o/absent"), INVALID, "absent")
    await refused(data(f"{base}/absent/o"), MISSING)
    await refused(data(f"{base}/n1/d"), MISSING, "no deckUrl found")
    call = admin.data.CreateDownloadLink
    node = node_id_of(execution_id("x"), "absent")
    await refused(call(dataproxy_pb2.CreateDownloadLinkRequest(node_execution_id=node)), INVALID, "artifact_type")
    await refused(call(dataproxy_pb2.CreateDownloadLinkRequest(artifact_type=1)), INVALID, "node_execution_id")
    await refused(
        call(dataproxy_pb2.CreateDownloadLinkRequest(artifact_type=1, node_execution_id=node)), INVALID, "absent"
    )


@pytest.fixture
def in_bucket(s3_endpoint: str, s3_bucket: str) -> Mapping[str, str]:
    """Settings of blobs in an object store."""
    return {
        "container": f"s3://{s3_bucket}/base",
        "s3_endpoint": s3_endpoint,
        "s3_access_key_id": "test",
        "s3_secret_access_key": "test",
    }


async def test_an_object_store_signs_for_itself(
    sqlite_url: str, tmp_path: Path, in_bucket: Mapping[str, str], s3_bucket: str
) -> None:
    async with serving(sqlite_url, tmp_path, blobs=in_bucket) as admin:
        location = await admin.data.CreateUploadLocation(upload())
        assert location.native_url.startswith(f"s3://{s3_bucket}/base/flytesnacks/")
        assert (await put(location.signed_url, CONTENT, dict(location.headers))).status_code == 200
        found = await admin.data.CreateDownloadLocation(
            dataproxy_pb2.CreateDownloadLocationRequest(native_url=location.native_url)
        )
        assert (await get(found.signed_url)).content == CONTENT
        elsewhere = dataproxy_pb2.CreateDownloadLocationRequest(native_url="s3://other/key")
        await refused(admin.data.CreateDownloadLocation(elsewhere), INVALID)


async def test_large_outputs_in_an_object_store_are_downloaded_from_there(
    sqlite_url: str, tmp_path: Path, in_bucket: Mapping[str, str]
) -> None:
    async with serving(sqlite_url, tmp_path, blobs=in_bucket, data={"max_literal_bytes": 1024}) as admin:
        large = literals_pb2.LiteralMap()
        large.literals["o0"].scalar.primitive.string_value = "x" * 5000
        content = large.SerializeToString()
        location = await admin.data.CreateUploadLocation(upload(content_md5=md5(content)))
        assert (await put(location.signed_url, content, dict(location.headers))).status_code == 200
        identifier = await admin.launch(await admin.register(), "x")
        await admin.report(identifier, WORKFLOW.SUCCEEDED, 1, output_uri=location.native_url)
        data = await admin.stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=identifier))
        assert data.outputs.bytes == len(content)
        async with httpx.AsyncClient(follow_redirects=True, timeout=60) as client:
            answer = await client.get(data.outputs.url)
        assert answer.content == content
        assert answer.history[0].headers["access-control-allow-origin"] == "*"
        assert [hop.status_code for hop in answer.history] == [302]
