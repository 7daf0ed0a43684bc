"""What every AttributeRepository does: in memory, on SQLite, on PostgreSQL, and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.attributes import AttributeScope
from elevon_admin.ports import AttributeRepository
from elevon_admin.store.attributes import SqlAttributes
from elevon_admin.store.attributes_memory import MemoryAttributes
from elevon_admin.usecases.attribute_lookup import RememberedAttributes
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database

pytestmark = pytest.mark.schema(MIGRATIONS)

PROJECT = AttributeScope("p")
DOMAIN = AttributeScope("p", "d")
WORKFLOW = AttributeScope("p", "d", "w")


def pool(name: str) -> admin.MatchingAttributes:
    return admin.MatchingAttributes(cluster_assignment=admin.ClusterAssignment(cluster_pool_name=name))


def to(value: admin.MatchingAttributes) -> Callable[[admin.MatchingAttributes | None], admin.MatchingAttributes]:
    return lambda present: value


async def put(repository: AttributeRepository, scope: AttributeScope, name: str) -> None:
    await repository.put(scope, admin.CLUSTER_ASSIGNMENT, to(pool(name)), 1)


async def all_of(repository: AttributeRepository, project: str = "p") -> dict[AttributeScope, str]:
    found = await repository.of_project(project)
    return {each.scope: each.attributes.cluster_assignment.cluster_pool_name for each in found}


@pytest.fixture(params=["memory", "sqlite", "postgresql", "remembered"])
async def repository(request: pytest.FixtureRequest) -> AsyncIterator[AttributeRepository]:
    if request.param == "memory":
        yield MemoryAttributes()
    elif request.param == "remembered":
        yield RememberedAttributes(MemoryAttributes(), lambda: 0)
    else:
        url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
        await MIGRATIONS.upgrade(url)
        database = Database(url)
        await database.open()
        yield SqlAttributes(database)
        await database.close()


async def test_what_is_put_is_found_by_project_with_its_scope(repository: AttributeRepository) -> None:
    await put(repository, PROJECT, "a")
    await put(repository, DOMAIN, "b")
    await put(repository, WORKFLOW, "c")
    await put(repository, AttributeScope("other", "d"), "x")

    assert await all_of(repository) == {PROJECT: "a", DOMAIN: "b", WORKFLOW: "c"}
    assert await all_of(repository, "nobody's") == {}


async def test_a_second_put_replaces_the_first_and_leaves_one(repository: AttributeRepository) -> None:
    await put(repository, DOMAIN, "a")
    await put(repository, DOMAIN, "b")

    assert [each.scope for each in await repository.of_type(admin.CLUSTER_ASSIGNMENT)] == [DOMAIN]
    assert await all_of(repository) == {DOMAIN: "b"}


async def test_a_change_sees_what_is_there(repository: AttributeRepository) -> None:
    seen: list[admin.MatchingAttributes | None] = []

    def change(present: admin.MatchingAttributes | None) -> admin.MatchingAttributes:
        seen.append(present)
        return pool(f"{len(seen)}")

    await repository.put(DOMAIN, admin.CLUSTER_ASSIGNMENT, change, 1)
    await repository.put(DOMAIN, admin.CLUSTER_ASSIGNMENT, change, 2)

    assert seen == [None, pool("1")]


async def test_changes_at_the_same_time_lose_nothing(repository: AttributeRepository) -> None:
    def appending(letter: str) -> Callable[[admin.MatchingAttributes | None], admin.MatchingAttributes]:
        def change(present: admin.MatchingAttributes | None) -> admin.MatchingAttributes:
            before = "" if present is None else present.cluster_assignment.cluster_pool_name
            return pool(before + letter)

        return change

    letters = "abcdefghij"
    await asyncio.gather(*(repository.put(DOMAIN, admin.CLUSTER_ASSIGNMENT, appending(each), 1) for each in letters))

    assert sorted((await all_of(repository))[DOMAIN]) == list(letters)


async def test_a_change_that_fails_changes_nothing(repository: AttributeRepository) -> None:
    def refuse(present: admin.MatchingAttributes | None) -> admin.MatchingAttributes:
        raise InvalidArgument("no")

    with pytest.raises(InvalidArgument, match="no"):
        await repository.put(DOMAIN, admin.CLUSTER_ASSIGNMENT, refuse, 1)
    assert await all_of(repository) == {}

    await put(repository, DOMAIN, "a")
    with pytest.raises(InvalidArgument, match="no"):
        await repository.put(DOMAIN, admin.CLUSTER_ASSIGNMENT, refuse, 1)
    assert await all_of(repository) == {DOMAIN: "a"}


async def test_only_the_exact_scope_and_kind_is_deleted(repository: AttributeRepository) -> None:
    for scope in (PROJECT, DOMAIN, WORKFLOW):
        await put(repository, scope, "a")
    label = admin.MatchingAttributes(execution_cluster_label=admin.ExecutionClusterLabel(value="l"))
    await repository.put(PROJECT, admin.EXECUTION_CLUSTER_LABEL, to(label), 1)

    await repository.delete(PROJECT, admin.CLUSTER_ASSIGNMENT)
    assert set(await all_of(repository)) == {PROJECT, DOMAIN, WORKFLOW}
    assert [each.scope for each in await repository.of_type(admin.EXECUTION_CLUSTER_LABEL)] == [PROJECT]
    await repository.delete(DOMAIN, admin.CLUSTER_ASSIGNMENT)
    await repository.delete(DOMAIN, admin.CLUSTER_ASSIGNMENT)
    assert [each.scope for each in await repository.of_type(admin.CLUSTER_ASSIGNMENT)] == [WORKFLOW]


async def test_lists_of_a_kind_begin_with_the_most_specific(repository: AttributeRepository) -> None:
    plan = AttributeScope("p", "d", "w", "l")
    other = AttributeScope("o")
    for scope in (PROJECT, WORKFLOW, other, plan, DOMAIN):
        await put(repository, scope, "a")

    found = await repository.of_type(admin.CLUSTER_ASSIGNMENT)
    assert [each.scope for each in found] == [plan, WORKFLOW, DOMAIN, other, PROJECT]
    assert await repository.of_type(admin.TASK_RESOURCE) == []
