"""What `elevon logs` finds, and what it says when it finds nothing."""

from __future__ import annotations

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
