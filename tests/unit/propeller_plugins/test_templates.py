"""Variables in commands are replaced as the reference says, and what is unknown stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from elevon_core.errors import InvalidArgument
from elevon_core.literals import collection, integer, string
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import Attempt, AttemptPaths
from elevon_propeller.plugins.templates import needs_task_template, render_all
from hypothesis import given
from hypothesis import strategies as st

Maker = Callable[..., Attempt]


@pytest.fixture
def attempt(attempt_of: Maker) -> Attempt:
    values = {
        "number": integer(7),
        "Words": collection([string("a"), string("b")]),
        "space": string("in {{.namespace}}"),
    }
    return attempt_of("python-task", {}, {}, values, name="7x-n0-0")


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{.input}}", "file:///m/x/n0/data/inputs.pb"),
        ("{{ .Input }}", "file:///m/x/n0/data/inputs.pb"),
        ("{{$INPUT}}", "file:///m/x/n0/data/inputs.pb"),
        ("{{.inputPrefix}}", "file:///m/x/n0/data"),
        ("a{{.outputPrefix}}b{{.OUTPUTPREFIX}}", "afile:///m/x/n0/data/0bfile:///m/x/n0/data/0"),
        ("{{.rawOutputDataPrefix}}", "file:///r/aa/x-n0-0"),
        ("{{.checkpointOutputPrefix}}", "file:///r/aa/x-n0-0/_flytecheckpoints"),
        ("{{.prevCheckpointPrefix}}", '""'),
        ("{{.taskTemplatePath}}", "file:///m/x/n0/data/task.pb"),
        ("{{.perRetryUniqueKey}}", "ax_n0_0"),
        ("{{.namespace}}", "p-d"),
        ("{{.inputs.number}}", "7"),
        ("{{ .Inputs.Words }}", "[a,b]"),
        ("{{.inputs.space}}", "in p-d"),
        ("{{.unknown}} {{ }} {.input}", "{{.unknown}} {{ }} {.input}"),
    ],
)
def test_each_variable(attempt: Attempt, text: str, rendered: str) -> None:
    assert render_all([text], attempt) == [rendered]


def test_a_previous_checkpoint_stands_as_it_is(attempt: Attempt) -> None:
    later = replace(attempt, paths=replace(attempt.paths, earlier_checkpoints=("s3://b/c", "s3://b/a")))
    assert render_all(["{{.prevCheckpointPrefix}}"], later) == ["s3://b/c"]


def test_a_configured_namespace_wins(attempt: Attempt) -> None:
    assert render_all(["{{.Namespace}}"], attempt, namespace="tasks") == ["tasks"]


@pytest.mark.parametrize("text", ["{{.inputs.absent}}", "{{.inputs.words}}"])
def test_an_input_that_is_not_there_is_an_error(attempt: Attempt, text: str) -> None:
    with pytest.raises(InvalidArgument, match="inputs are"):
        render_all([text], attempt)


def test_task_template_is_needed_only_when_named() -> None:
    assert needs_task_template(["x", "{{ .TaskTemplatePath }}"])
    assert not needs_task_template(["{{.input}}", "taskTemplatePath"])


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_variables_is_left_alone(text: str) -> None:
    attempt = Attempt(
        name="x-n0-0",
        execution_id=core.WorkflowExecutionIdentifier(),
        workflow_name="",
        node_id="",
        spec_node_id="",
        number=0,
        task=core.TaskTemplate(),
        inputs=core.LiteralMap(),
        paths=AttemptPaths("", "", ""),
        started_at=datetime(2025, 1, 1, tzinfo=UTC),
    )
    assert render_all([text], attempt) == [text]
