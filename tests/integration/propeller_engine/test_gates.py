"""Gates and the signals they make known to admin, on real databases: outages, crashes, refusals."""

from __future__ import annotations

from elevon_core.compiler import compile_workflow
from elevon_core.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.simulation import closures

from tests.integration.propeller_engine.engines import Begin, Engine, eventually, identifier

VARIABLES = core.VariableMap(variables={"x": core.Variable(type=closures.INTEGER)})
FIVE = closures.integers(x=5).literals["x"]


def gate(node_id: str, signal_type: core.LiteralType = closures.INTEGER) -> core.Node:
    """A node that waits for the signal `go`."""
    condition = core.SignalCondition(signal_id="go", type=signal_type, output_variable_name="x")
    metadata = core.NodeMetadata(name=node_id)
    return core.Node(id=node_id, metadata=metadata, gate_node=core.GateNode(signal=condition))


def workflow(*nodes: core.Node) -> core.CompiledWorkflowClosure:
    """A workflow whose output is that of its first node."""
    template = core.WorkflowTemplate(
        id=closures.identifier(core.ResourceType.WORKFLOW, "waits"),
        interface=core.TypedInterface(inputs=VARIABLES, outputs=VARIABLES),
        nodes=nodes,
        outputs=[closures.bind("x", nodes[0].id)],
    )
    return compile_workflow(template, [], {}, {})


WAITING = workflow(gate("gate"))


def is_known(engine: Engine, name: str) -> bool:
    """Whether admin was told of the signal."""
    return (("p", "d", name), "go") in engine.service.signals


def known_to_admin(engine: Engine, *names: str) -> None:
    """Admin has executions of these names."""
    for name in names:
        engine.service.executions.add(("p", "d", name))


async def test_outages_of_admin_delay_the_registration_and_no_more(begin: Begin) -> None:
    engine = await begin()
    known_to_admin(engine, "waits")
    engine.service.failures = [Unavailable("down"), ResourceExhausted("too busy"), DeadlineExceeded("slow")]
    await engine.create("waits", WAITING)
    await eventually(lambda: is_known(engine, "waits"))
    assert not engine.service.failures
    reason = (await engine.node("waits", "gate")).reason
    assert reason == "waits for the signal go"
    request = propeller.SetSignalRequest(execution_id=identifier("waits"), signal_id="go", value=FIVE)
    assert await engine.executions.set_signal(request)
    assert await engine.wait("waits") == "SUCCEEDED"


async def test_a_value_set_while_the_engine_was_dead_lets_the_gate_pass(begin: Begin) -> None:
    first = await begin()
    known_to_admin(first, "waits")
    await first.create("waits", WAITING)
    await eventually(lambda: is_known(first, "waits"))
    await first.stop(dead=True)
    first.service.values[("p", "d", "waits"), "go"] = FIVE
    second = await begin()
    assert await second.wait("waits") == "SUCCEEDED"


async def test_a_signal_that_admin_refuses_fails_its_gate(begin: Begin) -> None:
    engine = await begin()
    known_to_admin(engine, "two-types")
    await engine.create("two-types", workflow(gate("a"), gate("b", closures.INTEGERS)))
    assert await engine.wait("two-types") == "FAILED"
    await engine.runtime.outbox.flushed(5)
    errors = [event.error for node in "ab" for event in engine.node_events(node) if event.error.code]
    refused = next(error for error in errors if error.code == "RuntimeExecutionError")
    assert "go" in refused.message
    assert refused.kind == core.ExecutionError.USER
