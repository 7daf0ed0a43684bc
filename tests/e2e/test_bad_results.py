"""Whatever a task leaves behind, its node fails with words a user can act on, and nothing else suffers."""

from __future__ import annotations

import pytest
from flyteidl.core import execution_pb2 as core_execution_pb2

from tests.e2e.harness import Id, Phase, Plane, inputs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

VERSION = "bad-results"
Node = core_execution_pb2.NodeExecution
FINDINGS = {
    "wrong-type": ("OutputsTypeMismatch", ["o0 is str, int is expected"]),
    "incomplete": ("OutputsTypeMismatch", ["o1 is missing"]),
    "corrupt-outputs": ("RetriesExhausted|OutputsFileBadFormat", ["outputs.pb is no LiteralMap"]),
    "corrupt-error": ("RetriesExhausted|ErrorFileBadFormat", ["error.pb is no ErrorDocument"]),
    "corrupt-futures": ("RetriesExhausted|FuturesFileBadFormat", ["futures.pb is no DynamicJobSpec"]),
    "empty-graph": ("DynamicWorkflowBuildFailed", ["does not compile", "at least one node"]),
    "absent-task": ("DynamicWorkflowBuildFailed", ["nobody.registered_this", "yielded a node"]),
    "nothing": ("RetriesExhausted|OutputsNotFound", ["o0", "o1", "outputs.pb"]),
    "too-large": ("OutputSizeExceeded", ["outputs.pb", "10485760"]),
}


@pytest.fixture(scope="module")
def executions(plane: Plane) -> dict[str, Id]:
    """All kinds at once, so that each disturbs the others if it can."""
    plane.register("bad_results", VERSION)
    return {kind: plane.launch("bad_results.patient", VERSION, inputs(kind=kind)) for kind in FINDINGS}


@pytest.mark.parametrize("kind", sorted(FINDINGS))
def test_a_bad_result_fails_its_node_alone(plane: Plane, executions: dict[str, Id], kind: str) -> None:
    code, words = FINDINGS[kind]
    ended = plane.wait(executions[kind], 200)
    assert Phase.Name(ended.closure.phase) == "FAILED"
    assert ended.closure.error.code == code, ended.closure.error
    for word in words:
        assert word in ended.closure.error.message
    phases = {name: Node.Phase.Name(node.closure.phase) for name, node in plane.nodes(executions[kind]).items()}
    assert phases == {
        "start-node": "SUCCEEDED",
        "n0": "FAILED",
        "n1": "SKIPPED",
        "n2": "SUCCEEDED",
        "n3": "SUCCEEDED",
        "end-node": "SKIPPED",
    }
    (attempt,) = plane.attempts(plane.nodes(executions[kind])["n0"])[-1:]
    assert attempt.closure.error.code == code.removeprefix("RetriesExhausted|") or code.startswith("Dynamic")


def test_the_services_have_not_noticed(plane: Plane, executions: dict[str, Id]) -> None:
    before = {name: process.pid for name, process in plane.control.services.items()}
    ended = plane.wait(plane.launch("bad_results.impatient", VERSION, inputs(kind="wrong-type")))
    assert ended.closure.error.code == "OutputsTypeMismatch"
    plane.register("basics", VERSION)
    good = plane.wait(plane.launch("basics.mixed", VERSION, inputs(a=1)))
    assert Phase.Name(good.closure.phase) == "SUCCEEDED"
    assert {name: process.pid for name, process in plane.control.services.items()} == before
