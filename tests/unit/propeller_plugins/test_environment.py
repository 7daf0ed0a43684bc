"""The environment of tasks: names, values, and who wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.plugins.environment import task_environment
from elevon_propeller.plugins.settings import LiteralOffloadingSettings


@pytest.fixture
def attempt(attempt_of: Callable[..., Attempt]) -> Attempt:
    made = attempt_of("python-task", {}, {})
    made.task.id.CopyFrom(core.Identifier(project="tp", domain="td", name="tn", version="tv"))
    return made


def test_the_contract(attempt: Attempt) -> None:
    assert task_environment(attempt) == {
        "FLYTE_INTERNAL_EXECUTION_WORKFLOW": "p:d:w",
        "FLYTE_INTERNAL_EXECUTION_ID": "x",
        "FLYTE_INTERNAL_EXECUTION_PROJECT": "p",
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": "d",
        "FLYTE_ATTEMPT_NUMBER": "0",
        "FLYTE_INTERNAL_TASK_PROJECT": "tp",
        "FLYTE_INTERNAL_TASK_DOMAIN": "td",
        "FLYTE_INTERNAL_TASK_NAME": "tn",
        "FLYTE_INTERNAL_TASK_VERSION": "tv",
    }


def test_the_later_source_wins(attempt: Attempt) -> None:
    container = [
        core.KeyValuePair(key=key, value="container") for key in ("A", "B", "C", "FLYTE_INTERNAL_EXECUTION_ID")
    ]
    running = replace(attempt, environment={"B": "execution", "C": "execution", "FLYTE_ATTEMPT_NUMBER": "9"})
    made = task_environment(running, container, defaults={"C": "default"})
    assert [made[name] for name in "ABC"] == ["container", "execution", "default"]
    assert (made["FLYTE_INTERNAL_EXECUTION_ID"], made["FLYTE_ATTEMPT_NUMBER"]) == ("x", "9")


def test_the_console_is_linked_when_the_task_asks_for_links(attempt: Attempt) -> None:
    shown = replace(attempt, console_url="https://console.example.org/")
    assert "FLYTE_EXECUTION_URL" not in task_environment(shown)
    shown.task.config["link_type"] = "vscode"
    expected = "https://console.example.org/projects/p/domains/d/executions/x/nodeId/n0/nodes"
    assert task_environment(shown)["FLYTE_EXECUTION_URL"] == expected
    assert "FLYTE_EXECUTION_URL" not in task_environment(attempt)


def test_offloading_and_tracing_are_told_when_there_are_any(attempt: Attempt) -> None:
    offloading = LiteralOffloadingSettings(minimum_mib=5, maximum_mib=50)
    made = task_environment(replace(attempt, traceparent="00-a-b-01"), offloading=offloading)
    assert (made["_F_L_MIN_SIZE_MB"], made["_F_L_MAX_SIZE_MB"], made["TRACEPARENT"]) == ("5", "50", "00-a-b-01")
