"""An execution, looked at whenever the control plane tells that it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
from elevon_client import Client, is_terminal
from elevon_idl.core import v1 as core
from grpc.aio import AioRpcError

from elevon.commands.execution_tree import ExecutionReader, ExecutionView

RETRY_SECONDS = 0.2

ARRIVAL_SECONDS = 5.0
"""How long the first look is tried: as long as a control plane needs that was just starting again."""

_WITHOUT_STREAMS = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""What a control plane answers that has no streams, or none left: it is asked again and again."""


async def views(
    client: Client, key: core.WorkflowExecutionIdentifier, interval: float, patience: float
) -> AsyncIterator[ExecutionView]:
    """The execution as it is, and after its changes, the last one when it has ended.

    There are `interval` seconds between two looks at least. Once it has answered, the control plane may be away for
    `patience` seconds.
    """
    reader, changed = ExecutionReader(client, key), asyncio.Event()
    view = await _patiently(reader, min(patience, ARRIVAL_SECONDS))
    listening = asyncio.create_task(_listen(client, key, changed, patience), name=f"changes of {key.name}")
    try:
        while True:
            yield view
            if is_terminal(view.execution):
                return
            await _change(changed, listening)
            await asyncio.sleep(interval)
            changed.clear()
            view = await _patiently(reader, patience)
    finally:
        listening.cancel()


async def _listen(
    client: Client, key: core.WorkflowExecutionIdentifier, changed: asyncio.Event, patience: float
) -> None:
    async for _ in client.watch(key, patience=patience, reached=True):
        changed.set()


async def _change(changed: asyncio.Event, listening: asyncio.Task[None]) -> None:
    """Wait until there may be something new; raises what ended the stream."""
    waiting = asyncio.create_task(changed.wait(), name="a change")
    try:
        await asyncio.wait({waiting, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if listening.done():
        error = listening.exception()
        if error is not None and not (isinstance(error, AioRpcError) and error.code() in _WITHOUT_STREAMS):
            raise error


async def _patiently(reader: ExecutionReader, patience: float) -> ExecutionView:
    now = asyncio.get_running_loop().time
    deadline = now() + patience
    while True:
        try:
            return await reader.read()
        except AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or now() > deadline:
                raise
        await asyncio.sleep(RETRY_SECONDS)
