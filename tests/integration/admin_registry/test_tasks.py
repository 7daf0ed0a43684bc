"""Tasks through the official stub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from flyteidl.admin import common_pb2, task_pb2
from flyteidl.core import identifier_pb2, tasks_pb2
from google.protobuf.struct_pb2 import Struct

from tests.integration.admin_registry.harness import (
    DOMAIN,
    EXISTS,
    INVALID,
    MISSING,
    PROJECT,
    Admin,
    by,
    details_of,
    keys,
    listing,
    refused,
    serving,
    task,
    task_id,
    workflow_id,
)


async def stored(admin: Admin) -> list[str]:
    return keys((await admin.stub.ListTasks(listing(sort_by=by("name")))).tasks)


async def test_a_task_comes_back_as_it_was_registered(admin: Admin) -> None:
    request = task("pkg.t", "v1", description="adds")
    await admin.register(request)

    found = await admin.stub.GetTask(common_pb2.ObjectGetRequest(id=request.id))

    assert found.id == request.id
    assert found.short_description == "adds"
    assert found.closure.created_at.seconds > 0
    template = found.closure.compiled_task.template
    assert template.id == request.id
    request.spec.template.id.CopyFrom(request.id)
    assert template == request.spec.template


async def test_the_id_of_the_request_wins_over_that_of_the_template(admin: Admin) -> None:
    request = task("right")
    request.spec.template.id.CopyFrom(task_id("wrong"))
    await admin.register(request)

    found = await admin.stub.GetTask(common_pb2.ObjectGetRequest(id=task_id("right")))

    assert found.closure.compiled_task.template.id.name == "right"
    await refused(admin.create(request), EXISTS)


async def test_registering_the_same_again_is_already_exists_whatever_its_description(admin: Admin) -> None:
    await admin.register(task(description="old"))

    error = await refused(admin.create(task(description="new")), EXISTS, "task with identical structure already exists")

    assert details_of(error) == []
    found = await admin.stub.GetTask(common_pb2.ObjectGetRequest(id=task_id()))
    assert found.short_description == "old"


async def test_a_different_structure_is_refused_and_what_differs_is_listed(admin: Admin) -> None:
    await admin.register(task(image="image:1"))

    error = await refused(
        admin.create(task(image="image:2")),
        INVALID,
        "t task with different structure already exists. (Please register a new version of the task):",
        "template.container.image: - 'image:1' + 'image:2'",
    )

    assert details_of(error) == []
    found = await admin.stub.GetTask(common_pb2.ObjectGetRequest(id=task_id()))
    assert found.closure.compiled_task.template.container.image == "image:1"


async def test_a_large_difference_is_cut(admin: Admin) -> None:
    one, other = task(), task()
    for number in range(500):
        one.spec.template.container.env.add(key=f"K{number}", value="x" * 300)
        other.spec.template.container.env.add(key=f"K{number}", value="y" * 300)
    await admin.register(one)

    error = await refused(admin.create(other), INVALID, "and 480 more")

    assert len(error.details() or "") < 8192


async def test_two_clients_that_register_the_same_at_once_get_one_task(admin: Admin) -> None:
    async def attempt() -> str:
        try:
            await admin.create(task())
        except Exception as error:
            return str(error.code().name)  # type: ignore[attr-defined]  # an AioRpcError
        return "OK"

    outcomes = await asyncio.gather(*(attempt() for _ in range(20)))

    assert sorted(set(outcomes)) == ["ALREADY_EXISTS", "OK"]
    assert outcomes.count("OK") == 1
    assert await stored(admin) == ["t:v1"]


async def test_two_replicas_that_register_the_same_at_once_store_each_task_once(database_url: str) -> None:
    names = [f"t{number:03}" for number in range(60)]

    async def register(admin: Admin, order: list[str]) -> int:
        outcomes = await asyncio.gather(*(admin.create(task(name)) for name in order), return_exceptions=True)
        refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert {error.code() for error in refusals} <= {EXISTS}  # type: ignore[attr-defined]  # AioRpcErrors
        return len(order) - len(refusals)

    async with serving(database_url) as one, serving(database_url) as other:
        added = await asyncio.gather(register(one, names), register(other, names[::-1]))
        assert sum(added) == len(names)
        assert await stored(one) == [f"{name}:v1" for name in names]


async def test_a_task_without_container_is_accepted(admin: Admin) -> None:
    request = task(inputs={}, outputs={})
    request.spec.template.ClearField("container")
    request.spec.template.type = "sensor"

    await admin.register(request)

    assert await stored(admin) == ["t:v1"]


def _without(path: str) -> Callable[[task_pb2.TaskCreateRequest], None]:
    def change(request: task_pb2.TaskCreateRequest) -> None:
        *parents, last = path.split(".")
        message = request
        for parent in parents:
            message = getattr(message, parent)
        message.ClearField(last)

    return change


def _set(path: str, value: object) -> Callable[[task_pb2.TaskCreateRequest], None]:
    def change(request: task_pb2.TaskCreateRequest) -> None:
        *parents, last = path.split(".")
        message = request
        for parent in parents:
            message = getattr(message, parent)
        setattr(message, last, value)

    return change


def _resources(kind: str, name: int, value: str) -> Callable[[task_pb2.TaskCreateRequest], None]:
    def change(request: task_pb2.TaskCreateRequest) -> None:
        getattr(request.spec.template.container.resources, kind).add(name=name, value=value)

    return change


def _both(*changes: Callable[[task_pb2.TaskCreateRequest], None]) -> Callable[[task_pb2.TaskCreateRequest], None]:
    def change(request: task_pb2.TaskCreateRequest) -> None:
        for one in changes:
            one(request)

    return change


def _pod(requests: dict[str, str], limits: dict[str, str]) -> Callable[[task_pb2.TaskCreateRequest], None]:
    def change(request: task_pb2.TaskCreateRequest) -> None:
        specification = Struct()
        container: dict[str, Any] = {
            "name": "primary",
            "image": "i",
            "resources": {"requests": requests, "limits": limits},
        }
        specification.update({"containers": [container]})
        request.spec.template.k8s_pod.pod_spec.CopyFrom(specification)

    return change


CPU, GPU, MEMORY = tasks_pb2.Resources.CPU, tasks_pb2.Resources.GPU, tasks_pb2.Resources.MEMORY
BAD_TASKS = {
    "no id": (_without("id"), "missing id"),
    "no resource type": (_set("id.resource_type", 0), "expected task"),
    "another resource type": (_set("id.resource_type", identifier_pb2.WORKFLOW), "unexpected resource type workflow"),
    "no project": (_set("id.project", ""), "missing project"),
    "no domain": (_set("id.domain", ""), "missing domain"),
    "no name": (_set("id.name", ""), "missing name"),
    "no version": (_set("id.version", ""), "missing version"),
    "long name": (_set("id.name", "n" * 256), "255"),
    "control character": (_set("id.version", "v\n1"), "control"),
    "unknown project": (_set("id.project", "nowhere"), "project [nowhere] not found"),
    "unknown domain": (_set("id.domain", "nowhere"), "domain [nowhere] is unrecognized by system"),
    "no spec": (_without("spec"), "missing spec"),
    "no template": (_without("spec.template"), "missing spec"),
    "no type": (_set("spec.template.type", ""), "missing type"),
    "type with NUL": (_set("spec.template.type", "a\0b"), "type"),
    "no metadata": (_without("spec.template.metadata"), "missing metadata"),
    "no runtime version": (_set("spec.template.metadata.runtime.version", ""), "missing runtime version"),
    "too many retries": (_set("spec.template.metadata.retries.retries", 11), "at most 10"),
    "no interface": (_without("spec.template.interface"), "missing typed interface"),
    "no image": (_set("spec.template.container.image", ""), "missing image"),
    "no command": (_without("spec.template.container.args"), "container.command or container.args"),
    "description with NUL": (_set("spec.description.short_description", "a\0b"), "short_description"),
    "bad quantity": (_resources("requests", CPU, "many"), "many"),
    "resource twice": (_both(_resources("requests", CPU, "1"), _resources("requests", CPU, "2")), "more than once"),
    "over its own limit": (_both(_resources("requests", CPU, "2"), _resources("limits", CPU, "1")), "own limit [1]"),
    "half a device": (_resources("requests", GPU, "500m"), "whole number"),
    "devices differ": (_both(_resources("requests", GPU, "1"), _resources("limits", GPU, "2")), "must equal its limit"),
    "over the platform": (_resources("requests", MEMORY, "3Gi"), "platform limit [2Gi]"),
    "limit over the platform": (
        _both(_resources("requests", MEMORY, "1Gi"), _resources("limits", MEMORY, "3Gi")),
        "limit of memory",
    ),
    "pod over the platform": (_pod({"memory": "3Gi"}, {}), "primary: requested memory"),
    "pod over its own limit": (_pod({"cpu": "2"}, {"cpu": "1"}), "own limit"),
    "pod without specification": (_set("spec.template.k8s_pod.primary_container_name", "x"), "pod_spec"),
}


async def test_bad_tasks_are_refused_by_name_and_nothing_is_stored(database_url: str) -> None:
    limits = {"memory": "2Gi"}
    async with serving(database_url, task_resources={"limits": limits}) as admin:
        for change, words in BAD_TASKS.values():
            request = task()
            change(request)
            await refused(admin.create(request), INVALID, words)
        names = await admin.stub.ListTaskIds(
            common_pb2.NamedEntityIdentifierListRequest(project=PROJECT, domain=DOMAIN, limit=10)
        )
        assert list(names.entities) == []
        assert await stored(admin) == []


async def test_an_archived_project_takes_no_tasks_and_says_so_in_a_detail(admin: Admin) -> None:
    from flyteidl.admin import project_pb2

    await admin.stub.UpdateProject(project_pb2.Project(id=PROJECT, state=project_pb2.Project.ARCHIVED))

    error = await refused(admin.create(task()), INVALID, f"project [{PROJECT}] is not active")

    [packed] = details_of(error)
    detail = project_pb2.InactiveProject()
    assert packed.Unpack(detail)
    assert detail.id == PROJECT


async def test_a_restricted_task_type_is_refused_elsewhere(database_url: str) -> None:
    whitelist = {"python-task": [{"project": "flytetester"}], "sql": []}
    async with serving(database_url, registration={"task_type_whitelist": whitelist}) as admin:
        await refused(admin.create(task()), INVALID, "task type must be whitelisted before use")
        await admin.register(task(project="flytetester"))


async def test_what_is_not_there_is_not_found(admin: Admin) -> None:
    absent = common_pb2.ObjectGetRequest(id=task_id("absent"))
    text = f"missing entity of type TASK with identifier {PROJECT}:{DOMAIN}:absent:v1"
    await refused(admin.stub.GetTask(absent), MISSING, text)
    await refused(admin.stub.GetTask(common_pb2.ObjectGetRequest(id=workflow_id())), INVALID, "expected task")


@pytest.fixture
async def versions(admin: Admin) -> Admin:
    """Tasks a, b with versions v1 to v3, in this order of time, and one in another domain."""
    for name in ("a", "b"):
        for version in ("v1", "v2", "v3"):
            await admin.register(task(name, version))
    await admin.register(task("a", "v1", domain="production"))
    return admin


async def test_lists_are_scoped_filtered_sorted_and_paged(versions: Admin) -> None:
    stub = versions.stub

    async def listed(name: str = "", **fields: object) -> list[str]:
        return keys((await stub.ListTasks(listing(name, **fields))).tasks)

    assert await listed() == ["a:v1", "a:v2", "a:v3", "b:v1", "b:v2", "b:v3"]
    assert await listed("b") == ["b:v1", "b:v2", "b:v3"]
    assert await listed("a", sort_by=by("version", ascending=False), limit=1) == ["a:v3"]
    assert await listed(sort_by=by("created_at", ascending=False), limit=2) == ["b:v3", "b:v2"]
    assert await listed(filters="value_in(name, a;c)+ne(version,v2)") == ["a:v1", "a:v3"]
    assert await listed(filters="eq(task.name,b)+gt(task.version, v1)") == ["b:v2", "b:v3"]
    assert await listed(filters="lt(created_at,2020-01-01T00:00:00.000Z)") == []
    assert await listed(filters="contains(type,python)+not_like(name,b%)", sort_by=by("version")) == [
        "a:v1",
        "a:v2",
        "a:v3",
    ]


async def test_pages_follow_each_other_until_the_token_is_empty(versions: Admin) -> None:
    seen, tokens, token = [], [], ""
    while True:
        page = await versions.stub.ListTasks(listing(limit=4, token=token, sort_by=by("type")))
        seen += keys(page.tasks)
        token = page.token
        tokens.append(token)
        if not token:
            break

    assert seen == ["a:v1", "a:v2", "a:v3", "b:v1", "b:v2", "b:v3"]
    assert tokens == ["4", ""]
    exact = await versions.stub.ListTasks(listing(limit=6))
    assert (len(exact.tasks), exact.token) == (6, "")
    beyond = await versions.stub.ListTasks(listing(limit=6, token="100"))
    assert (len(beyond.tasks), beyond.token) == (0, "")


async def test_names_are_listed_once_each(versions: Admin) -> None:
    def request(**fields: object) -> common_pb2.NamedEntityIdentifierListRequest:
        return common_pb2.NamedEntityIdentifierListRequest(
            **{"project": PROJECT, "domain": DOMAIN, "limit": 10, **fields}
        )

    everything = await versions.stub.ListTaskIds(request(filters="eq(name,nonsense)"))
    assert [entity.name for entity in everything.entities] == ["a", "b"]
    backwards = await versions.stub.ListTaskIds(request(sort_by=by("name", ascending=False), limit=1))
    assert ([entity.name for entity in backwards.entities], backwards.token) == (["b"], "1")
    await refused(versions.stub.ListTaskIds(request(sort_by=by("version"))), INVALID, "invalid sort key 'version'")
    await refused(versions.stub.ListTaskIds(request(limit=0)), INVALID, "invalid value for limit")


BAD_LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "no limit": ({"limit": 0}, "invalid value for limit"),
    "bad token": ({"token": "x"}, "invalid pagination token x for ListTasks"),
    "negative token": ({"token": "-1"}, "invalid pagination token -1 for ListTasks"),
    "huge token": ({"token": "9" * 19}, "invalid pagination token"),
    "no scope": ({"id": None}, "missing id"),
    "no project": ({"id": common_pb2.NamedEntityIdentifier(domain=DOMAIN)}, "missing project"),
    "no domain": ({"id": common_pb2.NamedEntityIdentifier(project=PROJECT)}, "missing domain"),
    "unknown sort key": ({"sort_by": by("colour")}, "invalid sort key 'colour'"),
    "empty sort key": ({"sort_by": common_pb2.Sort(direction=common_pb2.Sort.ASCENDING)}, "invalid sort key ''"),
    "filter text": ({"filters": "name=a"}, "invalid value for filters"),
    "filter function": ({"filters": "is(name,a)"}, "unrecognized filter function: is"),
    "filter column": ({"filters": "eq(colour,a)"}, "'t.colour' is invalid filter"),
    "filter entity": ({"filters": "eq(workflow.name,a)"}, "'w' entity is not allowed in filters"),
    "filter time": ({"filters": "gt(created_at,yesterday)"}, "RFC 3339"),
    "filter number": ({"filters": "eq(id,one)"}, "whole number"),
    "filter values": ({"filters": "eq(name,a;b)"}, "takes one value"),
    "filter empty value": ({"filters": "eq(name,)"}, "empty"),
}


async def test_bad_lists_are_refused(admin: Admin) -> None:
    for fields, words in BAD_LISTS.values():
        request = listing(**{name: value for name, value in fields.items() if value is not None})
        if "id" in fields and fields["id"] is None:
            request.ClearField("id")
        await refused(admin.stub.ListTasks(request), INVALID, words)
