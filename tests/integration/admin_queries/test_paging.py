"""Going through a long list: tokens are offsets, and whoever goes on with one goes on behind the last row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_admin.domain.paging import Page
from elevon_admin.store import bookmarks
from elevon_admin.store.bookmarks import Bookmarks
from elevon_admin.store.listing import Order
from elevon_admin.store.registry_tables import tasks
from flyteidl.admin import node_execution_pb2
from flyteidl.service import admin_pb2_grpc

from tests.benchmarks.million import copy_executions, copy_nodes
from tests.integration.admin_executions.harness import NODE, Admin, execution_id, listing, serving
from tests.integration.admin_queries.filled import database_of
from tests.integration.admin_registry.harness import by, plan_id

COPIES, LIMIT = 3_100, 500


@pytest.fixture
async def admin(database_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    async with serving(database_url, tmp_path / "blobs") as running:
        await running.launch(await running.register("w"), "first")
        await running.report_node(execution_id("first"), "n0", NODE.RUNNING, 1)
        await copy_executions(database_url, COPIES)
        yield running


async def page(admin: Admin, token: str, filters: str = "", key: str = "created_at") -> tuple[list[str], str]:
    answer = await admin.stub.ListExecutions(
        listing(limit=LIMIT, token=token, filters=filters, sort_by=by(key, ascending=False))
    )
    return [row.id.name for row in answer.executions], answer.token


@pytest.mark.parametrize(
    ("filters", "key"),
    [
        ("", "created_at"),
        ("", "updated_at"),
        ("", "name"),
        ("", "started_at"),
        ("ne(phase,ABORTED)", "created_at"),
        ("value_in(execution_tag.key,nightly;team;rare)", "created_at"),
        ("contains(workflow.name,w)", "created_at"),
    ],
)
async def test_pages_make_up_the_list_and_tokens_are_offsets(admin: Admin, filters: str, key: str) -> None:
    answer = listing(limit=10_000, filters=filters, sort_by=by(key, ascending=False))
    whole = [row.id.name for row in (await admin.stub.ListExecutions(answer)).executions]
    found: list[str] = []
    token = ""
    while True:
        names, token = await page(admin, token, filters, key)
        found += names
        if not token:
            break
        assert token == str(len(found))
    assert found == whole
    assert len(set(found)) == len(found) > 1_000


async def test_what_comes_meanwhile_repeats_nothing_deep_in_a_list(admin: Admin) -> None:
    seen: list[str] = []
    token = ""
    for number in range(7):
        names, token = await page(admin, token)
        if number >= 3:  # the first pages count, as tokens of every client may be worked out
            assert not set(names) & set(seen)
        seen += names
        await admin.launch(plan_id("w"), f"new{number}")
    assert token == ""
    assert {f"copy{number}" for number in range(COPIES)} <= set(seen)


async def test_a_token_that_no_answer_gave_counts_rows(admin: Admin) -> None:
    names, token = await page(admin, "")
    for _ in range(3):
        names, token = await page(admin, token)
    assert token == "2000"
    await admin.launch(plan_id("w"), "new")
    own_connection = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(admin.app.grpc_address, own_connection) as channel:
        other = replace(admin, stub=admin_pb2_grpc.AdminServiceStub(channel))
        counted, _ = await page(other, "2000")
    again, _ = await page(admin, "2000")
    assert counted[0] == names[-1]
    assert again[0] == counted[1]
    once_more, _ = await page(admin, "2000")
    assert once_more == counted, "a bookmark serves once"


async def test_the_nodes_of_an_execution_are_read_on_from_where_a_page_ended(admin: Admin) -> None:
    await copy_nodes(str(database_of(admin).url.render_as_string(hide_password=False)), 1, COPIES, attempts=False)
    found: list[str] = []
    token = ""
    while token or not found:
        request = node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id=execution_id("copy0"), limit=LIMIT, token=token, sort_by=by("created_at")
        )
        answer = await admin.stub.ListNodeExecutions(request)
        found += [row.id.node_id for row in answer.node_executions]
        token = answer.token
    assert found == [f"n{number}" for number in range(COPIES)]


ORDER = Order((tasks.c.created_at, tasks.c.id), ascending=True)
DEEP = Page(2, offset=bookmarks.NEAR, reader="a")


class Rows:
    """Rows as they are fetched with positions."""

    def __init__(self, position: tuple[int, int]) -> None:
        self._mapping = {"position_0": position[0], "position_1": position[1]}


def leave(kept: Bookmarks, page: Page, order: Order = ORDER) -> None:
    fetched: Any = [Rows((1, 1)), Rows((2, 2)), Rows((3, 3))]
    kept.leave(page, order, fetched, "list")


def test_a_bookmark_is_its_readers_and_its_lists_and_serves_once() -> None:
    kept = Bookmarks()
    leave(kept, DEEP)
    following = replace(DEEP, offset=DEEP.offset + 2)
    assert kept.found(replace(following, reader="b"), "list").after is None
    assert kept.found(following, "another list").after is None
    assert kept.found(replace(following, offset=DEEP.offset + 4), "list").after is None
    assert kept.found(following, "list").after == (2, 2)
    assert kept.found(following, "list").after is None


def test_bookmarks_are_forgotten_by_age_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    kept = Bookmarks(lambda: now)
    leave(kept, DEEP)
    now = bookmarks.KEPT_SECONDS + 1
    assert kept.found(replace(DEEP, offset=DEEP.offset + 2), "list").after is None
    monkeypatch.setattr(bookmarks, "MOST", 2)
    for number in range(3):
        leave(kept, replace(DEEP, reader=str(number)))
    found = [kept.found(replace(DEEP, offset=DEEP.offset + 2, reader=str(number)), "list").after for number in range(3)]
    assert found == [None, (2, 2), (2, 2)]


def test_no_bookmark_is_left_where_rows_are_counted() -> None:
    kept = Bookmarks()
    leave(kept, Page(2, reader="a"))
    leave(kept, replace(DEEP, reader=""))
    leave(kept, DEEP, Order((tasks.c.id.label("x"),), ascending=True))
    assert not kept._kept
