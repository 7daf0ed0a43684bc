"""Projects, domains and the version through the official stub."""

from __future__ import annotations

import asyncio
from typing import Any

from flyteidl.admin import common_pb2, project_pb2, version_pb2

from tests.integration.admin_registry.harness import EXISTS, INVALID, MISSING, PROJECT, Admin, by, refused, serving

ARCHIVED = project_pb2.Project.ARCHIVED
SEEDS = ["flyteexamples", "flytesnacks", "flytetester"]
DOMAINS = ["development", "staging", "production"]


def project(identifier: str = "p", **fields: Any) -> project_pb2.Project:
    return project_pb2.Project(**{"id": identifier, "name": "P", **fields})


def labels(**values: str) -> common_pb2.Labels:
    return common_pb2.Labels(values=values)


async def register(admin: Admin, registered: project_pb2.Project) -> None:
    await admin.stub.RegisterProject(project_pb2.ProjectRegisterRequest(project=registered))


async def get(admin: Admin, identifier: str = "p") -> project_pb2.Project:
    found: project_pb2.Project = await admin.stub.GetProject(project_pb2.ProjectGetRequest(id=identifier))
    return found


async def listed(admin: Admin, **fields: Any) -> list[str]:
    found = await admin.stub.ListProjects(project_pb2.ProjectListRequest(**fields))
    return [each.id for each in found.projects]


async def test_a_fresh_installation_has_projects_and_domains(admin: Admin) -> None:
    assert await listed(admin) == SEEDS
    assert [domain.id for domain in (await get(admin, PROJECT)).domains] == DOMAINS
    found = await admin.stub.GetDomains(project_pb2.GetDomainRequest())
    assert [(domain.id, domain.name) for domain in found.domains] == [(name, name) for name in DOMAINS]


async def test_seeding_again_leaves_projects_alone(database_url: str) -> None:
    async with serving(database_url) as admin:
        await admin.stub.UpdateProject(project(PROJECT, name="renamed"))
    domains = [{"id": "d", "name": "The Domain"}]
    async with serving(database_url, projects=[{"id": PROJECT}, {"id": "more"}], domains=domains) as admin:
        assert (await get(admin, PROJECT)).name == "renamed"
        assert await listed(admin) == sorted([*SEEDS, "more"])
        assert [(domain.id, domain.name) for domain in (await get(admin, "more")).domains] == [("d", "The Domain")]


async def test_a_project_comes_back_as_it_was_registered(admin: Admin) -> None:
    await register(admin, project(description="d", labels=labels(team="x"), state=ARCHIVED))

    found = await get(admin)

    assert (found.id, found.name, found.description, found.state) == ("p", "P", "d", ARCHIVED)
    assert dict(found.labels.values) == {"team": "x"}
    assert [domain.id for domain in found.domains] == DOMAINS


async def test_a_project_is_registered_once(admin: Admin) -> None:
    request = project_pb2.ProjectRegisterRequest(project=project())
    outcomes = await asyncio.gather(*(admin.stub.RegisterProject(request) for _ in range(5)), return_exceptions=True)

    refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refusals) == 4
    await refused(admin.stub.RegisterProject(request), EXISTS, "project [p] already exists")


async def test_an_update_keeps_what_it_does_not_mention_and_always_writes_the_state(admin: Admin) -> None:
    await register(admin, project(description="d", labels=labels(team="x"), state=ARCHIVED))

    await admin.stub.UpdateProject(project(name="Q"))
    found = await get(admin)
    assert (found.name, found.description, found.state) == ("Q", "d", project_pb2.Project.ACTIVE)
    assert dict(found.labels.values) == {"team": "x"}

    await admin.stub.UpdateProject(project(name="", description="e", labels=labels(cost="y")))
    found = await get(admin)
    assert (found.name, found.description, dict(found.labels.values)) == ("Q", "e", {"cost": "y"})

    await admin.stub.UpdateProject(project(labels=labels()))
    assert dict((await get(admin)).labels.values) == {}


