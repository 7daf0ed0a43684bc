"""Attempts and sinks for tests of single plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import Attempt, AttemptPaths

START = datetime(2025, 1, 1, tzinfo=UTC)


class TurnableClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def attempt_of() -> Callable[..., Attempt]:
    """Makes an attempt of a task with the given simple types and literals."""

    def make(
        task_type: str,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        literals: Mapping[str, core.Literal] | None = None,
        name: str = "x-n0-0",
        started_at: datetime = START,
    ) -> Attempt:
        interface = core.TypedInterface(inputs=core.VariableMap(), outputs=core.VariableMap())
        for variables, types in ((interface.inputs, inputs), (interface.outputs, outputs)):
            for variable, simple in types.items():
                variables.variables[variable].type.simple = simple  # type: ignore[assignment]  # an enum number
        return Attempt(
            name=name,
            execution_id=core.WorkflowExecutionIdentifier(project="p", domain="d", name="x"),
            workflow_name="w",
            node_id="n0",
            spec_node_id="n0",
            number=0,
            task=core.TaskTemplate(type=task_type, interface=interface),
            inputs=core.LiteralMap(literals=literals or {}),
            paths=AttemptPaths("file:///m/x/n0/data", "file:///m/x/n0/data/0", "file:///r/aa/x-n0-0"),
            started_at=started_at,
        )

    return make
