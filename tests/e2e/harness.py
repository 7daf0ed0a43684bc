"""A whole control plane for a test: real processes, driven from synchronous test code."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import grpc
from elevon.control_plane import ControlPlane
from elevon.settings import StandaloneSettings
from flyteidl.admin import common_pb2, execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.service import admin_pb2_grpc

from tests.flytekit_environment import flytekit_interpreter

Result = TypeVar("Result")

PROJECT, DOMAIN = "flytesnacks", "development"
TERMINAL = (
    core_execution_pb2.WorkflowExecution.SUCCEEDED,
    core_execution_pb2.WorkflowExecution.FAILED,
    core_execution_pb2.WorkflowExecution.ABORTED,
    core_execution_pb2.WorkflowExecution.TIMED_OUT,
)
Phase = core_execution_pb2.WorkflowExecution.Phase
Id: TypeAlias = Any  # flyteidl carries no types: a WorkflowExecutionIdentifier


class Plane:
    """Runs `ControlPlane` on an event loop of its own thread, and speaks to it with the official stubs."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None, **settings: Any) -> None:
        self.environment = dict(environment or {})
        self._killed: set[int] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="control plane", daemon=True)
        self._thread.start()
        self.python = flytekit_interpreter()
        standalone = StandaloneSettings(port=0, data_dir=data_dir, python=self.python, drain_seconds=30, **settings)
        self.control = self.call(self._build(standalone))
        self.target = f"localhost:{self.control.port}"
        self.channel = grpc.insecure_channel(self.target)
        self.admin = admin_pb2_grpc.AdminServiceStub(self.channel)

    async def _build(self, settings: StandaloneSettings) -> ControlPlane:
        os.environ.update(self.environment)
        control = ControlPlane(settings)
        try:
            control.acquire()
            await control.start()
        except BaseException:
            await control.stop()
            self._loop.call_later(1, self._loop.stop)  # or its thread keeps the tests from ending
            raise
        finally:
            for name in self.environment:
                os.environ.pop(name, None)
        return control

    def call(self, work: Coroutine[Any, Any, Result], seconds: float = 90) -> Result:
        """Run a coroutine on the control plane's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def close(self) -> None:
        """Drain everything and end the thread."""
        self.channel.close()
        self.call(self.control.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def kill(self, service: str) -> None:
        """End a service with SIGKILL, once it has come back from the last time; the supervisor starts it again."""
        process = self.control.services[service]
        pid = until(lambda: process.pid if process.pid not in self._killed else None, 30, f"{service} to run")
        self._killed.add(pid)
        os.kill(pid, signal.SIGKILL)

    def stop(self, service: str) -> None:
        """Stop a service until `start`."""
        self.call(self.control.services[service].stop())

    def start(self, service: str) -> None:
        """Start a service that was stopped."""
        process = self.control.services[service]
        self.call(process.launch())
        self.call(process.ready(60))

    def flytekit(
        self, *arguments: str | Path, check: bool = True, given: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the tasks' environment as a user would, with only the platform variables set.

        `given` is its standard input.
        """
        command = [str(self.python.parent / str(arguments[0])), *map(str, arguments[1:])]
        variables = {
            "FLYTE_PLATFORM_URL": self.target,
            "FLYTE_PLATFORM_INSECURE": "true",
            "HOME": str(self.control.layout.root),
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            **environment,
        }
        try:
            done = subprocess.run(
                command,
                env=variables,
                input=given,
                capture_output=True,
                text=True,
                timeout=280,
                check=False,
                cwd=Path(__file__).parent / "project",
            )
        except subprocess.TimeoutExpired as stuck:
            errors = (stuck.stderr or b"").decode()
            raise AssertionError(f"{command} has not ended in {stuck.timeout} s\n{errors}\n{self.unended()}") from None
        if check:
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def register(self, module: str, version: str) -> str:
        """Register a module of tests/e2e/project under a version; returns what pyflyte printed."""
        done = self.flytekit("pyflyte", "register", "--version", version, f"{module}.py")
        return done.stdout + done.stderr

    def launch(
        self,
        name: str,
        version: str,
        inputs: literals_pb2.LiteralMap | None = None,
        *,
        kind: int = identifier_pb2.LAUNCH_PLAN,
        **spec: Any,
    ) -> Id:
        """Create an execution of a launch plan, or of a task with `kind`."""
        plan = identifier_pb2.Identifier(resource_type=kind, project=PROJECT, domain=DOMAIN, name=name, version=version)
        request = execution_pb2.ExecutionCreateRequest(
            project=PROJECT,
            domain=DOMAIN,
            inputs=inputs or literals_pb2.LiteralMap(),
            spec=execution_pb2.ExecutionSpec(launch_plan=plan, metadata=execution_pb2.ExecutionMetadata(), **spec),
        )
        return self.patiently(lambda: self.admin.CreateExecution(request).id)

    def execution_named(self, name: str) -> Id:
        """The identifier of an execution of the project."""
        return identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)

    def execution(self, execution: Id) -> execution_pb2.Execution:
        """The execution as admin tells it."""
        return self.patiently(lambda: self.admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=execution)))

    def wait(self, execution: Id, seconds: float = 90) -> execution_pb2.Execution:
        """The execution once it has ended."""
        return until(
            lambda: (found := self.execution(execution)).closure.phase in TERMINAL and found, seconds, "the end"
        )

    def nodes(self, execution: Id) -> dict[str, node_execution_pb2.NodeExecution]:
        """The top level's node executions by id."""
        request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=execution, limit=1000)
        return {node.id.node_id: node for node in self.admin.ListNodeExecutions(request).node_executions}

    def attempts(self, node: node_execution_pb2.NodeExecution) -> list[task_execution_pb2.TaskExecution]:
        """The task executions of a node, first attempt first."""
        request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node.id, limit=100)
        found = list(self.admin.ListTaskExecutions(request).task_executions)
        return sorted(found, key=lambda attempt: attempt.id.retry_attempt)

    def unended(self) -> str:
        """The executions that have not ended and their nodes, for the report of a test that waited in vain."""
        request = common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN),
            limit=100,
            filters="value_in(phase,QUEUED;RUNNING;SUCCEEDING;FAILING;ABORTING)",
        )
        running = self.admin.ListExecutions(request).executions
        return "\n".join(f"{execution}\n{self.nodes(execution.id)}" for execution in running)

    def outputs(self, execution: Id) -> Mapping[str, literals_pb2.Literal]:
        """The outputs of an execution."""
        request = execution_pb2.WorkflowExecutionGetDataRequest(id=execution)
        literals: Mapping[str, literals_pb2.Literal] = self.admin.GetExecutionData(request).full_outputs.literals
        return literals

    def patiently(self, work: Callable[[], Result]) -> Result:
        """Repeat a call while the control plane is out of reach, as any client does; every call is idempotent."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return work()
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def until(condition: Callable[[], Result | None], seconds: float, what: str) -> Result:
    """The first answer of `condition` that is something and true; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def integer(value: int) -> literals_pb2.Literal:
    """An integer literal."""
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def string(value: str) -> literals_pb2.Literal:
    """A string literal."""
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=value)))


def inputs(**values: int | str) -> literals_pb2.LiteralMap:
    """A literal map of integers and strings."""
    return literals_pb2.LiteralMap(
        literals={name: integer(value) if isinstance(value, int) else string(value) for name, value in values.items()}
    )
