"""One execution is one trace: a tree from CreateExecution to the user's task."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Phase, Plane, inputs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Plane]:
    environment = {}
    for service in ("ADMIN", "PROPELLER", "CATALOG"):
        environment[f"ELEVON_{service}_TELEMETRY__TRACES"] = "file"
        environment[f"ELEVON_{service}_TELEMETRY__TRACES_FILE"] = str(tmp_path / f"{service}.spans")
    plane = Plane(tmp_path / "data", environment)
    plane.register("basics", "v1")
    yield plane
    plane.close()


def exported(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in folder.glob("*.spans") for line in path.read_text().splitlines()]


def test_one_tree_from_create_execution_to_the_task(watched: Plane, tmp_path: Path) -> None:
    execution = watched.launch("basics.traced_wf", "v1", inputs(witness=str(tmp_path)))
    assert Phase.Name(watched.wait(execution).closure.phase) == "SUCCEEDED"
    for service in ("admin", "propeller", "catalog"):
        watched.stop(service)
    _, trace, parent_of_task, _ = (tmp_path / "traceparent").read_text().split("-")
    spans = {
        span["context"]["span_id"]: span for span in exported(tmp_path) if span["context"]["trace_id"] == f"0x{trace}"
    }
    roots = [span for span in spans.values() if span["parent_id"] is None]
    assert [root["name"] for root in roots] == ["CreateExecution"]
    orphans = [span["name"] for span in spans.values() if span["parent_id"] and span["parent_id"] not in spans]
    assert orphans == []
    assert f"0x{parent_of_task}" in spans
    path = []
    span: dict[str, Any] | None = spans[f"0x{parent_of_task}"]
    while span is not None:
        path.append(span["name"])
        span = spans.get(span["parent_id"] or "")
    assert path[-1] == "CreateExecution"
    assert "attempt n0" in path
    assert "node n0" in path
    names = {span["name"] for span in spans.values()}
    assert {"node n0", "node n1", "attempt n0", "attempt n1"} <= names
