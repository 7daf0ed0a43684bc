"""Which attributes count, against a plain reading of the rules; and what is remembered of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from elevon_admin.domain.attributes import (
    AttributeScope,
    StoredAttributes,
    assigned_pool,
    check_scope,
    replaced,
    resource_type_of,
)
from elevon_admin.domain.execution_queues import ExecutionQueues
from elevon_admin.store.attributes_memory import MemoryAttributes
from elevon_admin.usecases.attribute_lookup import FRESH, AttributeLookup, RememberedAttributes, most_specific
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from hypothesis import given
from hypothesis import strategies as st

PARTS = st.sampled_from(["", "a", "b"])
SOME = st.sampled_from(["a", "b"])
ANY = st.just("")
STORED = st.one_of(
    st.builds(AttributeScope, SOME, ANY, ANY, ANY),
    st.builds(AttributeScope, SOME, SOME, ANY, ANY),
    st.builds(AttributeScope, SOME, SOME, SOME, ANY),
    st.builds(AttributeScope, SOME, SOME, SOME, SOME),
)
KINDS = st.sampled_from([admin.TASK_RESOURCE, admin.CLUSTER_RESOURCE, admin.WORKFLOW_EXECUTION_CONFIG])
PRIORITIES = {1: 5, 2: 10, 3: 100, 4: 1000}


def expected(rows: set[tuple[AttributeScope, int]], asked: AttributeScope, kind: int) -> AttributeScope | None:
    """All rows that match in every part, the highest priority of the table first."""
    matching = [
        scope
        for scope, own in rows
        if own == kind and all(part in ("", wanted) for part, wanted in zip(scope, asked, strict=True))
    ]
    return max(matching, key=lambda scope: PRIORITIES[sum(bool(part) for part in scope)], default=None)


@given(
    rows=st.sets(st.tuples(STORED, KINDS), max_size=20),
    asked=st.builds(AttributeScope, SOME, PARTS, PARTS, PARTS),
    kind=KINDS,
)
def test_the_most_specific_row_that_matches_wins_whole(rows: Any, asked: AttributeScope, kind: Any) -> None:
    settings = {(own, scope): StoredAttributes(scope, own, admin.MatchingAttributes()) for scope, own in rows}

    found = most_specific(settings, asked, kind)

    assert (None if found is None else found.scope) == expected(rows, asked, kind)


@given(st.lists(STORED, unique=True))
def test_priorities_are_those_of_the_table(scopes: list[AttributeScope]) -> None:
    assert [scope.priority for scope in scopes] == [PRIORITIES[sum(bool(part) for part in scope)] for scope in scopes]


OVERRIDES = st.lists(
    st.builds(
        lambda kind, plugin: admin.PluginOverride(task_type=kind, plugin_id=[plugin]), st.sampled_from("abcd"), SOME
    ),
    max_size=6,
)


def overriding(overrides: list[admin.PluginOverride]) -> admin.MatchingAttributes:
    return admin.MatchingAttributes(plugin_overrides=admin.PluginOverrides(overrides=overrides))


@given(present=st.none() | OVERRIDES, update=OVERRIDES)
def test_plugin_overrides_are_merged_by_task_type_in_a_stable_order(present: Any, update: Any) -> None:
    stored = None if present is None else replaced(None, overriding(present))
    merged = replaced(stored, overriding(update)).plugin_overrides.overrides

    reference: list[tuple[str, list[str]]] = []
    for override in [*(present or []), *update]:
        for index, (task_type, _) in enumerate(reference):
            if task_type == override.task_type:
                reference[index] = (task_type, list(override.plugin_id))
                break
        else:
            reference.append((override.task_type, list(override.plugin_id)))
    assert [(each.task_type, list(each.plugin_id)) for each in merged] == reference


def config(parallelism: int) -> admin.MatchingAttributes:
    return admin.MatchingAttributes(
        workflow_execution_config=admin.WorkflowExecutionConfig(max_parallelism=parallelism)
    )


def limits(cpu: str) -> admin.MatchingAttributes:
    spec = admin.TaskResourceSpec(cpu=cpu)
    return admin.MatchingAttributes(task_resource_attributes=admin.TaskResourceAttributes(limits=spec))


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1

    def __call__(self) -> int:
        return self.now


async def stored(repository: Any, scope: AttributeScope, value: admin.MatchingAttributes) -> None:
    await repository.put(scope, resource_type_of(value, scope), lambda present: value, 1)


def of_workflow(name: str = "w", project: str = "p", domain: str = "d") -> core.Identifier:
    return core.Identifier(resource_type=core.WORKFLOW, project=project, domain=domain, name=name, version="v")


@given(rows=st.sets(STORED, max_size=10), project=SOME, domain=SOME, workflow=SOME)
def test_execution_settings_are_the_most_specific_then_the_projects(
    rows: set[AttributeScope], project: str, domain: str, workflow: str
) -> None:
    numbers = {scope: number for number, scope in enumerate(sorted(rows), 1)}

    async def run() -> list[int]:
        repository = RememberedAttributes(MemoryAttributes(), lambda: 0)
        for scope, number in numbers.items():
            await stored(repository, scope, config(number))
        lookup = AttributeLookup(repository, admin.TaskResourceSpec())
        found = await lookup.for_launch(project, domain, of_workflow(workflow, project, domain), "")
        return [each.max_parallelism for each in found.execution_configs]

    asked = AttributeScope(project, domain, workflow)
    best = expected(
        {(scope, admin.WORKFLOW_EXECUTION_CONFIG) for scope in rows}, asked, admin.WORKFLOW_EXECUTION_CONFIG
    )
    own = AttributeScope(project)
    order = [best, *([own] if own in rows and own != best else [])]
    assert asyncio.run(run()) == [numbers[scope] for scope in order if scope is not None]


async def test_everything_about_a_launch_comes_from_its_scope() -> None:
    repository = RememberedAttributes(MemoryAttributes(), lambda: 0)
    lookup = AttributeLookup(repository, admin.TaskResourceSpec(cpu="9"))
    workflow = AttributeScope("p", "d", "w")
    await stored(repository, workflow, overriding([admin.PluginOverride(task_type="t", plugin_id=["x"])]))
    await stored(repository, workflow, limits("1"))
    queue = admin.MatchingAttributes(execution_queue_attributes=admin.ExecutionQueueAttributes(tags=["q"]))
    await stored(repository, AttributeScope("p", "d"), queue)
    pool = admin.MatchingAttributes(cluster_assignment=admin.ClusterAssignment(cluster_pool_name="c"))
    await stored(repository, AttributeScope("p"), pool)

    found = await lookup.for_launch("p", "d", of_workflow(), "l")
    assert [each.task_type for each in found.plugin_overrides] == ["t"]
    assert found.task_resources is not None
    assert found.task_resources.limits.cpu == "1"
    assert (list(found.queue_tags), found.cluster_pool) == (["q"], "c")

    elsewhere = await lookup.for_launch("p", "d", of_workflow(domain="elsewhere"), "l")
    assert elsewhere.task_resources is None, "resources are those of the place the workflow is registered in"
    assert [each.task_type for each in elsewhere.plugin_overrides] == ["t"]
    foreign = await lookup.for_launch("other", "d", of_workflow(), "")
    assert foreign.task_resources is not None
    assert not foreign.plugin_overrides


async def test_limits_of_a_domain_replace_those_of_the_settings_whole() -> None:
    repository = RememberedAttributes(MemoryAttributes(), lambda: 0)
    lookup = AttributeLookup(repository, admin.TaskResourceSpec(cpu="9", memory="1Gi"))
    await stored(repository, AttributeScope("p", "d", "w"), limits("1"))
    assert await lookup.task_resource_limits("p", "d") == admin.TaskResourceSpec(cpu="9", memory="1Gi")
    await stored(repository, AttributeScope("p", "d"), limits("2"))
    assert await lookup.task_resource_limits("p", "d") == admin.TaskResourceSpec(cpu="2")
    assert await lookup.task_resource_limits("p", "e") == admin.TaskResourceSpec(cpu="9", memory="1Gi")


async def test_a_project_is_read_once_a_second_and_after_each_change() -> None:
    memory, clock = MemoryAttributes(), Clock()
    repository = RememberedAttributes(memory, clock)
    lookup = AttributeLookup(repository, admin.TaskResourceSpec())
    for _ in range(3):
        await lookup.for_launch("p", "d", of_workflow(), "")
    assert memory.reads == 1

    await stored(memory, AttributeScope("p"), limits("1"))  # another replica
    assert await lookup.task_resource_limits("p", "d") == admin.TaskResourceSpec()
    clock.now += FRESH
    assert (await lookup.task_resource_limits("p", "d")).cpu == "1"

    await stored(repository, AttributeScope("p"), limits("2"))
    assert (await lookup.task_resource_limits("p", "d")).cpu == "2"
    await repository.delete(AttributeScope("p"), admin.TASK_RESOURCE)
    assert await lookup.task_resource_limits("p", "d") == admin.TaskResourceSpec()


class Slow(MemoryAttributes):
    """Answers a look-up of a project only when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.answer = asyncio.Event(), asyncio.Event()

    async def of_project(self, project: str) -> Sequence[StoredAttributes]:
        found = await super().of_project(project)
        self.reading.set()
        await self.answer.wait()
        return found


