"""Propeller as a process of its own, killed in the middle of its work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit.grpc_client import channel
from elevon_propeller.simulation import closures
from google.protobuf.duration_pb2 import Duration

LENGTH = 40


def sleeping_chain() -> core.CompiledWorkflowClosure:
    """A chain of naps of 20 ms."""
    closure = closures.chain(LENGTH, task_type="core-sleep")
    del closure.primary.template.outputs[:]
    for compiled in closure.tasks:
        compiled.template.interface.outputs.variables.clear()
        compiled.template.interface.inputs.variables["x"].type.simple = core.SimpleType.DURATION
    nap = core.Literal(scalar=core.Scalar(primitive=core.Primitive(duration=Duration(nanos=20_000_000))))
    for number, node in enumerate(closure.primary.template.nodes[1:-1]):
        node.inputs[0].binding.scalar.CopyFrom(nap.scalar)
        if number:
            node.upstream_node_ids.append(f"n{number - 1}")
    return closure


class Process:
    """A propeller that can be killed."""

    def __init__(self, folder: Path, admin: str) -> None:
        self._ready = folder / "ready.json"
        self._ready.unlink(missing_ok=True)
        arguments = {
            "database.url": f"sqlite+aiosqlite:///{folder}/engine.db",
            "database.migrate": "true",
            "blobs.container": str(folder / "store"),
            "http.enabled": "false",
            "admin.address": admin,
            "engine.lease_seconds": "0.5",
            "plugins.process.enabled": "false",
            "data_folder": str(folder / "data"),
            "ready_file": str(self._ready),
        }
        command = [sys.executable, "-m", "elevon_propeller", *(f"--{key}={value}" for key, value in arguments.items())]
        self._log = (folder / "log").open("ab")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    async def address(self) -> str:
        """Where it listens, once it does."""
        while not self._ready.exists():
            assert self._process.poll() is None, Path(self._log.name).read_text()
            await asyncio.sleep(0.01)
        found: str = json.loads(self._ready.read_text())["grpc"]
        return found

    def end(self, number: int) -> int:
        """End it with a signal; answers its exit code."""
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        code = self._process.wait(20)
        self._log.close()
        return code


async def test_kill_minus_nine_in_the_middle_loses_nothing(recorder_address: Any, tmp_path: Path) -> None:
    recorder, admin = recorder_address
    name = core.WorkflowExecutionIdentifier(project="p", domain="d", name="killed")
    first = Process(tmp_path, admin)
    async with channel(await first.address()) as opened:
        stub = cast(
            "propeller_service_pb2_grpc.PropellerServiceAsyncStub",
            propeller_service_pb2_grpc.PropellerServiceStub(opened),
        )
        request = propeller.CreateExecutionRequest(execution_id=name, closure=sleeping_chain())
        assert (await stub.CreateExecution(request)).created
    while "n5 SUCCEEDED" not in recorder.phases("killed"):
        await asyncio.sleep(0.005)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = Process(tmp_path, admin)
    await second.address()
    while "workflow SUCCEEDED" not in recorder.phases("killed"):
        await asyncio.sleep(0.01)
    assert second.end(signal.SIGTERM) == 0
    told = list(dict.fromkeys(recorder.phases("killed")))
    assert [text for text in told if text.startswith("n") and text.endswith(" SUCCEEDED") and "[" not in text] == [
        f"n{number} SUCCEEDED" for number in range(LENGTH)
    ]
    assert not any("[1]" in text for text in told)
