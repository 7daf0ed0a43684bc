"""The registry finds the plugin of a task type, or one that says why there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.plugins.registry import Registry, installed_plugins


def plugins() -> list[FakePlugin]:
    return [FakePlugin("one", frozenset({"a", "b"})), FakePlugin("two", frozenset({"c"}))]


def test_a_claimed_type_goes_to_its_claimant_and_any_other_to_the_default() -> None:
    registry = Registry(plugins(), default="two")
    assert [registry.resolve(task_type).id for task_type in ("a", "c", "strange")] == ["one", "two", "two"]


def test_an_assignment_beats_a_claim() -> None:
    assert Registry(plugins(), assigned={"a": "two"}).resolve("a").id == "two"


def test_the_first_loaded_plugin_of_an_override_is_taken() -> None:
    override = admin.PluginOverride(task_type="a", plugin_id=["absent", "two"])
    assert Registry(plugins()).resolve("a", [override]).id == "two"
    assert Registry(plugins()).resolve("b", [override]).id == "one"


def test_an_override_without_a_loaded_plugin_may_fall_back() -> None:
    override = admin.PluginOverride(
        task_type="a", plugin_id=["absent"], missing_plugin_behavior=admin.PluginOverride.USE_DEFAULT
    )
    assert Registry(plugins()).resolve("a", [override]).id == "one"


@pytest.mark.parametrize(
    ("task_type", "overrides", "words"),
    [
        ("strange", [], "no plugin runs tasks of type 'strange'"),
        ("a", [admin.PluginOverride(task_type="a", plugin_id=["absent"])], "names ['absent']"),
    ],
)
async def test_where_nothing_fits_the_attempt_fails_for_good(
    attempt_of: Callable[..., Attempt], task_type: str, overrides: list[admin.PluginOverride], words: str
) -> None:
    seen: list[Report] = []
    await Registry(plugins()).resolve(task_type, overrides).start(attempt_of(task_type, {}, {}), seen.append)
    assert [report.phase for report in seen] == [AttemptPhase.PERMANENT_FAILURE]
    assert seen[0].error is not None
    assert seen[0].error.code == "UnsupportedTaskType"
    assert words in seen[0].error.message


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"default": "absent"}, "no such plugin"),
        ({"assigned": {"a": "absent"}}, "no such plugin"),
    ],
)
def test_unknown_ids_are_refused(more: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        Registry(plugins(), **more)  # type: ignore[arg-type]  # keyword arguments of a parametrized test


def test_a_type_claimed_twice_must_be_assigned() -> None:
    rivals = [*plugins(), FakePlugin("three", frozenset({"c"}))]
    with pytest.raises(InvalidArgument, match="claimed by two and three"):
        Registry(rivals)
    assert Registry(rivals, assigned={"c": "three"}).resolve("c").id == "three"


def test_an_id_is_used_once() -> None:
    with pytest.raises(InvalidArgument, match="two plugins have this id"):
        Registry([FakePlugin("one"), FakePlugin("one")])


def test_a_plugin_that_is_not_installed_is_named() -> None:
    with pytest.raises(InvalidArgument, match="not-there"):
        installed_plugins(["not-there"])


def test_tasks_without_a_target_go_to_the_remote_plugin_when_nobody_claims_them() -> None:
    registry = Registry(plugins(), default="one", remote="two")
    assert registry.resolve("strange", (), core.TaskTemplate(type="strange")).id == "two"
    assert registry.resolve("strange", (), core.TaskTemplate(container=core.Container())).id == "one"
    assert registry.resolve("a", (), core.TaskTemplate(type="a")).id == "one"
    assert Registry(plugins(), remote="two").resolve("strange", (), core.TaskTemplate()).id == "two"


async def test_an_attempt_is_ended_by_whoever_may_have_it() -> None:
    first, second = plugins()
    ending = Registry((first, second), default="one", remote="two").resolve("strange")
    await ending.abort("x", "enough")
    await ending.finalize("x")
    for plugin in (first, second):
        assert (plugin.aborted, plugin.finalized) == ([("x", "enough")], ["x"])
