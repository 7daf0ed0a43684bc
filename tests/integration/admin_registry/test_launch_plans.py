"""Launch plans through the official stub."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flyteidl.admin import common_pb2, launch_plan_pb2, schedule_pb2
from flyteidl.core import execution_pb2, interface_pb2

from tests.integration.admin_registry.harness import (
    DATETIME,
    DOMAIN,
    EXISTS,
    INTEGER,
    INVALID,
    MISSING,
    PROJECT,
    STRING,
    Admin,
    by,
    defaults,
    details_of,
    fixed,
    keys,
    listing,
    plan,
    plan_id,
    refused,
    serving,
    task,
    workflow,
    workflow_id,
)

ACTIVE, INACTIVE = launch_plan_pb2.ACTIVE, launch_plan_pb2.INACTIVE
SUCCEEDED, RUNNING = execution_pb2.WorkflowExecution.SUCCEEDED, execution_pb2.WorkflowExecution.RUNNING
INPUTS = {"a": INTEGER, "s": STRING, "when": DATETIME}


@pytest.fixture
async def planned(admin: Admin) -> Admin:
    """A workflow `w` of inputs a, s and when, in versions v1 and v2."""
    await admin.register(task(), workflow(inputs=INPUTS), workflow(version="v2", inputs=INPUTS, nodes=2))
    return admin


async def get(admin: Admin, name: str = "w", version: str = "v1") -> launch_plan_pb2.LaunchPlan:
    found: launch_plan_pb2.LaunchPlan = await admin.stub.GetLaunchPlan(
        common_pb2.ObjectGetRequest(id=plan_id(name, version))
    )
    return found


async def set_state(admin: Admin, state: int, name: str = "w", version: str = "v1", **parts: Any) -> None:
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan_id(name, version), state=state)
    for part, value in parts.items():
        setattr(request.id, part, value)
    await admin.stub.UpdateLaunchPlan(request)


async def active(admin: Admin, name: str = "w") -> str:
    name_id = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)
    found = await admin.stub.GetActiveLaunchPlan(launch_plan_pb2.ActiveLaunchPlanRequest(id=name_id))
    version: str = found.id.version
    return version


async def listed(admin: Admin, name: str = "", **fields: Any) -> list[str]:
    return keys((await admin.stub.ListLaunchPlans(listing(name, **fields))).launch_plans)


async def test_a_launch_plan_comes_back_with_what_its_executions_expect(planned: Admin) -> None:
    await planned.register(plan(default_inputs=defaults(a=3), fixed_inputs=fixed(s="x"), max_parallelism=5))

    found = await get(planned)

    assert found.id == plan_id()
    assert found.closure.state == INACTIVE
    assert found.closure.created_at == found.closure.updated_at
    assert found.closure.created_at.seconds > 0
    expected = found.closure.expected_inputs.parameters
    assert sorted(expected) == ["a", "when"]
    assert expected["a"].default.scalar.primitive.integer == 3
    assert expected["when"].required
    assert expected["when"].var.type == DATETIME
    assert found.spec.default_inputs == found.closure.expected_inputs
    assert found.spec.fixed_inputs == fixed(s="x")
    assert found.spec.workflow_id == workflow_id()
    assert found.spec.max_parallelism == 5
    assert list(found.closure.expected_outputs.variables) == ["o0"]


async def test_registering_the_same_again_is_already_exists(planned: Admin) -> None:
    await planned.register(plan(default_inputs=defaults(a=3)))

    error = await refused(
        planned.create(plan(default_inputs=defaults(a=3))),
        EXISTS,
        "launch plan with identical structure already exists",
    )

    assert details_of(error) == []


async def test_naming_what_is_required_anyway_is_the_same_plan(planned: Admin) -> None:
    await planned.register(plan())
    required = interface_pb2.Parameter(var=interface_pb2.Variable(type=INTEGER), required=True)

    spelled_out = plan(default_inputs=interface_pb2.ParameterMap(parameters={"a": required}))

    await refused(planned.create(spelled_out), EXISTS, "identical")


async def test_a_different_structure_is_refused_and_what_differs_is_listed(planned: Admin) -> None:
    await planned.register(plan(default_inputs=defaults(a=3)))

    await refused(
        planned.create(plan(default_inputs=defaults(a=4))),
        INVALID,
        "w launch plan with different structure already exists. (Please register a new version of the launch plan):",
        "closure.expectedInputs.parameters.a.default.scalar.primitive.integer: - '3' + '4'",
    )

    assert (await get(planned)).closure.expected_inputs.parameters["a"].default.scalar.primitive.integer == 3


async def test_an_unknown_workflow_is_not_found_before_anything_else(planned: Admin) -> None:
    request = plan(of=workflow_id("absent"))
    request.ClearField("id")

    text = f"missing entity of type WORKFLOW with identifier {PROJECT}:{DOMAIN}:absent:v1"
    await refused(planned.create(request), MISSING, text)


def _schedule(kickoff: str = "", **expression: Any) -> dict[str, Any]:
    schedule = schedule_pb2.Schedule(kickoff_time_input_arg=kickoff, **expression)
    return {"entity_metadata": launch_plan_pb2.LaunchPlanMetadata(schedule=schedule)}


def _notify(**fields: Any) -> dict[str, Any]:
    notification = common_pb2.Notification(**fields)
    return {"entity_metadata": launch_plan_pb2.LaunchPlanMetadata(notifications=[notification])}


def _email(*recipients: str) -> common_pb2.EmailNotification:
    return common_pb2.EmailNotification(recipients_email=recipients)


def _cron(text: str) -> schedule_pb2.CronSchedule:
    return schedule_pb2.CronSchedule(schedule=text)


BOUND = {"fixed_inputs": fixed(a=1, s="x")}
HOURLY = schedule_pb2.FixedRate(value=1, unit=schedule_pb2.HOUR)
BAD_SPECS = {
    "workflow id of another kind": ({"of": plan_id()}, "expected workflow"),
    "unknown default": ({"default_inputs": defaults(b=1)}, "unexpected default_input b"),
    "unknown fixed": ({"fixed_inputs": fixed(b=1)}, "unexpected fixed_input b"),
    "default of a wrong type": ({"default_inputs": defaults(s=1)}, "s"),
    "fixed of a wrong type": ({"fixed_inputs": fixed(a="x")}, "a"),
    "both default and fixed": ({"default_inputs": defaults(a=1), "fixed_inputs": fixed(a=2)}, "a"),
    "label key": ({"labels": common_pb2.Labels(values={"a b": "x"})}, "invalid label key [a b]"),
    "label value": ({"labels": common_pb2.Labels(values={"a": "x y"})}, "invalid label value [x y]"),
    "too many labels": ({"labels": common_pb2.Labels(values={f"k{n}": "" for n in range(17)})}, "at most 16"),
    "parallelism": ({"max_parallelism": -1}, "invalid value for max_parallelism: '-1': must not be negative"),
    "concurrency": (
        {"concurrency_policy": launch_plan_pb2.ConcurrencyPolicy(behavior="CONCURRENCY_LIMIT_BEHAVIOR_SKIP")},
        "invalid value for concurrency_policy.max: '0': must be at least 1",
    ),
    "cron text": ({**BOUND, **_schedule("when", cron_schedule=_cron("* * *"))}, "Invalid cron expression: '* * *'"),
    "deprecated cron text": ({**BOUND, **_schedule("when", cron_expression="no")}, "Invalid cron expression"),
    "unbound input": ({"fixed_inputs": fixed(a=1), **_schedule("when", rate=HOURLY)}, "required input: s"),
    "kickoff argument unknown": (
        {"default_inputs": defaults(a=1, s="x"), **_schedule("then", rate=HOURLY)},
        "required input: when",
    ),
    "kickoff argument fixed": ({**BOUND, **_schedule("a", rate=HOURLY)}, "when"),
    "notification of nobody": (_notify(phases=[SUCCEEDED], email=_email()), "missing recipients"),
    "notification of an empty address": (_notify(phases=[SUCCEEDED], email=_email("a@b", "")), "missing recipients"),
    "notification of two lines": (_notify(phases=[SUCCEEDED], email=_email("a@b\nBcc: c@d")), "control characters"),
    "notification of a line that ends": (
        _notify(phases=[SUCCEEDED], email=_email("a@b", "c@d\u2028")),
        "control characters",
    ),
    "notification of a zero": (_notify(phases=[SUCCEEDED], email=_email("a\x00@b")), "control characters"),
    "notification of no kind": (_notify(phases=[SUCCEEDED]), "notification type"),
    "notification of no phase": (_notify(email=_email("a@b")), "missing phase"),
    "notification of a passing phase": (_notify(phases=[RUNNING], email=_email("a@b")), "phase"),
}


async def test_bad_launch_plans_are_refused_by_name_and_nothing_is_stored(planned: Admin) -> None:
    for fields, words in BAD_SPECS.values():
        await refused(planned.create(plan(**fields)), INVALID, words)
    no_id, no_spec, nowhere = plan(), plan(), plan()
    no_id.ClearField("id")
    no_spec.ClearField("spec")
    nowhere.id.project = "nowhere"
    await refused(planned.create(no_id), INVALID, "missing id")
    await refused(planned.create(no_spec), INVALID, "missing spec")
    await refused(planned.create(nowhere), INVALID, "project [nowhere] not found")
    assert await listed(planned) == []
    names = await planned.stub.ListLaunchPlanIds(
        common_pb2.NamedEntityIdentifierListRequest(project=PROJECT, domain=DOMAIN, limit=10)
    )
    assert list(names.entities) == []


async def test_schedules_are_kept_and_their_kind_can_be_filtered(planned: Admin) -> None:
    await planned.register(
        plan("cron", of=workflow_id(), **BOUND, **_schedule("when", cron_schedule=_cron("0/15 * ? * MON-FRI"))),
        plan("zone", of=workflow_id(), **BOUND, **_schedule("when", cron_schedule=_cron("TZ=Europe/Berlin @daily"))),
        plan("rate", of=workflow_id(), **BOUND, **_schedule("when", rate=HOURLY)),
        plan("none", of=workflow_id(), **_schedule("", rate=schedule_pb2.FixedRate())),
    )

    assert await listed(planned, filters="eq(schedule_type, CRON)") == ["cron:v1", "zone:v1"]
    assert await listed(planned, filters="ne(schedule_type,CRON)") == ["rate:v1", "none:v1"]
    found = await get(planned, "cron")
    assert found.spec.entity_metadata.schedule.cron_schedule.schedule == "0/15 * ? * MON-FRI"


async def test_at_most_one_version_of_a_name_is_active(planned: Admin) -> None:
    await planned.register(plan(), plan(version="v2"), plan("other", of=workflow_id()))

    await set_state(planned, ACTIVE, "other")
    await set_state(planned, ACTIVE)
    assert await active(planned) == "v1"
    before = (await get(planned)).closure
    await set_state(planned, ACTIVE)
    await set_state(planned, ACTIVE, version="v2")

    assert await active(planned) == "v2"
    after = (await get(planned)).closure
    assert (before.state, after.state) == (ACTIVE, INACTIVE)
    assert after.updated_at.ToNanoseconds() > before.updated_at.ToNanoseconds()
    assert after.created_at == before.created_at
    assert await active(planned, "other") == "v1"
    assert await listed(planned, filters="eq(state, 1)", sort_by=by("name")) == ["other:v1", "w:v2"]


async def test_deactivating_leaves_none_and_can_be_repeated(planned: Admin) -> None:
    await planned.register(plan())
    await set_state(planned, ACTIVE)

    await set_state(planned, INACTIVE)
    await set_state(planned, INACTIVE)

    text = f"No active launch plan could be found: {PROJECT}:{DOMAIN}:w"
    with pytest.raises(Exception, match=text) as caught:
        await active(planned)
    assert caught.value.code() is MISSING  # type: ignore[attr-defined]  # an AioRpcError


async def test_an_update_needs_no_resource_type(planned: Admin) -> None:
    await planned.register(plan())

    await set_state(planned, ACTIVE, resource_type=0)

    assert await active(planned) == "v1"


async def test_bad_updates_are_refused(planned: Admin) -> None:
    await planned.register(plan())
    await set_state(planned, ACTIVE)
    absent = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan_id(version="v9"), state=ACTIVE)
    text = f"missing entity of type LAUNCH_PLAN with identifier {PROJECT}:{DOMAIN}:w:v9"
    await refused(planned.stub.UpdateLaunchPlan(absent), MISSING, text)
    absent.state = INACTIVE
    await refused(planned.stub.UpdateLaunchPlan(absent), MISSING, text)
    odd = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan_id(), state=7)
    await refused(planned.stub.UpdateLaunchPlan(odd), INVALID, "invalid value for state")
    await refused(planned.stub.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest()), INVALID, "missing id")
    assert await active(planned) == "v1"


async def test_replicas_that_activate_different_versions_at_once_leave_exactly_one_active(database_url: str) -> None:
    versions = [f"v{number}" for number in range(8)]
    async with serving(database_url) as one, serving(database_url) as other:
        await one.register(task(), workflow())
        await one.register(*(plan(version=version, of=workflow_id()) for version in versions))
        await asyncio.gather(
            *(set_state(replica, ACTIVE, version=version) for version in versions for replica in (one, other))
        )
        found = await listed(one, filters="eq(state,1)")
        assert found == [f"w:{await active(other)}"]


async def test_active_launch_plans_of_a_domain_are_listed_in_pages(planned: Admin) -> None:
    for name in ("a", "b", "c"):
        await planned.register(plan(name, of=workflow_id()), plan(name, "v2", of=workflow_id()))
    for name in ("a", "c"):
        await set_state(planned, ACTIVE, name)

    def request(**fields: Any) -> launch_plan_pb2.ActiveLaunchPlanListRequest:
        scope = {"project": PROJECT, "domain": DOMAIN, "limit": 10, **fields}
        return launch_plan_pb2.ActiveLaunchPlanListRequest(**scope)

    found = await planned.stub.ListActiveLaunchPlans(request(sort_by=by("name", ascending=False)))
    assert (keys(found.launch_plans), found.token) == (["c:v1", "a:v1"], "")
    first = await planned.stub.ListActiveLaunchPlans(request(limit=1))
    assert (keys(first.launch_plans), first.token) == (["a:v1"], "1")
    await refused(planned.stub.ListActiveLaunchPlans(request(limit=0)), INVALID, "invalid value for limit")
    await refused(planned.stub.ListActiveLaunchPlans(request(project="")), INVALID, "missing project")


async def test_lists_can_be_filtered_by_their_workflow(planned: Admin) -> None:
    await planned.register(plan("x", of=workflow_id()), plan("y", of=workflow_id(version="v2")))

    assert await listed(planned, filters="eq(workflow.version,v2)") == ["y:v1"]
    assert await listed(planned, filters="eq(workflow.name,w)+eq(workflow.version,v1)+eq(launch_plan.name,x)") == [
        "x:v1"
    ]
    assert await listed(planned, filters="ne(workflow.name,w)") == []
    with pytest.raises(Exception, match="'e' entity is not allowed in filters"):
        await listed(planned, filters="eq(execution.phase,RUNNING)")


async def test_bad_look_ups_are_refused(planned: Admin) -> None:
    active_request = launch_plan_pb2.ActiveLaunchPlanRequest
    await refused(planned.stub.GetActiveLaunchPlan(active_request()), INVALID, "missing id")
    nameless = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN)
    await refused(planned.stub.GetActiveLaunchPlan(active_request(id=nameless)), INVALID, "missing name")
    wrong = common_pb2.ObjectGetRequest(id=workflow_id())
    await refused(planned.stub.GetLaunchPlan(wrong), INVALID, "expected launch_plan")
