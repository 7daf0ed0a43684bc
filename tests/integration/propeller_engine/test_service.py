"""PropellerService over a real socket, with a real database and a real admin side."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

Start = Callable[..., Awaitable[Any]]
ONE_TASK = [
    "workflow RUNNING",
    "start-node SUCCEEDED",
    "n0 QUEUED",
    "n0 RUNNING",
    "n0[0] SUCCEEDED",
    "n0 SUCCEEDED",
    "end-node QUEUED",
    "end-node SUCCEEDED",
    "workflow SUCCEEDING",
    "workflow SUCCEEDED",
]


async def delivered(recorder: Any, name: str, last: str) -> list[str]:
    """What was told of an execution, once the last event has arrived."""
    while last not in recorder.phases(name):
        await asyncio.sleep(0.01)
    phases: list[str] = recorder.phases(name)
    return phases


async def test_one_echo_task_runs_and_everything_is_told_in_order(start: Start, recorder: Any, tmp_path: Path) -> None:
    client = await start()
    assert (await client.create("one", closures.chain(1))).created
    assert await client.wait("one") == "SUCCEEDED"
    assert await delivered(recorder, "one", "workflow SUCCEEDED") == ONE_TASK
    assert {batch.producer_id for batch in recorder.batches} == {"propeller"}
    last = recorder.events[-1].workflow
    path = tmp_path / "store/metadata/propeller/flytesnacks-development-one/end-node/data/0/outputs.pb"
    assert last.output_uri == f"file://{path}"
    assert core.LiteralMap.FromString(path.read_bytes()) == closures.integers(x=1)


async def test_node_and_task_events_carry_what_clients_read(start: Start, recorder: Any) -> None:
    client = await start()
    await client.create("fields", closures.chain(1))
    await delivered(recorder, "fields", "workflow SUCCEEDED")
    nodes = {describe.node.id.node_id + str(describe.node.phase): describe.node for describe in recorder.events}
    queued = nodes[f"n0{core.NodeExecution.QUEUED}"]
    assert queued.input_data == closures.integers(x=1)
    assert (queued.spec_node_id, queued.event_version, queued.target_entity.name) == ("n0", 1, "task-n0")
    succeeded = nodes[f"n0{core.NodeExecution.SUCCEEDED}"]
    assert succeeded.output_data == closures.integers(x=1)
    assert nodes[f"start-node{core.NodeExecution.SUCCEEDED}"].output_data == closures.integers(x=1)
    task = next(event.task for event in recorder.events if event.HasField("task"))
    assert task.metadata.generated_name == "fields-n0-0"
    assert (task.metadata.plugin_identifier, task.task_type, task.event_version) == ("echo", "echo", 1)


async def test_creating_again_changes_nothing(start: Start, recorder: Any) -> None:
    client = await start()
    closure = closures.chain(2)
    answers = await asyncio.gather(*(client.create("same", closure) for _ in range(5)))
    assert sorted(answer.created for answer in answers) == [False] * 4 + [True]
    await client.wait("same")
    assert not (await client.create("same", closure)).created
    await delivered(recorder, "same", "workflow SUCCEEDED")
    assert recorder.phases("same").count("workflow RUNNING") == 1


async def test_a_digest_is_enough_for_a_workflow_that_is_held(start: Start) -> None:
    client = await start()
    closure = closures.chain(1)
    digest = hashlib.sha256(closure.SerializeToString(deterministic=True)).digest()
    assert (await client.create("early", None, digest=digest)).closure_required
    assert (await client.create("first", closure, digest=digest)).created
    assert (await client.create("second", None, digest=digest)).created
    assert await client.wait("second") == "SUCCEEDED"
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await client.describe("early")
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"execution_id": core.WorkflowExecutionIdentifier(project="p", domain="d")}, "name"),
        ({"closure_digest": b"short"}, "closure_digest"),
        ({"closure": None}, "closure"),
    ],
)
async def test_bad_requests_name_the_field(start: Start, change: dict[str, Any], field: str) -> None:
    client = await start()
    good = {
        "execution_id": core.WorkflowExecutionIdentifier(project="p", domain="d", name="bad"),
        "closure": closures.chain(1),
    }
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.stub.CreateExecution(propeller.CreateExecutionRequest(**good | change))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field in str(refused.value.details())


async def test_executions_created_in_one_call_have_an_outcome_each(start: Start) -> None:
    client = await start()
    closure = closures.chain(1)
    digest = hashlib.sha256(closure.SerializeToString(deterministic=True)).digest()

    def wanted(name: str, **change: Any) -> propeller.CreateExecutionRequest:
        place = core.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name=name)
        wish: dict[str, Any] = {"execution_id": place, "closure_digest": digest, "inputs": closures.integers(x=1)}
        return propeller.CreateExecutionRequest(**wish | change)

    assert (await client.stub.CreateExecution(wanted("first", closure=closure))).created
    assert await client.wait("first") == "SUCCEEDED"
    wishes = [
        wanted("second"),
        wanted("first"),
        wanted("third", closure_digest=b"short"),
        wanted("fourth", closure_digest=b"?" * 32),
        wanted("fifth"),
        wanted("second"),
    ]
    response = await client.stub.CreateExecutions(propeller.CreateExecutionsRequest(executions=wishes))
    told = [
        "created"
        if outcome.response.created
        else "closure"
        if outcome.response.closure_required
        else f"{outcome.error.code} {outcome.error.message}"
        if outcome.HasField("error")
        else "known"
        for outcome in response.outcomes
    ]
    assert told[:2] == ["created", "known"]
    assert told[2].startswith("3 ")
    assert "closure_digest" in told[2]
    assert told[3:] == ["closure", "created", "known"]
    assert {await client.wait(name) for name in ("second", "fifth")} == {"SUCCEEDED"}


async def test_too_many_executions_in_one_call_are_refused(start: Start) -> None:
    client = await start()
    wishes = [propeller.CreateExecutionRequest()] * 251
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.stub.CreateExecutions(propeller.CreateExecutionsRequest(executions=wishes))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "at most 250" in str(refused.value.details())


async def test_a_node_kind_that_cannot_be_run_is_refused_by_name(start: Start) -> None:
    client = await start()
    closure = closures.chain(1)
    closure.primary.template.nodes[1].ClearField("task_node")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.create("odd", closure)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "n0" in str(refused.value.details())


async def test_a_failing_task_fails_the_execution(start: Start, recorder: Any) -> None:
    client = await start()
    closure = closures.closure([TaskNodeSpec("n0", task_type="nobody"), TaskNodeSpec("n1", source="n0")])
    await client.create("failing", closure)
    assert await client.wait("failing") == "FAILED"
    told = await delivered(recorder, "failing", "workflow FAILED")
    assert told[-4:] == ["n0[0] FAILED", "n0 FAILED", "workflow FAILING", "workflow FAILED"]
    error = recorder.events[-1].workflow.error
    assert error.code == "UnsupportedTaskType"
    assert "nobody" in error.message
    assert (await client.describe("failing")).error == error


async def test_abort_is_durable_and_told(start: Start, recorder: Any) -> None:
    client = await start()
    closure = closures.closure([TaskNodeSpec("n0", task_type="nobody", retries=0), TaskNodeSpec("n1")])
    assert not await client.abort("never", "who")
    await client.create("stop", closure, options=propeller.ExecutionOptions(max_parallelism=1))
    assert await client.abort("stop", "enough")
    assert await client.wait("stop") in ("ABORTED", "FAILED")
    assert await client.abort("stop", "again")


async def test_watching_ends_after_the_terminal_view(start: Start) -> None:
    client = await start()
    await client.create("watched", closures.chain(20))
    views = await client.watch("watched")
    assert views[-1].phase == core.WorkflowExecution.SUCCEEDED
    again = await client.watch("watched")
    assert [view.phase for view in again] == [core.WorkflowExecution.SUCCEEDED]
    assert {node.node_id for node in again[0].nodes} == {"start-node", "end-node", *(f"n{n}" for n in range(20))}


async def test_work_goes_on_while_admin_is_down_and_it_catches_up(start: Start, recorder: Any) -> None:
    client = await start()
    recorder.down = True
    for number in range(5):
        await client.create(f"down-{number}", closures.chain(3))
    for number in range(5):
        assert await client.wait(f"down-{number}") == "SUCCEEDED"
    assert recorder.events == []
    assert (await client.describe("down-0")).undelivered_events == 18
    recorder.down = False
    for number in range(5):
        told = await delivered(recorder, f"down-{number}", "workflow SUCCEEDED")
        assert told[0] == "workflow RUNNING"
        assert len(told) == len(set(told)) == 18


async def test_the_backlog_of_events_survives_a_restart(start: Start, recorder: Any) -> None:
    first = await start()
    recorder.down = True
    await first.create("backlog", closures.chain(2))
    assert await first.wait("backlog") == "SUCCEEDED"
    await first.app.runtime.kill()
    recorder.down = False
    await start()
    told = await delivered(recorder, "backlog", "workflow SUCCEEDED")
    assert len(told) == len(set(told))


async def test_metadata_of_large_values_goes_to_files(start: Start, recorder: Any) -> None:
    client = await start(inline_limit_bytes=0)
    await client.create("large", closures.chain(2))
    assert await client.wait("large") == "SUCCEEDED"
    await delivered(recorder, "large", "workflow SUCCEEDED")
    nodes = [event.node for event in recorder.events if event.HasField("node")]
    succeeded = {node.id.node_id: node for node in nodes if node.phase == core.NodeExecution.SUCCEEDED}
    assert succeeded["n1"].input_uri.endswith("/large/n1/data/inputs.pb".replace("/large", "-large"))
    assert succeeded["n1"].output_uri.endswith("-large/n1/data/0/outputs.pb")
    assert not any(node.HasField("input_data") or node.HasField("output_data") for node in nodes)
