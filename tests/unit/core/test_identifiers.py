"""Identifiers: what is checked, in which order, and how errors read."""

from __future__ import annotations

import pytest
from elevon_core import identifiers
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from hypothesis import given
from hypothesis import strategies as st


def _task(**changes: str) -> core.Identifier:
    parts = {"project": "p", "domain": "d", "name": "pkg.mod/töne name", "version": "v1", **changes}
    return core.Identifier(resource_type=core.TASK, **parts)


_EXECUTION = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e")


def test_a_full_identifier_passes() -> None:
    identifiers.validate_identifier(_task(org="o"), core.TASK)


def test_absence() -> None:
    for absent in (None, core.Identifier()):
        with pytest.raises(InvalidArgument, match=r"^missing task_id$"):
            identifiers.validate_identifier(absent, core.TASK, "task_id")


def test_resource_type_comes_before_the_parts() -> None:
    with pytest.raises(InvalidArgument, match=r"unexpected resource type task .*\[:d::v\], expected launch_plan"):
        identifiers.validate_identifier(
            core.Identifier(resource_type=core.TASK, domain="d", version="v"), core.LAUNCH_PLAN
        )


def test_an_unknown_resource_type_is_told_by_number() -> None:
    with pytest.raises(InvalidArgument, match="unexpected resource type 77"):
        identifiers.validate_identifier(core.Identifier.FromString(b"\x08\x4d\x12\x01p"), core.TASK)


def test_missing_parts_are_told_in_order() -> None:
    for names in (["project", "domain", "name", "version"], ["domain", "version"], ["version"]):
        with pytest.raises(InvalidArgument, match=rf"^missing {names[0]}$"):
            identifiers.validate_identifier(_task(**dict.fromkeys(names, "")), core.TASK)


@pytest.mark.parametrize("part", ["project", "domain", "name", "version", "org"])
def test_lengths_and_control_characters(part: str) -> None:
    identifiers.validate_identifier(_task(**{part: "x" * 255}), core.TASK)
    with pytest.raises(InvalidArgument, match=f"{part}: .*at most 255"):
        identifiers.validate_identifier(_task(**{part: "x" * 256}), core.TASK)
    for control in "\x00\n\x7f\x85":
        with pytest.raises(InvalidArgument, match=f"{part}: .*control"):
            identifiers.validate_identifier(_task(**{part: f"a{control}b"}), core.TASK)


@pytest.mark.parametrize("kind", [core.WORKFLOW, core.LAUNCH_PLAN])
def test_a_name_that_is_generated_for_a_task_may_be_longer_by_its_prefix(kind: core.ResourceType.ValueType) -> None:
    def generated(name: str, kind: core.ResourceType.ValueType = kind) -> core.Identifier:
        identifier = _task(name=identifiers.GENERATED_PREFIX + name)
        identifier.resource_type = kind
        return identifier

    for name in ("", "x" * 255):
        identifiers.validate_identifier(generated(name), kind)
        identifiers.validate_name(identifiers.GENERATED_PREFIX + name)
    for name in ("x" * 256, "a\nb"):
        with pytest.raises(InvalidArgument, match="invalid value for name"):
            identifiers.validate_identifier(generated(name), kind)
        with pytest.raises(InvalidArgument, match="invalid value for name"):
            identifiers.validate_name(identifiers.GENERATED_PREFIX + name)
    with pytest.raises(InvalidArgument, match="at most 255"):
        identifiers.validate_identifier(generated("x" * 255, core.TASK), core.TASK)


def test_execution_identifiers() -> None:
    identifiers.validate_execution_identifier(_EXECUTION)
    with pytest.raises(InvalidArgument, match="missing id"):
        identifiers.validate_execution_identifier(None)
    with pytest.raises(InvalidArgument, match="missing name"):
        identifiers.validate_execution_identifier(core.WorkflowExecutionIdentifier(project="p", domain="d"))


def test_nested_execution_identifiers() -> None:
    node = core.NodeExecutionIdentifier(node_id="n0", execution_id=_EXECUTION)
    identifiers.validate_node_execution_identifier(node)
    identifiers.validate_task_execution_identifier(
        core.TaskExecutionIdentifier(task_id=_task(), node_execution_id=node, retry_attempt=3)
    )
    identifiers.validate_signal_identifier(core.SignalIdentifier(signal_id="s", execution_id=_EXECUTION))
    with pytest.raises(InvalidArgument, match="missing execution_id"):
        identifiers.validate_node_execution_identifier(core.NodeExecutionIdentifier(node_id="n0"))
    with pytest.raises(InvalidArgument, match="missing node_id"):
        identifiers.validate_node_execution_identifier(core.NodeExecutionIdentifier(execution_id=_EXECUTION))
    with pytest.raises(InvalidArgument, match="missing task_id"):
        identifiers.validate_task_execution_identifier(core.TaskExecutionIdentifier(node_execution_id=node))
    with pytest.raises(InvalidArgument, match="missing signal_id"):
        identifiers.validate_signal_identifier(core.SignalIdentifier(execution_id=_EXECUTION))


def test_texts_and_keys() -> None:
    assert identifiers.text(_task(name="n")) == "p:d:n:v1"
    assert identifiers.key(_task(name="n")) == ("p", "d", "n", "v1")


@given(st.from_regex(r"\A[a-z][a-z0-9-]{0,62}\Z"))
def test_execution_names_that_pass(name: str) -> None:
    identifiers.validate_execution_name(name)


@pytest.mark.parametrize("name", ["", "9a", "-a", "aB", "a_b", "a.b", "a\n", "é", "a" * 64])
def test_execution_names_that_do_not(name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid value for name"):
        identifiers.validate_execution_name(name)
