"""Who serves what: listings, versions, assignments, services that come later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from elevon_core.errors import Internal, Unimplemented
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.connector.fake import FakeConnectorService
from elevon_propeller.plugins.connector.routes import Category, Route, Routes, listing_of, packed, unpacked
from elevon_propeller.plugins.contract import AttemptPhase
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.propeller_connector.conftest import Make, Sink, World, agent, eventually

QUERY = Category("query")


def test_the_default_endpoint_wins_then_the_first_by_name() -> None:
    routes = Routes(["b", "default", "a"], {})
    for name in ("b", "a"):
        routes.replace(name, {QUERY: False})
    assert routes.find(QUERY) == Route("a", QUERY, False)
    routes.replace("default", {QUERY: True})
    assert routes.find(QUERY) == Route("default", QUERY, True)


def test_an_assignment_wins_whatever_is_listed() -> None:
    routes = Routes(["a", "default"], {"query": "a"})
    routes.replace("default", {QUERY: False})
    assert routes.find(QUERY) == Route("a", QUERY, False)
    assert routes.find(Category("query", 5)) == Route("a", Category("query", 5), False)
    routes.replace("a", {QUERY: True})
    assert routes.find(QUERY) == Route("a", QUERY, True)


def test_versions_are_kept_apart() -> None:
    routes = Routes(["a", "b"], {})
    routes.replace("a", {Category("query", 1): False})
    routes.replace("b", {Category("query", 2): True})
    assert routes.find(Category("query", 1)) == Route("a", Category("query", 1), False)
    assert routes.find(Category("query", 2)) == Route("b", Category("query", 2), True)
    assert routes.find(QUERY) is None
    assert routes.versions("query") == [1, 2]
    assert routes.task_types == {"query"}


def test_a_new_listing_replaces_the_one_before() -> None:
    routes = Routes(["a"], {})
    routes.remember("a", {QUERY: False})
    assert routes.unlisted == ["a"]
    assert routes.find(QUERY) is not None
    assert routes.replace("a", {Category("train"): False})
    assert not routes.replace("a", {Category("train"): False})
    assert not routes.unlisted
    assert routes.task_types == {"train"}
    assert routes.find(QUERY) is None


def test_types_without_categories_are_of_version_0() -> None:
    old = connector.Agent(supported_task_types=["old", ""], is_sync=True)
    new = connector.Agent(
        supported_task_types=["new"], supported_task_categories=[connector.TaskCategory(name="new", version=2)]
    )
    assert listing_of([old, new]) == {Category("old", 0): True, Category("new", 2): False}


@given(st.dictionaries(st.builds(Category, st.text(min_size=1), st.integers(0, 100)), st.booleans()))
def test_listings_are_remembered_as_they_are(listing: dict[Category, bool]) -> None:
    assert unpacked(packed(listing)) == listing


async def test_a_connector_that_appears_later_is_found(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    assert "new" not in plugin.task_types
    world.other.agents.append(agent("new"))
    await eventually(lambda: "new" in plugin.task_types)
    await plugin.start(attempt("new"), Sink())
    await eventually(lambda: world.other.created)


async def test_a_task_waits_for_a_service_nobody_knows_yet(world: World, attempt: Make) -> None:
    world.other.leave()
    plugin, sink = await world.plugin(), Sink()
    await plugin.start(attempt("train", 2, outputs=()), sink)
    waiting = await sink.says("no connector is known")
    assert waiting.phase is AttemptPhase.QUEUED
    assert "other:1" in waiting.reason
    assert "default:1" not in waiting.reason
    world.other.come_back()
    await eventually(lambda: world.other.created)


async def test_that_wait_ends_too(world: World, attempt: Make) -> None:
    world.other.leave()
    plugin, sink = await world.plugin(patience=timedelta(milliseconds=30)), Sink()
    await plugin.start(attempt("strange"), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    assert final.error is not None
    assert (final.error.code, final.error.kind) == ("ConnectorUnavailable", core.ExecutionError.SYSTEM)


@pytest.mark.parametrize(
    ("task_type", "version", "words"),
    [("strange", 0, "they serve ['ask', 'query', 'train']"), ("train", 1, "served in versions [2]")],
)
async def test_what_nobody_serves_fails_for_good(
    world: World, attempt: Make, task_type: str, version: int, words: str
) -> None:
    plugin, sink = await world.plugin(), Sink()
    await plugin.start(attempt(task_type, version), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.PERMANENT_FAILURE
    assert final.error is not None
    assert final.error.code == "UnsupportedTaskType"
    assert words in final.error.message


async def test_a_service_that_cannot_list_gets_what_is_assigned(world: World, attempt: Make) -> None:
    world.default = FakeConnectorService()
    world.default.fail("ListAgents", *[Unimplemented("no such method")] * 1000)
    plugin = await world.plugin(task_types={"special": "default"})
    assert plugin.task_types == {"special", "query", "train"}
    await plugin.start(attempt("special"), Sink())
    await eventually(lambda: world.default.created)


async def test_types_stay_while_their_service_is_away_or_fails_to_list(world: World) -> None:
    plugin = await world.plugin()
    world.default.fail("ListAgents", Internal("broken"))
    world.other.leave()
    await eventually(lambda: not world.default._failures["ListAgents"])
    assert plugin.task_types == {"query", "ask", "train"}
    world.default.leave()
    plugin = await world.restarted(plugin)
    assert plugin.task_types == {"query", "ask", "train"}


async def test_what_was_remembered_of_services_that_are_gone_does_not_count(world: World) -> None:
    world.state.records |= {"routes/former": packed({Category("gone"): False}), "routes/default": b"broken"}
    plugin = await world.plugin()
    assert plugin.task_types == {"query", "ask", "train"}
