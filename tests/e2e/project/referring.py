"""References to what the module `composed` has registered, for the end-to-end tests."""

from typing import NamedTuple

from flytekit import eager, reference_launch_plan, reference_task, reference_workflow, workflow


class Split(NamedTuple):
    quotient: int
    remainder: int


@reference_task(project="flytesnacks", domain="development", name="composed.double", version="features")
def double_elsewhere(a: int) -> int:
    return 0


@reference_workflow(project="flytesnacks", domain="development", name="composed.inner", version="features")
def inner_elsewhere(a: int, b: int) -> Split:
    return Split(0, 0)


@reference_launch_plan(project="flytesnacks", domain="development", name="composed.defaults_plan", version="features")
def plan_elsewhere(a: int, b: int) -> Split:
    return Split(0, 0)


@workflow
def referring(a: int) -> tuple[int, int]:
    doubled = double_elsewhere(a=a)
    return doubled, plan_elsewhere(a=doubled, b=3).quotient


@eager
async def referring_eagerly(a: int) -> int:
    """Entities that are registered already; no version of this module has them."""
    return inner_elsewhere(a=double_elsewhere(a=a), b=2).quotient
