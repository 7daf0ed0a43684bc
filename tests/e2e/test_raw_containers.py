"""Container tasks and shell tasks of the real flytekit, run as programs of this machine."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Phase, Plane, inputs, string

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "raw"


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("raw", VERSION)


def test_inputs_come_in_three_formats(plane: Plane) -> None:
    given = inputs(number=3)
    given.literals["words"].collection.literals.extend([string("a"), string("b")])
    execution = plane.launch("raw.joins_wf", VERSION, given)
    ended = plane.wait(execution)
    assert Phase.Name(ended.closure.phase) == "SUCCEEDED", ended.closure.error
    said = {literal.scalar.primitive.string_value for literal in plane.outputs(execution).values()}
    assert (said, len(plane.outputs(execution))) == ({"a+b3"}, 3)


def test_files_and_folders_go_in_and_out(plane: Plane) -> None:
    execution = plane.launch("raw.shout_wf", VERSION, inputs(text="one\ntwo\n", mark="!"))
    ended = plane.wait(execution)
    assert Phase.Name(ended.closure.phase) == "SUCCEEDED", ended.closure.error
    assert plane.outputs(execution)["o0"].scalar.primitive.string_value == "ONE\nTWO\n!|!|2|True"


def test_a_shell_task_runs_its_script(plane: Plane) -> None:
    execution = plane.launch("raw.shell_wf", VERSION, inputs(text="pear apple fig"))
    ended = plane.wait(execution)
    assert Phase.Name(ended.closure.phase) == "SUCCEEDED", ended.closure.error
    assert plane.outputs(execution)["o0"].scalar.primitive.string_value.split() == ["apple", "fig", "pear"]


@pytest.mark.parametrize(
    ("workflow", "code", "words"),
    [
        ("raw.complains_wf", "RetriesExhausted|UserError", ["the scale is broken"]),
        ("raw.absent_wf", "CommandNotFound", ["transmogrify --all", "example.org/special:7"]),
        ("raw.broken_script_wf", "RetriesExhausted|USER:Recoverable", ["return-code 4", "no luck"]),
    ],
)
def test_what_goes_wrong_is_told(plane: Plane, workflow: str, code: str, words: list[str]) -> None:
    ended = plane.wait(plane.launch(workflow, VERSION))
    assert Phase.Name(ended.closure.phase) == "FAILED"
    assert ended.closure.error.code == code
    for word in words:
        assert word in ended.closure.error.message
