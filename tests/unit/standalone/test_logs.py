"""What `elevon logs` finds, and what it says when it finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from elevon.commands import logs
from elevon.commands.connection import CommandFailed
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from tests.unit.standalone.nodes_of_an_execution import KEY, OneExecution, node


def attempt_of(name: str, *uris: str) -> admin.TaskExecution:
    task = admin.TaskExecution(id=core.TaskExecutionIdentifier(node_execution_id=node(name).id))
    task.closure.logs.extend(core.TaskLog(uri=uri) for uri in uris)
    return task


def array(*elements: tuple[int, int]) -> admin.TaskExecution:
    task = attempt_of("n0")
    for index, attempt in elements:
        resource = task.closure.metadata.external_resources.add(index=index, retry_attempt=attempt)
        resource.logs.add(uri=f"s3://logs/{index}/{attempt}")
    return task


async def printed(
    world: OneExecution, capsys: pytest.CaptureFixture[str], node: str = "", attempt: int | None = None
) -> list[str]:
    await logs.Logs(world.client(), KEY, node, attempt).print(following=False)
    return capsys.readouterr().out.splitlines()


async def test_attempts_of_elements_are_counted_by_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    world = OneExecution({"": [node("n0")]}, {"n0": [array((0, 0), (1, 0), (1, 1))]})
    assert await printed(world, capsys, "n0", 1) == ["n0[1], attempt 1 s3://logs/1/1"]
    assert len(await printed(world, capsys, "n0", 0)) == 2
    with pytest.raises(CommandFailed, match="has no attempt 2; there are: 0, 1"):
        await printed(world, capsys, "n0", 2)


@pytest.mark.parametrize(
    ("phase", "told"),
    [
        (core.WorkflowExecution.SUCCEEDED, "the data of execution e was deleted: neither its nodes nor their logs"),
        (core.WorkflowExecution.ABORTED, "execution e has no nodes: none had begun when it ended, or its data was"),
    ],
)
@pytest.mark.parametrize("asked", ["", "n0"])
async def test_data_that_was_deleted(
    asked: str, phase: core.WorkflowExecution.Phase.ValueType, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandFailed, match=told):
        await printed(OneExecution({}, phase=phase), capsys, asked)


async def test_an_execution_that_has_not_begun_has_logged_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    world = OneExecution({}, phase=core.WorkflowExecution.QUEUED)
    assert await printed(world, capsys) == ["execution e has logged nothing"]


async def test_a_log_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    here, gone = tmp_path / "here", (tmp_path / "gone").as_uri()
    here.write_text("words\n")
    world = OneExecution({"": [node("n0")]}, {"n0": [attempt_of("n0", here.as_uri(), gone)]})
    assert await printed(world, capsys) == [
        "── n0, attempt 0",
        "words",
        f"n0, attempt 0 {gone} is not there any more, or is on another machine",
    ]


async def test_logs_that_are_empty(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    world = OneExecution({"": [node("n0")]}, {"n0": [attempt_of("n0", empty.as_uri())]})
    assert await printed(world, capsys) == ["execution e has logged nothing"]


async def test_what_follows_a_log_that_is_cut_off_begins_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cut, whole, elsewhere = tmp_path / "cut", tmp_path / "whole", "s3://logs/n2"
    cut.write_text("no end")
    whole.write_text("an end\n")
    uris = {"n0": cut.as_uri(), "n1": whole.as_uri(), "n2": elsewhere}
    world = OneExecution({"": list(map(node, uris))}, {name: [attempt_of(name, uri)] for name, uri in uris.items()})
    assert await printed(world, capsys) == [
        *("── n0, attempt 0", "no end", "── n1, attempt 0", "an end"),
        "n2, attempt 0 s3://logs/n2",
    ]


@pytest.mark.parametrize(
    ("node_id", "attempt", "hint", "error"),
    [
        ("nope", None, "no node nope so far\n", "has no node 'nope'; there are: n0"),
        ("n0", 1, "no attempt 1 so far\n", "has no attempt 1; there are: 0"),
        ("n0", 0, "", ""),
    ],
)
async def test_what_is_followed_and_not_there(
    node_id: str,
    attempt: int | None,
    hint: str,
    error: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(logs, "FOLLOW_SECONDS", 0)
    gone = (tmp_path / "gone").as_uri()
    world = OneExecution({"": [node("n0")]}, {"n0": [attempt_of("n0", gone)]}, phase=core.WorkflowExecution.QUEUED)
    rounds = iter((core.WorkflowExecution.RUNNING, core.WorkflowExecution.RUNNING, core.WorkflowExecution.SUCCEEDED))

    async def execution(key: core.WorkflowExecutionIdentifier) -> admin.Execution:
        return admin.Execution(id=key, closure=admin.ExecutionClosure(phase=next(rounds)))

    monkeypatch.setattr(world, "execution", execution)
    following = logs.Logs(world.client(), KEY, node_id, attempt).print(following=True)
    if error:
        with pytest.raises(CommandFailed, match=error):
            await following
    else:
        await following
    said = capsys.readouterr()
    assert said.err == hint
    assert said.out.count("is not there any more") == (0 if error else 1)
