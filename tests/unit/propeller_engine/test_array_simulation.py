"""Arrays in random worlds, against a model of what must come out; the rules of the ledger hold in all of them."""

from __future__ import annotations

import math
import random
from fractions import Fraction

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec
from elevon_propeller.simulation.world import Dangers, Fate, World
from hypothesis import given, settings
from hypothesis import strategies as st

Task = core.TaskExecution
LONG = EnginePolicy(inline_limit=0, element_inline_limit=0)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[ArraySpec, list[list[Fate]]]:
    """An array and the fates of its elements; only elements with a timeout may hang."""
    size = draw(st.integers(0, 12))
    timeout = draw(st.sampled_from([0.0, 0.0, 3.0]))
    kinds = [Fate.SUCCEEDS, Fate.SUCCEEDS, Fate.SUCCEEDS, Fate.FAILS, Fate.BREAKS, Fate.DIES]
    fate = st.sampled_from([*kinds, Fate.HANGS] if timeout else kinds)
    fates = [draw(st.lists(fate, min_size=1, max_size=4)) for _ in range(size)]
    cached = draw(st.booleans())
    spec = ArraySpec(
        retries=draw(st.integers(0, 2)),
        timeout_seconds=timeout,
        cached=cached,
        serializable=cached and draw(st.booleans()),
        parallelism=draw(st.sampled_from([None, None, 0, 1, 3])),
        required=draw(st.sampled_from([None, 0.0, 0.3, 0.5, 0.6, 0.9, 1.0, 0, 1, 3])),
        bound=draw(st.sampled_from([(), ("y",)])),
        own_files=draw(st.booleans()),
        runs_all=draw(st.booleans()),
    )
    return spec, fates


def succeeds(spec: ArraySpec, fates: list[Fate], policy: EnginePolicy) -> bool:
    """The model of one element: walk through its attempts with the two budgets."""
    system = number = 0
    while True:
        fate = fates[min(number, len(fates) - 1)]
        if fate in (Fate.SUCCEEDS, Fate.DIES):
            return fate == Fate.SUCCEEDS
        if fate == Fate.BREAKS:
            if system >= policy.max_system_retries:
                return False
            system += 1
        elif number + 1 - system >= spec.retries + 1:
            return False
        number += 1


def minimum(spec: ArraySpec, size: int) -> int:
    if spec.required is None:
        return size
    if isinstance(spec.required, int):
        return spec.required
    return math.ceil(Fraction(str(spec.required)) * size)


def world_of(spec: ArraySpec, fates: list[list[Fate]], seed: int, dangers: Dangers, policy: EnginePolicy) -> World:
    size = len(fates)
    bound = "y" in spec.bound
    return World(
        closures.array(spec),
        random.Random(seed),
        fates={f"n0-0-n{index}": list(fate) for index, fate in enumerate(fates)},
        options=propeller.ExecutionOptions(max_parallelism=2),
        dangers=dangers,
        policy=policy,
        inputs=closures.lists(x=range(size), y=[7, 8] if bound else range(size, 2 * size)),
    )


def last_resources(world: World) -> dict[int, int]:
    """The phase of each element's last attempt, as it was told at the end."""
    told = [event.task for event in world.events if event.WhichOneof("event") == "task"]
    return {item.index: item.phase for item in told[-1].metadata.external_resources}


@settings(max_examples=400, deadline=None)
@given(
    arrays(),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.05, 0.2]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from(["unlimited", "workflow", "hybrid"]),
    st.booleans(),
)
def test_an_array_comes_to_what_its_elements_come_to(
    made: tuple[ArraySpec, list[list[Fate]]], seed: int, crash: float, duplicate: float, parallelism: str, files: bool
) -> None:
    spec, fates = made
    limit = 0 if files else 65_536
    policy = EnginePolicy(
        array_parallelism=parallelism, inline_limit=limit, element_inline_limit=limit, array_live_elements=8
    )
    if spec.timeout_seconds:  # twice the timeout over all attempts would cut the retries short
        fates = [[fate for fate in some if fate != Fate.HANGS] or [Fate.DIES] for some in fates]
    world = world_of(spec, fates, seed, Dangers(crash=crash, duplicate=duplicate), policy)
    phase = world.run()
    good = [succeeds(spec, fate, policy) for fate in fates]
    enough = sum(good) >= minimum(spec, len(fates))
    assert phase == (ExecutionPhase.SUCCEEDED if enough else ExecutionPhase.FAILED)
    if not enough:
        return
    values = {name: [index if ok else None for index, ok in enumerate(good)] for name in ("x",)}
    assert world.outputs().literals["x"] == closures.lists(**values).literals["x"]
    assert last_resources(world) == {index: Task.SUCCEEDED if ok else Task.FAILED for index, ok in enumerate(good)}


@settings(max_examples=200, deadline=None)
@given(
    arrays(),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0, 5, 20, 60]),
    st.sampled_from([0.0, 0.3]),
)
def test_every_rule_holds_for_arrays_too(
    made: tuple[ArraySpec, list[list[Fate]]], seed: int, crash: float, abort_after: int, outage: float
) -> None:
    spec, fates = made
    dangers = Dangers(crash=crash, duplicate=0.1, catalog_outage=outage, abort_after=abort_after)
    world = world_of(spec, fates, seed, dangers, LONG)
    assert world.run() in (ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED)
    budget = spec.retries + 1 + world.policy.max_system_retries
    assert all(number <= budget for number in world.ledger.attempts.values())
    if world.phase == ExecutionPhase.SUCCEEDED:
        assert world.rows_of_elements == 0


@settings(max_examples=60, deadline=None)
@given(arrays(), st.integers(0, 2**32))
def test_the_same_seed_tells_the_same_story(made: tuple[ArraySpec, list[list[Fate]]], seed: int) -> None:
    spec, fates = made
    stories = []
    for _ in range(2):
        world = world_of(spec, fates, seed, Dangers(crash=0.1, duplicate=0.1), EnginePolicy())
        world.run()
        stories.append([told.SerializeToString(deterministic=True) for told in world.events])
    assert stories[0] == stories[1]
