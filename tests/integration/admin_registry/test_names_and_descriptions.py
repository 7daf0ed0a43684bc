"""Named entities and descriptions through the official stub."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_admin.domain.entities import EntityKey
from flyteidl.admin import common_pb2, description_entity_pb2
from flyteidl.core import identifier_pb2

from tests.integration.admin_registry.harness import (
    DOMAIN,
    INVALID,
    MISSING,
    PROJECT,
    Admin,
    by,
    plan,
    refused,
    task,
    task_id,
    workflow,
    workflow_id,
)

TASK, WORKFLOW, LAUNCH_PLAN = identifier_pb2.TASK, identifier_pb2.WORKFLOW, identifier_pb2.LAUNCH_PLAN
NAMED_ACTIVE, ARCHIVED = common_pb2.NAMED_ENTITY_ACTIVE, common_pb2.NAMED_ENTITY_ARCHIVED


def name_id(name: str = "t") -> common_pb2.NamedEntityIdentifier:
    return common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def update(name: str = "t", kind: int = TASK, **metadata: Any) -> common_pb2.NamedEntityUpdateRequest:
    return common_pb2.NamedEntityUpdateRequest(
        resource_type=kind, id=name_id(name), metadata=common_pb2.NamedEntityMetadata(**metadata)
    )


async def get(admin: Admin, name: str = "t", kind: int = TASK) -> common_pb2.NamedEntity:
    request = common_pb2.NamedEntityGetRequest(resource_type=kind, id=name_id(name))
    found: common_pb2.NamedEntity = await admin.stub.GetNamedEntity(request)
    return found


def names_request(kind: int = TASK, **fields: Any) -> common_pb2.NamedEntityListRequest:
    scope = {"resource_type": kind, "project": PROJECT, "domain": DOMAIN, "limit": 10}
    return common_pb2.NamedEntityListRequest(**{**scope, **fields})


async def listed(admin: Admin, kind: int = TASK, **fields: Any) -> list[str]:
    found = await admin.stub.ListNamedEntities(names_request(kind, **fields))
    return [entity.id.name for entity in found.entities]


@pytest.fixture
async def named(admin: Admin) -> Admin:
    """Tasks s, t (twice) and u, a workflow and a launch plan of the name w."""
    await admin.register(task("s"), task("t"), task("t", "v2"), task("u"), workflow(), plan())
    return admin


async def test_a_name_has_metadata_from_its_first_registration_on(named: Admin) -> None:
    found = await get(named)

    assert found == common_pb2.NamedEntity(
        resource_type=TASK, id=name_id(), metadata=common_pb2.NamedEntityMetadata(state=NAMED_ACTIVE)
    )
    for name, kind in (("absent", TASK), ("t", WORKFLOW), ("t", identifier_pb2.DATASET)):
        await refused(get(named, name, kind), MISSING, "entry not found")


async def test_an_update_writes_the_state_and_keeps_an_omitted_description(named: Admin) -> None:
    await named.stub.UpdateNamedEntity(update(description="adds", state=ARCHIVED))
    assert (await get(named)).metadata == common_pb2.NamedEntityMetadata(description="adds", state=ARCHIVED)

    await named.stub.UpdateNamedEntity(update())
    assert (await get(named)).metadata == common_pb2.NamedEntityMetadata(description="adds", state=NAMED_ACTIVE)
    await named.register(task("t", "v3"))
    assert (await get(named)).metadata.description == "adds"


async def test_bad_updates_are_refused_and_change_nothing(named: Admin) -> None:
    no_metadata, no_id, nameless, no_kind = update(), update(), update(), update()
    no_metadata.ClearField("metadata")
    no_id.ClearField("id")
    nameless.id.name = ""
    no_kind.resource_type = 0
    for request, words in (
        (no_metadata, "missing metadata"),
        (no_id, "missing id"),
        (nameless, "missing name"),
        (no_kind, "missing resource_type"),
        (update(kind=9), "resource_type"),
        (update(state=7), "state"),
        (update(description="d" * 301), "300 characters"),
        (update(description="a\0b"), "NUL"),
        (update(kind=identifier_pb2.DATASET, state=ARCHIVED), "Resource [DATASET] cannot have its state updated"),
    ):
        await refused(named.stub.UpdateNamedEntity(request), INVALID, words)
    await refused(named.stub.UpdateNamedEntity(update("absent")), MISSING, "entry not found")
    assert (await get(named)).metadata == common_pb2.NamedEntityMetadata()


async def test_names_are_listed_sorted_paged_and_filtered_before_they_are_paged(named: Admin) -> None:
    await named.stub.UpdateNamedEntity(update("s", state=ARCHIVED))

    assert await listed(named) == ["s", "t", "u"]
    assert await listed(named, sort_by=by("name", ascending=False)) == ["u", "t", "s"]
    assert await listed(named, filters="eq(state,0)", limit=1) == ["t"]
    assert await listed(named, filters="eq(named_entity_metadata.state, 0)") == ["t", "u"]
    assert await listed(named, filters="eq(named_entity_metadata.state, 1)") == ["s"]
    assert await listed(named, filters="contains(entities.name,t)") == ["t"]
    assert await listed(named, WORKFLOW) == ["w"]
    assert await listed(named, LAUNCH_PLAN) == ["w"]
    page = await named.stub.ListNamedEntities(names_request(limit=2))
    assert ([entity.id.name for entity in page.entities], page.token) == (["s", "t"], "2")


async def test_bad_lists_are_refused(named: Admin) -> None:
    for request, words in (
        (names_request(identifier_pb2.DATASET), "resource_type"),
        (names_request(limit=0), "invalid value for limit"),
        (names_request(project=""), "missing project"),
        (names_request(filters="eq(version,v1)"), "'nen.version' is invalid filter"),
        (names_request(filters="eq(task.name,v1)"), "'t' entity is not allowed in filters"),
    ):
        await refused(named.stub.ListNamedEntities(request), INVALID, words)


async def test_generated_names_are_hidden_unless_something_is_filtered(named: Admin) -> None:
    await named.app.registry.single_tasks.launch_parts(EntityKey(PROJECT, DOMAIN, "t", "v1"))

    assert await listed(named, WORKFLOW) == ["w"]
    assert await listed(named, WORKFLOW, filters="ne(name,x)") == [".flytegen.t", "w"]
    generated = await get(named, ".flytegen.t", WORKFLOW)
    assert generated.metadata.state == common_pb2.SYSTEM_GENERATED


async def test_descriptions_are_kept_by_kind_and_version(admin: Admin) -> None:
    described = task("x", description="a task")
    described.spec.description.source_code.link = "https://example.com/x"
    await admin.register(described, workflow("x", calls=task_id("x"), description="a workflow"))

    found = await admin.stub.GetDescriptionEntity(common_pb2.ObjectGetRequest(id=task_id("x")))
    assert found.id == task_id("x")
    assert found.short_description == "a task"
    assert found.long_description.value == "a task, at length"
    assert found.source_code.link == "https://example.com/x"
    found = await admin.stub.GetDescriptionEntity(common_pb2.ObjectGetRequest(id=workflow_id("x")))
    assert (found.id, found.short_description) == (workflow_id("x"), "a workflow")


async def test_descriptions_of_a_name_are_listed(admin: Admin) -> None:
    for version in ("v1", "v2", "v3"):
        await admin.register(task("x", version, description=f"of {version}"))
    await admin.register(task("y", description="of y"))

    def request(**fields: Any) -> description_entity_pb2.DescriptionEntityListRequest:
        given = {"resource_type": TASK, "id": name_id("x"), "limit": 10, **fields}
        return description_entity_pb2.DescriptionEntityListRequest(**given)

    found = await admin.stub.ListDescriptionEntities(request())
    assert [each.short_description for each in found.descriptionEntities] == ["of v1", "of v2", "of v3"]
    found = await admin.stub.ListDescriptionEntities(
        request(filters="ne(task.version,v2)", sort_by=by("version", ascending=False), limit=1)
    )
    assert ([each.id.version for each in found.descriptionEntities], found.token) == (["v3"], "1")
    found = await admin.stub.ListDescriptionEntities(request(id=name_id("")))
    assert [each.short_description for each in found.descriptionEntities] == ["of v1", "of v2", "of v3", "of y"]
    for bad, words in (
        (request(resource_type=0), "resource_type"),
        (request(limit=0), "invalid value for limit"),
        (request(filters="eq(type,x)"), "'t.type' is invalid filter"),
    ):
        await refused(admin.stub.ListDescriptionEntities(bad), INVALID, words)


async def test_what_was_not_described_is_not_found(admin: Admin) -> None:
    await admin.register(task("x"))
    absent = common_pb2.ObjectGetRequest(id=task_id("x"))
    await refused(admin.stub.GetDescriptionEntity(absent), MISSING, "entry not found")
    absent.id.resource_type = 0
    await refused(admin.stub.GetDescriptionEntity(absent), INVALID, "missing resource_type")
    await refused(admin.stub.GetDescriptionEntity(common_pb2.ObjectGetRequest()), INVALID, "missing id")