BAD_PROJECTS = {
    "no id": ({"identifier": ""}, "missing project_id"),
    "upper case": ({"identifier": "Upper"}, "project_id"),
    "long id": ({"identifier": "p" * 64}, "63"),
    "long name": ({"name": "n" * 65}, "64 bytes"),
    "long description": ({"description": "é" * 151}, "300 bytes"),
    "NUL": ({"description": "a\0b"}, "NUL"),
    "label key": ({"labels": labels(**{"not ok": "x"})}, "invalid label key [not ok]"),
    "label value": ({"labels": labels(ok="not ok")}, "invalid label value [not ok]"),
    "domains": ({"domains": [project_pb2.Domain(id="d")]}, "domains"),
    "state": ({"state": 9}, "state"),
}


async def test_bad_projects_are_refused_and_nothing_is_stored(admin: Admin) -> None:
    for fields, words in BAD_PROJECTS.values():
        await refused(register(admin, project(**fields)), INVALID, words)
    await refused(register(admin, project(name="")), INVALID, "missing project_name")
    await refused(admin.stub.RegisterProject(project_pb2.ProjectRegisterRequest()), INVALID, "missing project")
    assert await listed(admin) == SEEDS


async def test_bad_updates_are_refused_and_change_nothing(admin: Admin) -> None:
    await register(admin, project(description="d"))
    for fields, words in BAD_PROJECTS.values():
        if "identifier" not in fields:
            await refused(admin.stub.UpdateProject(project(**fields)), INVALID, words)
    await refused(admin.stub.UpdateProject(project("")), INVALID, "missing project_id")
    await refused(admin.stub.UpdateProject(project("absent")), MISSING, "project [absent] not found")
    found = await get(admin)
    assert (found.name, found.description, found.state) == ("P", "d", project_pb2.Project.ACTIVE)


async def test_archived_projects_are_listed_only_when_something_is_filtered(admin: Admin) -> None:
    await register(admin, project(state=ARCHIVED))
    await register(admin, project("system", state=project_pb2.Project.SYSTEM_GENERATED))

    assert await listed(admin) == [*SEEDS, "system"]
    assert await listed(admin, filters="eq(state,1)") == ["p"]
    assert await listed(admin, filters="contains(project.identifier, p)") == ["flyteexamples", "p"]
    assert await listed(admin, filters="eq(identifier,p)", limit=1) == ["p"]


async def test_projects_are_sorted_and_paged(admin: Admin) -> None:
    assert await listed(admin, sort_by=by("identifier", ascending=False)) == SEEDS[::-1]
    page = await admin.stub.ListProjects(project_pb2.ProjectListRequest(limit=2))
    assert ([each.id for each in page.projects], page.token) == (SEEDS[:2], "2")
    page = await admin.stub.ListProjects(project_pb2.ProjectListRequest(limit=2, token=page.token))
    assert ([each.id for each in page.projects], page.token) == (SEEDS[2:], "")
    bad = admin.stub.ListProjects(project_pb2.ProjectListRequest(token="x"))
    await refused(bad, INVALID, "invalid pagination token x for ListProjects")
    bad = admin.stub.ListProjects(project_pb2.ProjectListRequest(filters="eq(domain,x)"))
    await refused(bad, INVALID, "'p.domain' is invalid filter")


async def test_an_unknown_project_is_not_found(admin: Admin) -> None:
    await refused(get(admin, "absent"), MISSING, "project [absent] not found")
    await refused(get(admin, ""), INVALID, "missing project_id")


async def test_the_version_is_one_that_clients_compare(admin: Admin) -> None:
    found = await admin.stub.GetVersion(version_pb2.GetVersionRequest())

    assert found.control_plane_version.Version.startswith("v")
    assert found.control_plane_version.Version.count(".") == 2
    assert found.control_plane_version.Build
