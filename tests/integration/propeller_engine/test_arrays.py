"""Arrays in the runtime, on real databases."""

from __future__ import annotations

from functools import partial

from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec

from tests.integration.propeller_engine.engines import Begin, Engine, echo, eventually, identifier, report

Task = core.TaskExecution


async def create(engine: Engine, name: str, spec: ArraySpec, size: int) -> None:
    """Create an execution of one array."""
    request = propeller.CreateExecutionRequest(
        execution_id=identifier(name),
        closure=closures.array(spec),
        inputs=closures.lists(x=range(size), y=range(size)),
        options=propeller.ExecutionOptions(max_parallelism=1),
    )
    assert (await engine.executions.create(request)).created


async def outputs(engine: Engine, name: str) -> core.LiteralMap:
    """What an execution has come to."""
    uri = f"{engine.runtime.policy.metadata_root}/p-d-{name}/end-node/data/0/outputs.pb"
    return core.LiteralMap.FromString(await engine.blobs.read(uri))


async def told(engine: Engine) -> list[event.TaskExecutionEvent]:
    """All events of tasks."""
    await engine.runtime.outbox.flushed(5)
    return [each.task for each in engine.admin.events if each.HasField("task")]


def index_of(name: str) -> int:
    """The index of an element, from the name of its attempt."""
    return int(name.rsplit("-n", 1)[1].split("-")[0])


async def test_a_thousand_elements_are_told_in_a_few_events(begin: Begin) -> None:
    engine = await begin(echo)
    await create(engine, "thousand", ArraySpec(), 1_000)
    assert await engine.wait("thousand") == "SUCCEEDED"
    assert await outputs(engine, "thousand") == closures.lists(x=range(1_000), y=range(1_000))
    events = await told(engine)
    assert len(events) < 50
    assert {item.phase for item in events[-1].metadata.external_resources} == {Task.SUCCEEDED}
    keys = [row.key for row in [await engine.runtime.store.find_execution("p", "d", "thousand")] if row is not None]
    assert await engine.runtime.store.chunks(keys) == {key: [] for key in keys}


def has_started(engine: Engine, count: int) -> bool:
    """Whether so many attempts were started."""
    return len(engine.plugin.started) >= count


async def test_a_crash_in_the_middle_starts_no_element_twice(begin: Begin) -> None:
    first = await begin()
    await create(first, "crashed", ArraySpec(parallelism=40), 300)
    for share in (40, 80, 120, 160):
        await eventually(partial(has_started, first, share))
        for name in list(first.plugin.running):
            inputs = closures.integers(x=index_of(name), y=index_of(name))
            first.plugin.finish(name, report(AttemptPhase.SUCCEEDED, outputs=inputs))
    await eventually(lambda: len(first.plugin.running) == 40)
    alive = set(first.plugin.running)
    await first.stop(dead=True)

    second = await begin(echo)
    assert await second.wait("crashed") == "SUCCEEDED"
    done_before = set(first.plugin.started) - alive
    assert done_before.isdisjoint(second.plugin.started)
    assert len(second.plugin.started) + len(done_before) == 300
    assert await outputs(second, "crashed") == closures.lists(x=range(300), y=range(300))


async def test_an_abort_stops_all_that_run(begin: Begin) -> None:
    engine = await begin()
    await create(engine, "aborted", ArraySpec(parallelism=3), 10)
    await eventually(lambda: len(engine.plugin.running) == 3)
    request = propeller.AbortExecutionRequest(execution_id=identifier("aborted"), cause="enough")
    await engine.executions.abort(request)
    assert await engine.wait("aborted") == "ABORTED"
    assert sorted(engine.plugin.aborted) == [(f"aborted-n0-0-n{index}-0", "enough") for index in range(3)]
    assert engine.plugin.running == frozenset()


async def test_a_map_that_cannot_succeed_stops_what_runs(begin: Begin) -> None:
    def script(attempt: Attempt) -> Report | None:
        if attempt.environment["FLYTE_K8S_ARRAY_INDEX"] != "4":
            return None
        error = core.ExecutionError(code="Broken", message="it broke", kind=core.ExecutionError.USER)
        return report(AttemptPhase.PERMANENT_FAILURE, error=error)

    engine = await begin(script)
    await create(engine, "hopeless", ArraySpec(), 6)
    assert await engine.wait("hopeless") == "FAILED"
    assert len(engine.plugin.aborted) == 5
    error = (await engine.watching.describe(identifier("hopeless"))).error
    assert (error.code, error.message) == ("Broken", "[4]: it broke\n")


async def test_outputs_in_files_are_gathered_in_order(begin: Begin) -> None:
    def script(attempt: Attempt) -> Report:
        value = core.Literal(scalar=core.Scalar(primitive=core.Primitive(string_value="v" * 2_000)))
        return report(
            AttemptPhase.SUCCEEDED, outputs=core.LiteralMap(literals={"x": value, "y": attempt.inputs.literals["y"]})
        )

    engine = await begin(script)
    await create(engine, "files", ArraySpec(), 100)
    assert await engine.wait("files") == "SUCCEEDED"
    found = (await outputs(engine, "files")).literals
    assert len(found["x"].collection.literals) == 100
    assert found["y"] == closures.lists(y=range(100)).literals["y"]


async def test_a_description_shows_the_array_and_not_its_elements(begin: Begin) -> None:
    engine = await begin()
    await create(engine, "shown", ArraySpec(), 5)
    await eventually(lambda: len(engine.plugin.running) == 5)
    view = await engine.watching.describe(identifier("shown"))
    assert {node.node_id for node in view.nodes} == {"start-node", "n0", "end-node"}
