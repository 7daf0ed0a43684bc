"""A task that leaves every kind of bad result behind, and neighbours that must not suffer from it."""

import os
import sys
from pathlib import Path

from flyteidl.core.dynamic_job_pb2 import DynamicJobSpec
from flyteidl.core.literals_pb2 import LiteralMap
from flytekit import WorkflowFailurePolicy, task, workflow


def folder() -> Path:
    """Where flytekit was told to write results."""
    path = Path(sys.argv[sys.argv.index("--output-prefix") + 1])
    path.mkdir(parents=True, exist_ok=True)
    return path


def leave(name: str, data: bytes) -> None:
    """End at once, with one file for a result."""
    (folder() / name).write_bytes(data)
    os._exit(0)


def wrong_type() -> bytes:
    outputs = LiteralMap()
    outputs.literals["o0"].scalar.primitive.string_value = "no number"
    outputs.literals["o1"].scalar.primitive.string_value = "fine"
    return outputs.SerializeToString()


def incomplete() -> bytes:
    outputs = LiteralMap()
    outputs.literals["o0"].scalar.primitive.integer = 1
    return outputs.SerializeToString()


def too_large() -> bytes:
    """Right in every respect but for its size."""
    outputs = LiteralMap()
    outputs.literals["o0"].scalar.primitive.integer = 1
    outputs.literals["o1"].scalar.primitive.string_value = "x" * (11 * 1024 * 1024)
    return outputs.SerializeToString()


def empty_graph() -> bytes:
    """A job without nodes, whose output is that of a node that is not there."""
    job = DynamicJobSpec()
    output = job.outputs.add(var="o0")
    output.binding.promise.node_id = "dn7"
    output.binding.promise.var = "o0"
    return job.SerializeToString()


def absent_task() -> bytes:
    """A job whose only node runs a task that nobody has registered."""
    job = DynamicJobSpec()
    reference = job.nodes.add(id="dn0").task_node.reference_id
    reference.resource_type, reference.name, reference.version = 1, "nobody.registered_this", "v1"
    reference.project = os.environ["FLYTE_INTERNAL_TASK_PROJECT"]
    reference.domain = os.environ["FLYTE_INTERNAL_TASK_DOMAIN"]
    return job.SerializeToString()


@task
def bad(kind: str) -> tuple[int, str]:
    if kind == "wrong-type":
        leave("outputs.pb", wrong_type())
    elif kind == "incomplete":
        leave("outputs.pb", incomplete())
    elif kind == "corrupt-outputs":
        leave("outputs.pb", b"\xff" * 20)
    elif kind == "corrupt-error":
        leave("error.pb", b"\xff" * 20)
    elif kind == "corrupt-futures":
        leave("futures.pb", b"\xff" * 20)
    elif kind == "empty-graph":
        leave("futures.pb", empty_graph())
    elif kind == "absent-task":
        leave("futures.pb", absent_task())
    elif kind == "nothing":
        os._exit(0)
    leave("outputs.pb", too_large())
    return 1, ""


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def needs(number: int) -> int:
    return number


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def patient(kind: str) -> int:
    number, _ = bad(kind=kind)
    needs(number=number)
    return add(a=add(a=1, b=1), b=1)


@workflow
def impatient(kind: str) -> int:
    number, _ = bad(kind=kind)
    return needs(number=number)
