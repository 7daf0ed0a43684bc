"""Gates of real flytekit: signals, approvals and sleeps, set by FlyteRemote and by the stubs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flyteidl.admin import signal_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2, types_pb2
from flyteidl.service import signal_pb2_grpc

from tests.e2e.harness import Id, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "gates"
Phase = core_execution_pb2.WorkflowExecution
Node = core_execution_pb2.NodeExecution
SESSION = Path(__file__).parent / "gates_session.py"
BOOLEAN = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
YES = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=True)))


@pytest.fixture(scope="module")
def registered(plane: Plane) -> Plane:
    """The control plane with the workflows that wait."""
    plane.register("gates", VERSION)
    return plane


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Plane]:
    """A control plane whose services may be killed."""
    started = Plane(tmp_path / "own")
    started.register("gates", VERSION)
    yield started
    started.close()


class Signals:
    """The signals of one execution, by the official stubs."""

    def __init__(self, plane: Plane, execution: Id) -> None:
        self._plane = plane
        self._execution = execution
        self._stub = signal_pb2_grpc.SignalServiceStub(plane.channel)

    def _id(self, name: str) -> identifier_pb2.SignalIdentifier:
        return identifier_pb2.SignalIdentifier(signal_id=name, execution_id=self._execution)

    def make(self, name: str) -> None:
        """Make a boolean signal that no gate has asked for."""
        request = signal_pb2.SignalGetOrCreateRequest(id=self._id(name), type=BOOLEAN)
        self._plane.patiently(lambda: self._stub.GetOrCreateSignal(request))

    def set(self, name: str) -> None:
        """Approve."""
        request = signal_pb2.SignalSetRequest(id=self._id(name), value=YES)
        self._plane.patiently(lambda: self._stub.SetSignal(request))

    def known(self) -> dict[str, signal_pb2.Signal]:
        """Those that are known, by name."""
        request = signal_pb2.SignalListRequest(workflow_execution_id=self._execution, limit=100)
        found = self._plane.patiently(lambda: self._stub.ListSignals(request))
        return {row.id.signal_id: row for row in found.signals}

    def expected(self, name: str) -> None:
        """Wait until a gate has asked for a signal."""
        until(lambda: name in self.known(), 60, f"a gate to wait for {name}")


def test_flyte_remote_lists_sets_approves_and_rejects(registered: Plane) -> None:
    done = registered.flytekit(registered.python, SESSION, VERSION)
    assert "every step worked" in done.stdout


def test_gates_that_share_a_signal_pass_with_the_same_value(registered: Plane) -> None:
    execution = registered.launch("gates.twice", VERSION, inputs(body="go on"))
    signals = Signals(registered, execution)
    signals.expected("go")
    assert signals.known()["go"].type == BOOLEAN
    signals.set("go")
    ended = registered.wait(execution)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    assert registered.outputs(execution)["o0"].scalar.primitive.string_value == "GO ON"
    assert set(signals.known()) == {"go"}


def test_a_signal_set_before_its_gate_is_reached_lets_it_pass_at_once(registered: Plane) -> None:
    execution = registered.launch("gates.late_gate", VERSION, inputs(body="early"))
    signals = Signals(registered, execution)
    signals.make("later")
    signals.set("later")
    ended = registered.wait(execution)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    gates = [node for node in registered.nodes(execution).values() if node.closure.phase == Node.SUCCEEDED]
    assert len(gates) == 5


def test_a_gate_waits_through_the_death_of_the_engine_and_the_absence_of_admin(own: Plane) -> None:
    waiting = own.launch("gates.twice", VERSION, inputs(body="patience"))
    signals = Signals(own, waiting)
    signals.expected("go")
    own.kill("propeller")
    late = own.launch("gates.late_gate", VERSION, inputs(body="more patience"))
    until(lambda: own.nodes(late), 60, "the second execution to begin")
    own.stop("admin")
    own.kill("propeller")
    own.start("admin")
    Signals(own, late).expected("later")
    Signals(own, late).set("later")
    signals.set("go")
    for execution in (waiting, late):
        ended = own.wait(execution)
        assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
