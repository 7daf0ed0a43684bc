"""Schedules that flytekit has registered and activated: listed, and launched for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import schedule_service_pb2_grpc
from elevon_idl.core import v1 as core
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2

from tests.e2e.harness import DOMAIN, PROJECT, Plane, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def launch_plan(name: str, version: str) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN, project=PROJECT, domain=DOMAIN, name=name, version=version
    )


def test_schedules_of_flytekit_are_active_and_known_ahead(plane: Plane) -> None:
    plane.flytekit("pyflyte", "register", "--version", "s1", "--activate-launchplans", "scheduled.py")
    stub: Any = schedule_service_pb2_grpc.ScheduleServiceStub(plane.channel)
    listing = admin.ListSchedulesRequest(project=PROJECT, domain=DOMAIN, limit=100)
    found = {each.launch_plan_id.name: each for each in stub.ListSchedules(listing).schedules}
    assert {"yearly", "weekly"} <= set(found)
    assert found["yearly"].catch_up == "one"
    assert found["yearly"].next_due_at.ToJsonString().endswith("-01-01T00:30:00Z")
    weekly = found["weekly"]
    assert 7 * 86_400 - 1 <= weekly.next_due_at.seconds - weekly.activated_at.seconds <= 7 * 86_400
    request = admin.ListScheduledTimesRequest(
        launch_plan_id=core.Identifier(project=PROJECT, domain=DOMAIN, name="yearly"), limit=3
    )
    times = stub.ListScheduledTimes(request).times
    years = [each.scheduled_at.ToDatetime().year for each in times]
    assert years == [years[0], years[0] + 1, years[0] + 2]
    command = [sys.executable, "-m", "elevon", "get", "schedules", "yearly", "--target", plane.target]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "@yearly" in shown
    assert "weekly" not in shown


def launched_every_second(plane: Plane) -> identifier_pb2.Identifier:
    """Register and activate a launch plan `often`; flytekit itself knows no schedule as quick as that."""
    plane.flytekit("pyflyte", "register", "--version", "s2", "scheduled.py")
    plan = plane.admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=launch_plan("yearly", "s2")))
    plan.spec.entity_metadata.schedule.cron_schedule.schedule = "@every 1s"
    plan.spec.entity_metadata.schedule.cron_schedule.offset = ""
    plan.spec.annotations.values["elevon/catch-up"] = "all"
    often = launch_plan("often", "s2")
    plane.admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(id=often, spec=plan.spec))
    plane.admin.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=often, state=launch_plan_pb2.ACTIVE))
    return often


def executions_of(plane: Plane, name: str) -> list[Any]:
    """The executions of a launch plan."""
    place = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN)
    listing = common_pb2.ResourceListRequest(id=place, limit=1000, filters=f"eq(launch_plan.name,{name})")
    return list(plane.patiently(lambda: plane.admin.ListExecutions(listing)).executions)


def stop(plane: Plane, plan: identifier_pb2.Identifier) -> None:
    """Deactivate a launch plan."""
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=launch_plan_pb2.INACTIVE)
    plane.patiently(lambda: plane.admin.UpdateLaunchPlan(request))


def test_a_scheduled_execution_runs_with_its_time(plane: Plane) -> None:
    often = launched_every_second(plane)
    found = until(lambda: executions_of(plane, "often"), 60, "an execution")[0]
    stop(plane, often)
    done = plane.wait(found.id)
    assert done.closure.phase == core_execution_pb2.WorkflowExecution.SUCCEEDED, done.closure.error
    assert done.spec.metadata.mode == execution_pb2.ExecutionMetadata.SCHEDULED
    moment = done.spec.metadata.scheduled_at.ToDatetime()
    assert plane.outputs(done.id)["o0"].scalar.primitive.string_value.startswith(moment.isoformat())


def test_killing_admin_loses_no_tick_and_doubles_none(tmp_path: Path) -> None:
    plane = Plane(tmp_path / "data")
    try:
        often = launched_every_second(plane)
        for count in (2, 4, 6):
            wait_for(plane, count)
            plane.kill("admin")
        wait_for(plane, 8)
        stop(plane, often)
        stub: Any = schedule_service_pb2_grpc.ScheduleServiceStub(plane.channel)
        listing = admin.ListTicksRequest(project=PROJECT, domain=DOMAIN, name="often", limit=1000)
        ticks = until(lambda: _settled(stub.ListTicks(listing).ticks), 60, "the outcome of every tick")
        launched = [tick for tick in ticks if tick.status == admin.TICK_STATUS_LAUNCHED]
        # Of the last ones, those that were not launched yet are skipped, and not always the youngest.
        seconds = sorted(tick.due_at.seconds for tick in ticks)
        assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
        assert len(launched) >= 8
        assert {tick.reason for tick in ticks} <= {"", "the launch plan was deactivated"}
        names = sorted(execution.id.name for execution in executions_of(plane, "often"))
        assert names == sorted(tick.execution_id.name for tick in launched)
    finally:
        plane.close()


def wait_for(plane: Plane, count: int) -> None:
    """Wait until there are so many scheduled executions."""
    until(lambda: len(executions_of(plane, "often")) >= count, 60, f"{count} executions")


def _settled(ticks: Any) -> list[admin.ScheduleTick]:
    """The ticks, once none of them is due."""
    return [] if any(tick.status == admin.TICK_STATUS_DUE for tick in ticks) else list(ticks)
