"""Sub-workflows: a workflow as a node of another, with named outputs and a failure policy of its own."""

from typing import NamedTuple

from flytekit import WorkflowFailurePolicy, task, workflow


class Statistics(NamedTuple):
    total: int
    largest: int


@task
def add(values: list[int]) -> int:
    return sum(values)


@task
def find_largest(values: list[int]) -> int:
    return max(values)


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def statistics(values: list[int]) -> Statistics:
    """Both tasks run to their end even when one of them fails."""
    return Statistics(total=add(values=values), largest=find_largest(values=values))


@workflow
def twice(first: list[int], second: list[int]) -> int:
    one, two = statistics(values=first), statistics(values=second)
    return add(values=[one.total, one.largest, two.total, two.largest])
