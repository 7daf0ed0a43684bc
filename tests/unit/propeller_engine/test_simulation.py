"""Random plans in random worlds: the invariants of the design hold whatever happens."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec
from elevon_propeller.simulation.world import Dangers, Fate, World
from hypothesis import given, settings
from hypothesis import strategies as st

Policy = core.WorkflowMetadata


@st.composite
def graphs(draw: st.DrawFn, *, cached: bool = True) -> list[TaskNodeSpec]:
    """Up to nine task nodes, each fed by the start node or an earlier one."""
    specs: list[TaskNodeSpec] = []
    for number in range(draw(st.integers(1, 9))):
        earlier = ["start-node", *(spec.id for spec in specs)]
        is_cached = cached and draw(st.booleans())
        specs.append(
            TaskNodeSpec(
                f"n{number}",
                source=draw(st.sampled_from(earlier)),
                after=draw(st.lists(st.sampled_from(earlier), max_size=2)),
                retries=draw(st.integers(0, 2)),
                timeout_seconds=draw(st.sampled_from([0.0, 0.0, 5.0])),
                cached=is_cached,
                serializable=is_cached and draw(st.booleans()),
            )
        )
    return specs


def fates_of(draw: Callable[..., Any], specs: list[TaskNodeSpec]) -> dict[str, list[Fate]]:
    """Something for every node; only nodes with a timeout may hang."""
    kinds = [Fate.SUCCEEDS, Fate.SUCCEEDS, Fate.FAILS, Fate.BREAKS, Fate.DIES]
    return {
        spec.id: draw(
            st.lists(st.sampled_from([*kinds, Fate.HANGS] if spec.timeout_seconds else kinds), min_size=1, max_size=5)
        )
        for spec in specs
    }


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A random graph among random dangers."""
    specs = draw(graphs())
    failure_node = draw(st.sampled_from([None, TaskNodeSpec("fn")]))
    fates = fates_of(draw, [*specs, *([failure_node] if failure_node else [])])
    return World(
        closures.closure(
            specs,
            outputs={"x": specs[-1].id},
            policy=draw(st.sampled_from([Policy.FAIL_IMMEDIATELY, Policy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE])),
            failure_node=failure_node,
        ),
        random.Random(draw(st.integers(0, 2**32))),
        fates=fates,
        options=propeller.ExecutionOptions(
            max_parallelism=draw(st.integers(0, 3)), overwrite_cache=draw(st.booleans())
        ),
        dangers=Dangers(
            crash=draw(st.sampled_from([0.0, 0.05, 0.2])),
            duplicate=draw(st.sampled_from([0.0, 0.2])),
            catalog_outage=draw(st.sampled_from([0.0, 0.3])),
            abort_after=draw(st.sampled_from([0, 0, 0, 3, 12, 40])),
        ),
        policy=EnginePolicy(
            inline_limit=draw(st.sampled_from([0, 65_536])), begins_per_step=draw(st.sampled_from([1, 2, 250]))
        ),
        inputs=closures.integers(x=7),
    )


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_every_rule_holds_in_every_world(world: World) -> None:
    phase = world.run()
    assert phase in (ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED)
    if phase == ExecutionPhase.SUCCEEDED:
        assert world.outputs() == closures.integers(x=7)


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 2**32), st.integers(0, 2**32), st.sampled_from([0.0, 0.15]))
def test_a_kind_world_always_succeeds_with_the_same_outputs(
    specs: list[TaskNodeSpec], seed: int, other_seed: int, crash: float
) -> None:
    closure = closures.closure(specs, outputs={spec.id: spec.id for spec in specs})
    outputs = []
    for number in (seed, other_seed):
        world = World(
            closure, random.Random(number), inputs=closures.integers(x=3), dangers=Dangers(crash=crash, duplicate=0.1)
        )
        assert world.run() == ExecutionPhase.SUCCEEDED
        outputs.append(world.outputs())
    assert outputs[0] == outputs[1] == closures.integers(**{spec.id: 3 for spec in specs})


@settings(max_examples=150, deadline=None)
@given(graphs(cached=False), st.data(), st.integers(0, 2**32))
def test_attempts_never_exceed_the_budgets(specs: list[TaskNodeSpec], data: st.DataObject, seed: int) -> None:
    fates = fates_of(data.draw, specs)
    world = World(
        closures.closure(specs, policy=Policy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE),
        random.Random(seed),
        fates=fates,
        inputs=closures.integers(x=1),
        dangers=Dangers(crash=0.1, duplicate=0.2),
    )
    world.run()
    for spec in specs:
        budget = spec.retries + 1 + world.policy.max_system_retries
        assert world.ledger.attempts.get(spec.id, 0) <= budget


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 2**32))
def test_the_same_seed_tells_the_same_story(specs: list[TaskNodeSpec], seed: int) -> None:
    stories = []
    for _ in range(2):
        world = World(
            closures.closure(specs),
            random.Random(seed),
            fates={spec.id: [Fate.BREAKS, Fate.FAILS, Fate.SUCCEEDS] for spec in specs},
            inputs=closures.integers(x=1),
            dangers=Dangers(crash=0.1, duplicate=0.1),
        )
        world.run()
        stories.append([told.SerializeToString(deterministic=True) for told in world.events])
    assert stories[0] == stories[1]
