"""Values of every type flytekit knows, sent with FlyteRemote as Python values and read back as such."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from flyteidl.core import catalog_pb2

from tests.e2e.features import VERSION
from tests.e2e.harness import Phase, Plane, inputs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SESSION = Path(__file__).parent / "typed_session.py"
CASES = (
    "primitives",
    "enum",
    "union, int",
    "union, str",
    "union, list",
    "optional, given",
    "optional, none",
    "optional, absent",
    "collections",
    "dict",
    "dataclass",
    "optional attributes",
    "dataclasses",
    "file",
    "kind of file",
    "large file",
    "directory",
    "frame",
    "dataset",
    "pickle",
)


@pytest.fixture(scope="module")
def told(features: Plane, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    done = features.flytekit("python", SESSION, VERSION, tmp_path_factory.mktemp("typed"))
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


@pytest.mark.parametrize("case", CASES)
def test_values_arrive_as_they_were_sent(told: Mapping[str, str], case: str) -> None:
    assert told[case] == "ok"


def test_whatever_else_the_environment_offers_arrives_too(told: Mapping[str, str]) -> None:
    """Pydantic models, where pydantic is installed."""
    assert {case: found for case, found in told.items() if case not in CASES and found != "ok"} == {}


def test_the_cache_key_is_the_hash_a_task_gives(features: Plane, tmp_path: Path) -> None:
    """The frame is written to another file each time; its hash is the same."""
    for status in (catalog_pb2.CACHE_POPULATED, catalog_pb2.CACHE_HIT):
        execution = features.launch("framed.hashed", VERSION, inputs(n=41, witness=str(tmp_path / "ran")))
        assert features.wait(execution).closure.phase == Phase.Value("SUCCEEDED")
        assert features.outputs(execution)["o0"].scalar.primitive.integer == 42
        assert features.nodes(execution)["n1"].closure.task_node_metadata.cache_status == status
    assert (tmp_path / "ran").read_text() == "ran\n"