async def test_a_look_up_overtaken_by_a_change_is_not_remembered() -> None:
    slow = Slow()
    repository = RememberedAttributes(slow, lambda: 0)
    lookup = AttributeLookup(repository, admin.TaskResourceSpec())
    early = asyncio.create_task(lookup.task_resource_limits("p", "d"))
    await slow.reading.wait()
    await stored(repository, AttributeScope("p"), limits("1"))
    slow.answer.set()

    assert await early == admin.TaskResourceSpec()
    assert (await lookup.task_resource_limits("p", "d")).cpu == "1"


def handed_on(envs: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> admin.MatchingAttributes:
    """What executions and their children take over."""
    made = admin.MatchingAttributes()
    made.workflow_execution_config.labels.values.update(labels or {})
    for key, value in (envs or {}).items():
        made.workflow_execution_config.envs.values.add(key=key, value=value)
    return made


def test_names_made_from_tasks_may_be_longer_by_their_beginning() -> None:
    check_scope(AttributeScope("p", "d", ".flytegen." + "w" * 255, ".flytegen." + "w" * 255))
    for scope in (AttributeScope("p", "d", "w" * 256), AttributeScope("p", ".flytegen." + "d" * 250)):
        with pytest.raises(InvalidArgument, match="at most 255 characters"):
            check_scope(scope)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: admin.MatchingAttributes(), "unrecognized matching attributes type for request p-d-w"),
        (
            lambda: admin.MatchingAttributes(quality_of_service=core.QualityOfService(tier=core.QualityOfService.HIGH)),
            "unrecognized matching attributes type for request p-d-w: quality_of_service",
        ),
        (lambda: limits("many"), "task_resource_attributes.limits.cpu: 'many'"),
        (lambda: overriding([admin.PluginOverride()]), r"missing plugin_overrides.overrides\[0\].task_type"),
        (lambda: config(-1), "workflow_execution_config.max_parallelism: '-1'"),
        (lambda: handed_on(envs={"A=b": "x"}), r"workflow_execution_config\.envs\[0\]\.key: 'A=b'"),
        (lambda: handed_on(envs={"A": "\0"}), r"workflow_execution_config\.envs\[0\]\.value"),
        (lambda: handed_on(labels={"bad key!!": "x"}), "invalid labels: .*bad key!!"),
    ],
)
def test_what_cannot_be_set_is_refused(make: Callable[[], admin.MatchingAttributes], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        resource_type_of(make(), AttributeScope("p", "d", "w"))


def test_the_pool_is_the_one_asked_for_or_assigned() -> None:
    assert (assigned_pool("", ""), assigned_pool("a", ""), assigned_pool("", "b"), assigned_pool("a", "a")) == (
        "",
        "a",
        "b",
        "a",
    )
    with pytest.raises(InvalidArgument, match=r"cluster_pool_name: 'a'.*'b'"):
        assigned_pool("a", "b")


def test_a_queue_is_that_of_the_first_tag_that_any_queue_has() -> None:
    queues = ExecutionQueues({"q1": ["x"], "q2": ["y"], "q3": ["y"]}, {"d": ["x"], "": ["y"]})
    assert queues.choose(["none", "x"], "other", "e") == "q1"
    assert queues.choose([], "d", "e") == "q1"
    assert queues.choose(["none"], "other", "e") in ("q2", "q3")
    assert {queues.choose(["y"], "d", f"e{number}") for number in range(50)} == {"q2", "q3"}
    assert ExecutionQueues().choose(["x"], "d", "e") == ""
    assert ExecutionQueues({"q": ["x"]}).choose(["y"], "d", "e") == ""
