"""Retention: what rules name goes, what they do not name stays, and everything is written down."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_admin.drivers.engine_memory import MemoryEngine
from elevon_admin.store import retention as retention_store
from elevon_core import naming
from elevon_core.errors import Unavailable
from elevon_idl.admin import v1 as admin_v1
from elevon_idl.admin.v1 import retention_service_pb2_grpc
from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration

from tests.integration.admin_executions.harness import (
    DOMAIN,
    NODE,
    PROJECT,
    TASK,
    WORKFLOW,
    Admin,
    FakePropeller,
    delivered,
    execution_id,
    fake_propeller,
    listing,
    literals,
    node_event,
    serving,
)
from tests.integration.admin_registry.harness import refused

MISSING, INVALID, PRECONDITION, UNAVAILABLE = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNAVAILABLE,
)
LONGEST = 292 * 365 * 86_400
QUIET: dict[str, Any] = {"retention": {"enabled": False}}


@dataclass
class Keeper:
    """An admin service, its retention, and the engine that is told to forget."""

    admin: Admin
    stub: Any
    propeller: FakePropeller

    async def put(self, **limits: Any) -> None:
        """Set the rule of the project and domain; ages in milliseconds."""
        policy = admin_v1.RetentionPolicy(project=PROJECT, domain=DOMAIN)
        for name, limit in limits.items():
            if name.endswith("_age"):
                getattr(policy, name).FromMilliseconds(limit)
            else:
                setattr(policy, name, limit)
        await self.stub.PutRetentionPolicy(admin_v1.PutRetentionPolicyRequest(policy=policy))

    async def apply(self, *, dry_run: bool = False) -> admin_v1.ApplyRetentionPolicyResponse:
        """Apply the rule; the last message."""
        request = admin_v1.ApplyRetentionPolicyRequest(project=PROJECT, domain=DOMAIN, dry_run=dry_run)
        messages: list[admin_v1.ApplyRetentionPolicyResponse] = [
            message async for message in self.stub.ApplyRetentionPolicy(request)
        ]
        assert [message.done for message in messages] == [False] * (len(messages) - 1) + [True]
        return messages[-1]

    async def names(self) -> set[str]:
        """The executions that are there."""
        return {found.id.name for found in (await self.admin.stub.ListExecutions(listing())).executions}

    async def ended(self, name: str, phase: int = WORKFLOW.SUCCEEDED) -> None:
        """An execution with a node of two attempts that has ended."""
        key = await self.admin.launch(self.target, name)
        await delivered(self.admin, name)
        await self.admin.report(key, WORKFLOW.RUNNING)
        await self.admin.report_node(key, "n0", NODE.RUNNING)
        for attempt in (0, 1):
            await self.admin.report_task(
                key, "n0", TASK.FAILED if attempt == 0 else TASK.SUCCEEDED, retry_attempt=attempt
            )
        await self.admin.report_node(key, "n0", NODE.SUCCEEDED, 1, output_data=literals(o=2))
        await self.admin.report(key, phase, 2, output_data=literals(o=2))

    target: Any = None


@asynccontextmanager
async def keeping(database_url: str, folder: Path, **flags: Any) -> AsyncIterator[Keeper]:
    engine = MemoryEngine()
    servicer = FakePropeller(engine)
    async with (
        fake_propeller(engine, servicer=servicer) as address,
        serving(database_url, folder, engine, address, **(flags or QUIET)) as admin,
        grpc.aio.insecure_channel(admin.app.grpc_address) as channel,
    ):
        keeper = Keeper(admin, retention_service_pb2_grpc.RetentionServiceStub(channel), servicer)
        keeper.target = await admin.register()
        yield keeper


@pytest.fixture
async def keeper(database_url: str, tmp_path: Path) -> AsyncIterator[Keeper]:
    """Retention on each database; rules are applied by hand."""
    async with keeping(database_url, tmp_path) as running:
        yield running


def own(name: str) -> core.WorkflowExecutionIdentifier:
    return core.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)


async def test_deleting_one_execution(keeper: Keeper) -> None:
    await keeper.ended("x")
    await keeper.ended("y")
    tried = await keeper.stub.DeleteExecution(admin_v1.DeleteExecutionRequest(id=own("x"), dry_run=True))
    assert (tried.counts.executions, tried.counts.nodes) == (1, 1)
    assert await keeper.names() == {"x", "y"}
    assert keeper.propeller.forgotten == []
    done = await keeper.stub.DeleteExecution(admin_v1.DeleteExecutionRequest(id=own("x")))
    assert done == tried
    assert await keeper.names() == {"y"}
    (forgotten,) = keeper.propeller.forgotten
    assert forgotten.execution_id == own("x")
    assert {each.node_id: each.attempts for each in forgotten.attempts} == {"n0": 2}
    await refused(keeper.admin.get(execution_id("x")), MISSING)
    again = keeper.stub.DeleteExecution(admin_v1.DeleteExecutionRequest(id=own("x")))
    await refused(again, MISSING, "x")
    (run,) = (await keeper.stub.ListRetentionRuns(admin_v1.ListRetentionRunsRequest())).runs
    assert (run.execution, run.counts.executions, run.error) == ("x", 1, "")
    assert run.HasField("ended_at")
    await keeper.ended("x")
    assert await keeper.names() == {"x", "y"}


async def test_what_runs_is_left_alone(keeper: Keeper) -> None:
    await keeper.admin.launch(keeper.target, "running")
    call = keeper.stub.DeleteExecution(admin_v1.DeleteExecutionRequest(id=own("running")))
    await refused(call, PRECONDITION, "running has not ended: terminate it first")
    await keeper.put(executions_max_age=1)
    assert (await keeper.apply()).counts.executions == 0
    assert await keeper.names() == {"running"}


async def test_a_rule_by_age(keeper: Keeper) -> None:
    for name, phase in (("a", WORKFLOW.SUCCEEDED), ("b", WORKFLOW.FAILED), ("c", WORKFLOW.ABORTED)):
        await keeper.ended(name, phase)
    await keeper.put(executions_max_age=3_600_000)
    assert (await keeper.apply()).counts.executions == 0
    await keeper.put(executions_max_age=1)
    tried = await keeper.apply(dry_run=True)
    assert (tried.executions_to_go, tried.counts.executions, tried.counts.nodes) == (3, 3, 3)
    assert await keeper.names() == {"a", "b", "c"}
    assert (await keeper.apply()) == tried
    assert await keeper.names() == set()
    assert (await keeper.apply()).counts.executions == 0
    runs = (await keeper.stub.ListRetentionRuns(admin_v1.ListRetentionRunsRequest(project=PROJECT))).runs
    assert [run.counts.executions for run in runs] == [0, 3, 0]
    assert (await keeper.stub.ListRetentionRuns(admin_v1.ListRetentionRunsRequest(project="other"))).runs == []


async def test_a_rule_by_number(keeper: Keeper) -> None:
    for number in range(5):
        await keeper.ended(f"e{number}")
    await keeper.admin.launch(keeper.target, "running")
    await keeper.put(executions_max_count=2)
    assert (await keeper.apply()).counts.executions == 3
    assert await keeper.names() == {"e3", "e4", "running"}


async def test_only_the_outline_is_kept(keeper: Keeper) -> None:
    await keeper.ended("x")
    await keeper.put(data_max_age=1)
    tried = await keeper.apply(dry_run=True)
    assert (tried.counts.outlines, tried.counts.nodes, tried.executions_to_go) == (1, 1, 1)
    assert (await keeper.apply()) == tried
    assert (await keeper.apply()).counts.outlines == 0
    kept = await keeper.admin.get(execution_id("x"))
    assert kept.closure.phase == WORKFLOW.SUCCEEDED
    data = await keeper.admin.stub.GetExecutionData(data_request("x"))
    assert data.full_outputs.literals == {}
    assert len(keeper.propeller.forgotten) == 1


def data_request(name: str) -> Any:
    from flyteidl.admin import execution_pb2

    return execution_pb2.WorkflowExecutionGetDataRequest(id=execution_id(name))


async def test_both_limits_together(keeper: Keeper) -> None:
    for number in range(4):
        await keeper.ended(f"e{number}")
    await keeper.put(executions_max_count=3, data_max_age=1)
    tried = await keeper.apply(dry_run=True)
    assert (tried.counts.executions, tried.counts.outlines, tried.executions_to_go) == (1, 3, 4)
    assert (await keeper.apply()) == tried
    assert await keeper.names() == {"e1", "e2", "e3"}


async def test_a_run_that_fails_goes_on_later(keeper: Keeper) -> None:
    await keeper.ended("x")
    await keeper.put(executions_max_age=1)
    keeper.admin.engine.failures.append(Unavailable("down"))
    await refused(keeper.apply(), UNAVAILABLE, "down")
    assert await keeper.names() == {"x"}
    (run,) = (await keeper.stub.ListRetentionRuns(admin_v1.ListRetentionRunsRequest())).runs
    assert "down" in run.error
    assert (await keeper.apply()).counts.executions == 1


async def test_rules_are_applied_when_their_time_has_come(database_url: str, tmp_path: Path) -> None:
    often = {"every_seconds": 0.05, "check_seconds": 0.01}
    async with keeping(database_url, tmp_path, retention=often) as keeper:
        await keeper.put(executions_max_age=1)
        await keeper.ended("x")
        everything = admin_v1.ListRetentionRunsRequest()
        async with asyncio.timeout(60):
            while not sum(run.counts.executions for run in (await keeper.stub.ListRetentionRuns(everything)).runs):
                await asyncio.sleep(0.01)
        assert await keeper.names() == set()
        assert {run.principal for run in (await keeper.stub.ListRetentionRuns(everything)).runs} == {"schedule"}


def pointing_at(*names: str) -> Any:
    """Values that point at what the first attempts of executions have written."""
    from flyteidl.core import literals_pb2

    values = literals_pb2.LiteralMap()
    for number, name in enumerate(names):
        place = naming.attempt_name(PROJECT, DOMAIN, name, "n0", 0)
        values.literals[f"o{number}"].scalar.blob.uri = f"/raw/{naming.raw_output_shard(place)}/{place}/x"
    return values


async def referring(keeper: Keeper, name: str, *others: str) -> None:
    """An execution that has ended, and whose values point at data of others."""
    await keeper.ended(name)
    await keeper.admin.report_node(execution_id(name), "n1", NODE.RUNNING)
    await keeper.admin.report_node(execution_id(name), "n1", NODE.SUCCEEDED, 1, output_data=pointing_at(*others))


async def kept_by_rule(keeper: Keeper, **limits: Any) -> dict[str, set[str]]:
    """Apply a rule, after trying it: what is kept, and because of whom."""
    await keeper.put(**limits)
    runs = []
    for dry_run in (True, False):
        request = admin_v1.ApplyRetentionPolicyRequest(project=PROJECT, domain=DOMAIN, dry_run=dry_run)
        messages = [message async for message in keeper.stub.ApplyRetentionPolicy(request)]
        found = itertools.chain.from_iterable(message.kept for message in messages)
        kept = {each.id.name: {other.name for other in each.referring} for each in found}
        assert messages[-1].counts.kept == len(kept)
        runs.append((messages[-1].counts, kept))
    assert runs[0] == runs[1]
    return runs[1][1]


async def test_those_that_are_needed_are_kept(keeper: Keeper) -> None:
    await keeper.ended("maker")
    await keeper.ended("other")
    await referring(keeper, "between", "maker")
    await referring(keeper, "newest", "between", "newest")
    call = keeper.stub.DeleteExecution(admin_v1.DeleteExecutionRequest(id=own("maker")))
    await refused(call, PRECONDITION, "between; delete them first")
    kept = await kept_by_rule(keeper, executions_max_count=1)
    assert kept == {"between": {"newest"}, "maker": {"newest"}}
    assert await keeper.names() == {"maker", "between", "newest"}
    assert [each.execution_id.name for each in keeper.propeller.forgotten] == ["other"]
    assert await kept_by_rule(keeper, executions_max_age=1) == {}
    assert await keeper.names() == set()
    forgotten = [each.execution_id.name for each in keeper.propeller.forgotten]
    assert sorted(forgotten[1:]) == ["between", "maker", "newest"]


@pytest.mark.parametrize("rows_at_once", [1, 500])
async def test_those_that_need_each_other_go_together(
    keeper: Keeper, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_store, "ROWS_AT_ONCE", rows_at_once)
    await referring(keeper, "parent", "child")
    await referring(keeper, "child", "parent")
    await refused(keeper.stub.DeleteExecution(admin_v1.DeleteExecutionRequest(id=own("child"))), PRECONDITION, "parent")
    assert await kept_by_rule(keeper, data_max_age=1) == {}
    assert await keeper.names() == {"parent", "child"}
    assert await kept_by_rule(keeper, executions_max_age=1) == {}
    assert await keeper.names() == set()
    await referring(keeper, "parent", "child")
    await referring(keeper, "child", "parent")
    both = admin_v1.DeleteExecutionRequest(id=own("child"), with_referring=True)
    dry = admin_v1.DeleteExecutionRequest(id=own("child"), with_referring=True, dry_run=True)
    assert (await keeper.stub.DeleteExecution(dry)).counts.executions == 2
    assert await keeper.names() == {"parent", "child"}
    assert (await keeper.stub.DeleteExecution(both)).counts.executions == 2
    assert await keeper.names() == set()


async def test_what_runs_needs_what_it_has(keeper: Keeper) -> None:
    await keeper.ended("maker")
    key = await keeper.admin.launch(keeper.target, "running")
    await keeper.admin.report_node(key, "n0", NODE.RUNNING)
    await keeper.admin.report_node(key, "n0", NODE.SUCCEEDED, 1, output_data=pointing_at("maker"))
    both = admin_v1.DeleteExecutionRequest(id=own("maker"), with_referring=True)
    await refused(keeper.stub.DeleteExecution(both), PRECONDITION, "running")
    assert await kept_by_rule(keeper, executions_max_age=1) == {"maker": {"running"}}


async def test_outputs_in_files_and_what_is_recovered(keeper: Keeper) -> None:
    for name in ("maker", "failed", "user"):
        await keeper.ended(name, WORKFLOW.FAILED)
    place = naming.attempt_name(PROJECT, DOMAIN, "maker", "n0", 0)
    reported = admin_v1.ExecutionEvent(places=[place])
    in_a_file = node_event(execution_id("user"), "n2", NODE.SUCCEEDED, output_uri="file:///x/outputs.pb")
    reported.node.ParseFromString(in_a_file.SerializeToString())
    (outcome,) = (await keeper.admin.batches.RecordEvents(admin_v1.RecordEventsRequest(events=[reported]))).outcomes
    assert outcome.result == admin_v1.EventOutcome.RESULT_RECORDED
    await keeper.admin.stub.RecoverExecution(recovery("failed", "again"))
    assert await kept_by_rule(keeper, executions_max_count=1) == {"maker": {"user"}, "failed": {"again"}}


async def test_what_is_about_to_go_cannot_be_recovered(keeper: Keeper) -> None:
    await keeper.ended("failed", WORKFLOW.FAILED)
    await keeper.put(executions_max_age=1)
    keeper.admin.engine.failures.append(Unavailable("down"))
    await refused(keeper.apply(), UNAVAILABLE, "down")
    await refused(keeper.admin.stub.RecoverExecution(recovery("failed", "again")), PRECONDITION, "is being deleted")
    assert await keeper.names() == {"failed"}
    assert (await keeper.apply()).counts.executions == 1


def recovery(name: str, again: str) -> Any:
    from flyteidl.admin import execution_pb2

    return execution_pb2.ExecutionRecoverRequest(id=execution_id(name), name=again)


async def test_a_rule_for_all_domains(keeper: Keeper) -> None:
    await keeper.ended("x")
    policy = admin_v1.RetentionPolicy(project=PROJECT)
    policy.executions_max_age.FromMilliseconds(1)
    await keeper.stub.PutRetentionPolicy(admin_v1.PutRetentionPolicyRequest(policy=policy))
    await keeper.put(executions_max_age=3_600_000)
    policies = (await keeper.stub.ListRetentionPolicies(admin_v1.ListRetentionPoliciesRequest())).policies
    assert [each.domain for each in policies] == ["", DOMAIN]
    assert (await keeper.apply()).counts.executions == 0
    gone = admin_v1.DeleteRetentionPolicyRequest(project=PROJECT, domain=DOMAIN)
    await keeper.stub.DeleteRetentionPolicy(gone)
    await keeper.stub.DeleteRetentionPolicy(gone)
    assert (await keeper.apply()).counts.executions == 1


@pytest.mark.parametrize(
    ("policy", "code", "words"),
    [
        (admin_v1.RetentionPolicy(executions_max_count=1), INVALID, "policy.project"),
        (admin_v1.RetentionPolicy(project=PROJECT), INVALID, "missing a limit of the policy"),
        (admin_v1.RetentionPolicy(project="absent", executions_max_count=1), MISSING, "absent"),
        (
            admin_v1.RetentionPolicy(project=PROJECT, domain="moon", executions_max_count=1),
            INVALID,
            "policy.domain",
        ),
        (admin_v1.RetentionPolicy(project=PROJECT, data_max_age=Duration()), INVALID, "policy.data_max_age"),
        (
            admin_v1.RetentionPolicy(project=PROJECT, executions_max_age=Duration(seconds=2**62)),
            INVALID,
            "policy.executions_max_age",
        ),
        (
            admin_v1.RetentionPolicy(project=PROJECT, data_max_age=Duration(seconds=LONGEST + 1)),
            INVALID,
            "at most 292 years",
        ),
        (admin_v1.RetentionPolicy(project=PROJECT, executions_max_count=2**63), INVALID, "executions_max_count"),
        (admin_v1.RetentionPolicy(project=PROJECT, cache_max_age=Duration(seconds=1)), INVALID, "catalog_address"),
    ],
)
async def test_rules_that_are_none(
    keeper: Keeper, policy: admin_v1.RetentionPolicy, code: grpc.StatusCode, words: str
) -> None:
    await refused(keeper.stub.PutRetentionPolicy(admin_v1.PutRetentionPolicyRequest(policy=policy)), code, words)
    assert (await keeper.stub.ListRetentionPolicies(admin_v1.ListRetentionPoliciesRequest())).policies == []


async def test_the_longest_ages(keeper: Keeper) -> None:
    await keeper.ended("x")
    await keeper.put(executions_max_age=LONGEST * 1_000, data_max_age=LONGEST * 1_000)
    assert (await keeper.apply()).counts.executions == 0
    (policy,) = (await keeper.stub.ListRetentionPolicies(admin_v1.ListRetentionPoliciesRequest())).policies
    assert policy.executions_max_age == policy.data_max_age == Duration(seconds=LONGEST)


async def test_nothing_to_apply(keeper: Keeper) -> None:
    await refused(keeper.apply(), MISSING, "has no retention policy")


async def test_pages_of_runs(keeper: Keeper) -> None:
    await keeper.put(executions_max_age=1)
    for _ in range(5):
        await keeper.apply()
    token, seen = "", []
    for _ in range(3):
        request = admin_v1.ListRetentionRunsRequest(limit=2, token=token)
        answer = await keeper.stub.ListRetentionRuns(request)
        seen += [run.started_at.ToNanoseconds() for run in answer.runs]
        token = answer.token
    assert token == ""
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
