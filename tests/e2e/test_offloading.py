"""Large literals in files of their own, between flytekit's tasks, maps, containers and the catalog."""

from __future__ import annotations

import pytest
from flyteidl.core import catalog_pb2, literals_pb2

from tests.e2e.harness import Id, Phase, Plane, inputs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

VERSION = "offloading"
MEBIBYTE = 1024 * 1024
REMOTE = """
import os, sys
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote
remote = FlyteRemote(Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True))
execution = remote.fetch_execution(project="flytesnacks", domain="development", name=sys.argv[1])
print([len(word) for word in execution.outputs.get("o1", list[str])])
"""


@pytest.fixture(scope="module", autouse=True)
def registered(plane: Plane) -> None:
    plane.register("offloading", VERSION)


def run(plane: Plane, workflow: str, letter: str) -> tuple[Id, dict[str, literals_pb2.Literal]]:
    execution = plane.launch(f"offloading.{workflow}", VERSION, inputs(letter=letter))
    ended = plane.wait(execution, 150)
    assert Phase.Name(ended.closure.phase) == "SUCCEEDED", ended.closure.error
    return execution, dict(plane.outputs(execution))


def numbers(literal: literals_pb2.Literal) -> list[int]:
    return [item.scalar.primitive.integer for item in literal.collection.literals]


def test_maps_take_offloaded_lists_and_yield_them(plane: Plane) -> None:
    execution, outputs = run(plane, "mapped_wf", "m")
    assert numbers(outputs["o0"]) == [4 * MEBIBYTE + number for number in range(3)]
    offloaded = outputs["o1"].offloaded_metadata
    assert offloaded.uri.endswith("/o0_offloaded_metadata.pb")
    assert offloaded.size_bytes > 12 * MEBIBYTE
    assert outputs["o1"].hash != ""
    assert outputs["o2"].scalar.primitive.integer == 12 * MEBIBYTE + 3 + 3
    told = plane.flytekit("python", "-c", REMOTE, execution.name).stdout.strip()
    assert told == str([4 * MEBIBYTE + number + 1 for number in range(3)])


def test_what_is_computed_from_equal_values_is_found_in_the_cache(plane: Plane) -> None:
    (first, ours), (second, theirs) = (run(plane, "cached_wf", "c") for _ in range(2))
    assert ours["o0"].offloaded_metadata.uri != theirs["o0"].offloaded_metadata.uri
    assert ours["o0"].hash == theirs["o0"].hash != ""
    statuses = [plane.nodes(each)["n1"].closure.task_node_metadata.cache_status for each in (first, second)]
    assert statuses == [catalog_pb2.CACHE_POPULATED, catalog_pb2.CACHE_HIT]
    assert ours["o1"] == theirs["o1"]


def test_a_part_of_an_offloaded_value_can_be_taken(plane: Plane) -> None:
    _, outputs = run(plane, "part_wf", "p")
    assert [outputs[name].scalar.primitive.integer for name in ("o0", "o1")] == [1, 11 * MEBIBYTE]


PAGE = """
import os, sys
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote
remote = FlyteRemote(Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True))
execution = remote.fetch_execution(project="flytesnacks", domain="development", name=sys.argv[1])
synced = remote.sync_execution(execution, sync_nodes=True)
print(len(execution.outputs["o0"]), len(synced.node_executions["n0"].outputs["o0"]))
"""


def test_an_output_too_large_for_an_answer_and_too_small_to_be_offloaded_is_downloaded(plane: Plane) -> None:
    execution, outputs = run(plane, "page_wf", "p")
    assert outputs == {}, "it is told as an address"
    told = plane.flytekit("python", "-c", PAGE, execution.name).stdout.split()
    assert told == [str(3 * MEBIBYTE)] * 2


def test_a_container_finds_offloaded_values_in_its_files(plane: Plane) -> None:
    _, outputs = run(plane, "counted_wf", "x")
    assert outputs["o0"].scalar.primitive.integer == 11 * MEBIBYTE
