"""Executions that recover others, on real databases and by what a real admin remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from elevon_admin.app import MIGRATIONS as ADMIN_MIGRATIONS
from elevon_core.errors import Unavailable
from elevon_idl.core import v1 as core
from elevon_kit.grpc_client import channel
from elevon_propeller.drivers.admin_service import GrpcAdminService
from elevon_propeller.engine.originals import Original, OriginalNode
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.ports import ChildOutcome
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec
from flyteidl.admin import signal_pb2
from flyteidl.core import catalog_pb2, identifier_pb2, types_pb2
from flyteidl.core import execution_pb2 as official
from flyteidl.event import event_pb2

from tests.integration.admin_executions import harness
from tests.integration.propeller_engine.engines import Begin, Engine, echo, eventually, identifier, plugin, report
from tests.integration.propeller_engine.test_offspring import LAUNCHING, know_plan, launched, outputs

Workflow = core.WorkflowExecution
OUTER = closures.chain(4)
ERROR = core.ExecutionError(code="Broken", message="it broke", kind=core.ExecutionError.USER)


def breaking(*node_ids: str) -> Callable[[Attempt], Report]:
    """Attempts of some nodes fail for good, all others echo."""

    def script(attempt: Attempt) -> Report:
        if attempt.node_id in node_ids:
            return report(AttemptPhase.PERMANENT_FAILURE, error=ERROR)
        return echo(attempt)

    return script


def phases(engine: Engine, name: str) -> dict[str, str]:
    """The last phase told of each node of an execution."""
    told = [event.node for event in engine.admin.events if event.node.id.execution_id.name == name]
    return {event.id.node_id: core.NodeExecution.Phase.Name(event.phase) for event in told}


async def test_a_recovery_survives_crashes(begin: Begin) -> None:
    first = await begin(breaking("n2"))
    await first.create("first", OUTER)
    assert await first.wait("first") == "FAILED"
    second = await begin(plugin(lambda attempt: None if attempt.node_id == "n3" else echo(attempt)))
    await first.stop()
    await second.create("second", OUTER, recovered_from=identifier("first"))
    await eventually(lambda: "second-n3-0" in second.plugin.running)
    await second.stop(dead=True)
    third = await begin(echo)
    assert await third.wait("second") == "SUCCEEDED"
    assert await outputs(third, "second") == closures.integers(x=1)
    assert sorted([*second.plugin.started, *third.plugin.started]) == ["second-n2-0", "second-n3-0", "second-n3-0"]
    await third.runtime.outbox.flushed(5)
    told = phases(third, "second")
    assert (told["n0"], told["n1"], told["n2"], told["n3"]) == ("RECOVERED", "RECOVERED", "SUCCEEDED", "SUCCEEDED")


async def test_elements_of_an_array_stay_in_the_store_until_they_are_needed(begin: Begin) -> None:
    spec = ArraySpec(runs_all=True)
    engine = await begin(breaking("n0-0-n17"))
    await engine.create_with("first", closures.array(spec), closures.lists(x=range(300), y=range(300)))
    assert await engine.wait("first") == "FAILED"
    await engine.stop()
    other = await begin(echo)
    lists = closures.lists(x=range(300), y=range(300))
    await other.create_with("second", closures.array(spec), lists, recovered_from=identifier("first"))
    assert await other.wait("second") == "SUCCEEDED"
    assert await outputs(other, "second") == lists
    assert len(other.plugin.started) == 1


async def test_a_failed_child_is_recovered_and_one_that_never_was_is_launched(begin: Begin) -> None:
    engine = await begin(echo)
    know_plan(engine)
    await engine.create("first", LAUNCHING)
    await eventually(lambda: launched(engine) == {"first-n0-0"})
    engine.service.end(identifier("first-n0-0"), ChildOutcome(Workflow.FAILED, error=ERROR))
    assert await engine.wait("first") == "FAILED"
    engine.service.failures = [Unavailable("down")]
    await engine.create("second", LAUNCHING, recovered_from=identifier("first"))
    await eventually(lambda: "second-n0-0" in launched(engine))
    request = engine.service.launched["p", "d", "second-n0-0"]
    assert request.spec.metadata.reference_execution.name == "first-n0-0"
    assert request.spec.metadata.parent_node_execution.execution_id.name == "second"
    del engine.service.launched["p", "d", "first-n0-0"]
    await engine.create("third", LAUNCHING, recovered_from=identifier("first"))
    await eventually(lambda: "third-n0-0" in launched(engine))
    scratch = engine.service.launched["p", "d", "third-n0-0"]
    assert not scratch.spec.metadata.HasField("reference_execution")
    for child in ("second-n0-0", "third-n0-0"):
        outcome = ChildOutcome(Workflow.SUCCEEDED, outputs=closures.integers(x=4))
        engine.service.end(identifier(child), outcome)
    assert await engine.wait("second") == await engine.wait("third") == "SUCCEEDED"


async def test_what_the_engine_has_forgotten_is_asked_of_admin(begin: Begin) -> None:
    engine = await begin(echo)
    await engine.blobs.write("mem://old/outputs.pb", closures.integers(x=8).SerializeToString())
    nodes = {
        "n0": OriginalNode(NodePhase.SUCCEEDED, outputs=closures.integers(x=7).SerializeToString()),
        "n1": OriginalNode(NodePhase.RECOVERED, outputs_uri="mem://old/outputs.pb"),
        "n2": OriginalNode(NodePhase.FAILED),
    }
    engine.service.executions.add(("p", "d", "old"))
    engine.service.originals["p", "d", "old"] = Original("old", nodes)
    engine.service.failures = [Unavailable("down"), Unavailable("still")]
    await engine.create("new", OUTER, recovered_from=identifier("old"))
    assert await engine.wait("new") == "SUCCEEDED"
    assert await outputs(engine, "new") == closures.integers(x=8)
    assert sorted(engine.plugin.started) == ["new-n2-0", "new-n3-0"]


async def test_an_original_that_nobody_knows_is_run_from_the_start(begin: Begin) -> None:
    engine = await begin(echo)
    await engine.create("new", OUTER, recovered_from=identifier("never"))
    assert await engine.wait("new") == "SUCCEEDED"
    assert len(engine.plugin.started) == 4


@pytest.mark.parametrize("schema", [ADMIN_MIGRATIONS], ids=["admin"])
async def test_an_original_is_read_from_a_real_admin(sqlite_url: str, tmp_path: Path) -> None:
    node = official.NodeExecution
    async with harness.serving(sqlite_url, tmp_path / "blobs") as running:
        execution = await running.launch(await running.register("w"), "old")
        await running.report(execution, official.WorkflowExecution.RUNNING)
        child = await running.launch(await running.register("v"), "its-child")
        told = running.report_node
        await told(execution, "n0", node.SUCCEEDED, output_data=harness.literals(x=3))
        await told(execution, "n1", node.SUCCEEDED, output_uri="s3://there/outputs.pb", deck_uri="s3://there/deck")
        metadata = event_pb2.WorkflowNodeMetadata(execution_id=child)
        await told(execution, "n2", node.RUNNING)
        await told(execution, "n2", node.FAILED, 1, workflow_node_metadata=metadata)
        await told(execution, "n3", node.RUNNING, is_parent=True)
        parent = event_pb2.ParentNodeExecutionMetadata(node_id="n3")
        for number in range(3):
            below = {"parent_node_metadata": parent, "retry_group": "1", "output_data": harness.literals(x=number)}
            await told(execution, f"n3-1-c{number}", node.SUCCEEDED, **below)
        catalog = catalog_pb2.CatalogMetadata(
            dataset_id=identifier_pb2.Identifier(resource_type=identifier_pb2.DATASET, name="kept")
        )
        task = event_pb2.TaskNodeMetadata(
            cache_status=catalog_pb2.CACHE_POPULATED, catalog_key=catalog, checkpoint_uri="s3://there/checkpoint"
        )
        await told(execution, "n4", node.SUCCEEDED, task_node_metadata=task, output_data=harness.literals())
        signal = identifier_pb2.SignalIdentifier(signal_id="go", execution_id=execution)
        kind = types_pb2.LiteralType(simple=types_pb2.INTEGER)
        for name in ("go", "unset"):
            signal = identifier_pb2.SignalIdentifier(signal_id=name, execution_id=execution)
            await running.signals.GetOrCreateSignal(signal_pb2.SignalGetOrCreateRequest(id=signal, type=kind))
        signal = identifier_pb2.SignalIdentifier(signal_id="go", execution_id=execution)
        await running.signals.SetSignal(signal_pb2.SignalSetRequest(id=signal, value=harness.integer(5)))
        opened = channel(running.app.grpc_address)
        service = GrpcAdminService(opened)
        original = await service.original(core.WorkflowExecutionIdentifier.FromString(execution.SerializeToString()))
        await opened.close()
    nodes = original.nodes
    assert set(nodes) == {"n0", "n1", "n2", "n3", "n3-1-c0", "n3-1-c1", "n3-1-c2", "n4"}
    assert nodes["n0"].literals() == closures.integers(x=3)
    assert (nodes["n1"].outputs_uri, nodes["n1"].deck_uri) == ("s3://there/outputs.pb", "s3://there/deck")
    assert (nodes["n2"].phase, nodes["n2"].child) == (NodePhase.FAILED, "its-child")
    assert (nodes["n3"].phase, nodes["n3"].attempt) == (NodePhase.RUNNING, 1)
    assert nodes["n3-1-c2"].literals() == closures.integers(x=2)
    assert nodes["n4"].cache_status == core.CACHE_POPULATED
    assert nodes["n4"].catalog is not None
    assert nodes["n4"].catalog.dataset_id.name == "kept"
    assert nodes["n4"].checkpoints == ("s3://there/checkpoint",)
    assert original.signals == {"go": closures.integers(x=5).literals["x"]}
