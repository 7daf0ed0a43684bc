"""What launching needs from the registry, on each database."""

from __future__ import annotations

import asyncio

import pytest
from elevon_admin.domain.entities import EntityKey
from elevon_core.errors import NotFound
from elevon_idl.admin import v1 as admin_idl
from elevon_idl.core import v1 as core
from flyteidl.admin import common_pb2
from flyteidl.core import identifier_pb2

from tests.integration.admin_registry.harness import (
    DOMAIN,
    PROJECT,
    Admin,
    defaults,
    fixed,
    keys,
    listing,
    plan,
    plan_id,
    serving,
    task,
    workflow,
    workflow_id,
)


def key(name: str, version: str = "v1") -> EntityKey:
    return EntityKey(PROJECT, DOMAIN, name, version)


async def test_a_launch_plan_is_given_with_its_workflow_and_rows(admin: Admin) -> None:
    await admin.register(task(), workflow(), plan("p", of=workflow_id(), fixed_inputs=fixed(a=1)))

    parts = await admin.app.registry.reads.launch_parts(key("p"))

    assert parts.launch_plan.id == key("p").identifier(core.LAUNCH_PLAN)
    assert parts.launch_plan.closure.state == admin_idl.INACTIVE
    assert list(parts.launch_plan.closure.expected_inputs.parameters) == []
    assert parts.workflow_id == key("w").identifier(core.WORKFLOW)
    assert [node.id for node in parts.closure.primary.template.nodes] == ["start-node", "end-node", "n0"]
    assert (parts.launch_plan_row, parts.workflow_row, parts.task_row) == (1, 1, None)
    assert await admin.app.registry.reads.launch_parts(key("p")) is parts


async def test_what_cannot_be_launched_is_not_found(admin: Admin) -> None:
    with pytest.raises(NotFound, match=f"LAUNCH_PLAN with identifier {PROJECT}:{DOMAIN}:p:v1"):
        await admin.app.registry.reads.launch_parts(key("p"))
    with pytest.raises(NotFound, match=f"TASK with identifier {PROJECT}:{DOMAIN}:t:v1"):
        await admin.app.registry.single_tasks.launch_parts(key("t"))


async def test_a_task_is_launched_within_a_workflow_of_one_node(admin: Admin) -> None:
    request = task("pkg.mod.t_1")
    metadata = request.spec.template.metadata
    metadata.retries.retries = 2
    metadata.timeout.seconds = 60
    metadata.interruptible = True
    await admin.register(request)

    parts = await admin.app.registry.single_tasks.launch_parts(key("pkg.mod.t_1"))

    generated = key(".flytegen.pkg.mod.t_1")
    assert parts.workflow_id == generated.identifier(core.WORKFLOW)
    assert parts.launch_plan.id == generated.identifier(core.LAUNCH_PLAN)
    assert parts.launch_plan.spec.workflow_id == parts.workflow_id
    assert parts.launch_plan.closure.expected_inputs.parameters["a"].required
    assert (parts.launch_plan_row, parts.workflow_row, parts.task_row) == (1, 1, 1)
    node = parts.closure.primary.template.nodes[2]
    assert node.id == node.metadata.name == "pkgmodt1"
    assert node.metadata.retries.retries == 2
    assert node.metadata.timeout.seconds == 60
    assert node.metadata.interruptible
    assert node.inputs[0].binding.promise == core.OutputReference(node_id="start-node", var="a")
    assert parts.closure.primary.template.interface == parts.closure.tasks[0].template.interface


async def test_what_is_generated_for_a_task_with_the_longest_name_can_be_read(admin: Admin) -> None:
    name = "t" * 255
    await admin.register(task(name))

    parts = await admin.app.registry.single_tasks.launch_parts(key(name))

    generated = f".flytegen.{name}"
    found = await admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=workflow_id(generated)))
    assert found.id.name == generated == parts.workflow_id.name
    assert (await admin.stub.GetLaunchPlan(common_pb2.ObjectGetRequest(id=plan_id(generated)))).id.name == generated
    assert keys((await admin.stub.ListWorkflows(listing(generated))).workflows) == [f"{generated}:v1"]
    asked = common_pb2.NamedEntityGetRequest(
        resource_type=identifier_pb2.WORKFLOW,
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=generated),
    )
    assert (await admin.stub.GetNamedEntity(asked)).id.name == generated


async def test_a_task_launched_by_many_at_once_gets_one_workflow(database_url: str) -> None:
    async with serving(database_url) as one, serving(database_url) as other:
        await one.register(task())
        found = await asyncio.gather(
            *(replica.app.registry.single_tasks.launch_parts(key("t")) for _ in range(10) for replica in (one, other))
        )

        # PostgreSQL counts on for rows that met another's and were not written, so the one row need not be the first.
        assert len({(parts.workflow_row, parts.launch_plan_row, parts.task_row) for parts in found}) == 1
        generated = listing(".flytegen.t")
        assert keys((await one.stub.ListWorkflows(generated)).workflows) == [".flytegen.t:v1"]
        assert keys((await one.stub.ListLaunchPlans(generated)).launch_plans) == [".flytegen.t:v1"]
        assert len({parts.closure.SerializeToString(deterministic=True) for parts in found}) == 1


async def test_the_skeleton_outlives_a_restart_and_can_be_read_by_clients(database_url: str) -> None:
    async with serving(database_url) as admin:
        await admin.register(task())
        before = await admin.app.registry.single_tasks.launch_parts(key("t"))
    async with serving(database_url) as admin:
        after = await admin.app.registry.single_tasks.launch_parts(key("t"))
        found = await admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=workflow_id(".flytegen.t")))

    assert after == before
    assert [node.id for node in found.closure.compiled_workflow.primary.template.nodes][2:] == ["t"]


async def test_a_cache_that_holds_nothing_changes_nothing(database_url: str) -> None:
    async with serving(database_url, cache={"entity_bytes": 0}) as admin:
        await admin.register(task(), workflow(), plan("p", of=workflow_id(), default_inputs=defaults(a=7)))
        parts = await admin.app.registry.reads.launch_parts(key("p"))
        again = await admin.app.registry.reads.launch_parts(key("p"))

    assert parts == again
    assert parts is not again
    assert parts.launch_plan.closure.expected_inputs.parameters["a"].default.scalar.primitive.integer == 7
