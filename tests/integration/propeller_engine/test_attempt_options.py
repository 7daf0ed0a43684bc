"""What nodes and executions ask for is in the attempts that plugins get, and in the events that tell of them."""

from __future__ import annotations

from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec
from google.protobuf.wrappers_pb2 import BoolValue

from tests.integration.propeller_engine.engines import Begin, echo, failing, identifier

INTERRUPTIBLE, DEFAULT = event.TaskExecutionMetadata.INTERRUPTIBLE, event.TaskExecutionMetadata.DEFAULT


async def test_the_last_system_retry_is_not_interruptible(begin: Begin) -> None:
    attempts: list[Attempt] = []
    fails = failing(AttemptPhase.RETRYABLE_FAILURE, 3, core.ExecutionError.SYSTEM)

    def script(attempt: Attempt) -> Report:
        attempts.append(attempt)
        return fails(attempt)

    engine = await begin(script)
    await engine.create("preempted", closures.closure([TaskNodeSpec("n0")]), interruptible=BoolValue(value=True))
    assert await engine.wait("preempted") == "SUCCEEDED"
    assert [attempt.interruptible for attempt in attempts] == [True, True, True, False]
    told = [each.task for each in engine.admin.events if each.HasField("task")]
    classes = {each.retry_attempt: each.metadata.instance_class for each in told}
    assert classes == {0: INTERRUPTIBLE, 1: INTERRUPTIBLE, 2: INTERRUPTIBLE, 3: DEFAULT}


async def test_a_users_failure_leaves_an_attempt_interruptible(begin: Begin) -> None:
    attempts: list[Attempt] = []
    fails = failing(AttemptPhase.RETRYABLE_FAILURE, 2)

    def script(attempt: Attempt) -> Report:
        attempts.append(attempt)
        return fails(attempt)

    engine = await begin(script)
    closure = closures.closure([TaskNodeSpec("n0", retries=2)])
    await engine.create("retried", closure, interruptible=BoolValue(value=True))
    assert await engine.wait("retried") == "SUCCEEDED"
    assert [attempt.interruptible for attempt in attempts] == [True, True, True]


async def test_the_node_decides_over_the_execution_and_that_over_the_workflow(begin: Begin) -> None:
    attempts: dict[str, Attempt] = {}

    def script(attempt: Attempt) -> Report:
        attempts[f"{attempt.execution_id.name} {attempt.node_id}"] = attempt
        return echo(attempt)

    engine = await begin(script)
    closure = closures.closure([TaskNodeSpec("says-no"), TaskNodeSpec("silent")])
    closure.primary.template.metadata_defaults.interruptible = True
    for node in closure.primary.template.nodes:
        if node.id == "says-no":
            node.metadata.interruptible = False
    await engine.create("by-default", closure)
    await engine.create("by-execution", closure, interruptible=BoolValue(value=False))
    for name in ("by-default", "by-execution"):
        assert await engine.wait(name) == "SUCCEEDED"
    assert {name: attempt.interruptible for name, attempt in attempts.items()} == {
        "by-default says-no": False,
        "by-default silent": True,
        "by-execution says-no": False,
        "by-execution silent": False,
    }


async def test_what_an_execution_sets_reaches_every_attempt(begin: Begin) -> None:
    attempts: list[Attempt] = []

    def script(attempt: Attempt) -> Report:
        attempts.append(attempt)
        return echo(attempt)

    engine = await begin(script)
    closure = closures.closure([TaskNodeSpec("n0")])
    for node in closure.primary.template.nodes:
        if node.id == "n0":
            node.task_node.overrides.container_image = "image of the node"
            node.task_node.overrides.resources.requests.add(name=core.Resources.CPU, value="2")
            node.metadata.name = "a better name"
    identity = core.SecurityContext(run_as=core.Identity(k8s_service_account="robot"))
    await engine.create(
        "labelled",
        closure,
        labels={"team": "blue"},
        annotations={"note": "urgent"},
        environment={"MODE": "fast"},
        security_context=identity,
        raw_output_prefix="s3://elsewhere/raw/",
    )
    assert await engine.wait("labelled") == "SUCCEEDED"
    (attempt,) = attempts
    assert (attempt.labels, attempt.annotations, attempt.environment) == (
        {"team": "blue"},
        {"note": "urgent"},
        {"MODE": "fast"},
    )
    assert attempt.security_context == identity
    assert attempt.paths.raw_output_prefix.startswith("s3://elsewhere/raw/")
    assert attempt.execution_id == identifier("labelled")
    assert attempt.overrides is not None
    assert attempt.overrides.container_image == "image of the node"
    assert attempt.overrides.resources.requests[0].value == "2"
    assert {each.node_name for each in engine.node_events("n0")} == {"a better name"}
