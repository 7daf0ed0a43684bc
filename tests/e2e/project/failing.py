"""Failure nodes, for the end-to-end tests."""

import os
from pathlib import Path

from flytekit import LaunchPlan, WorkflowFailurePolicy, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.error.error import FlyteError


def note(witness: str, name: str, text: str) -> None:
    Path(witness, name).write_text(text)


@task
def fails(a: int) -> int:
    if a >= 0:
        raise ValueError(f"{a} is no good")
    return a


@task
def double(a: int) -> int:
    return 2 * a


@task
def clean_up(a: int, witness: str, err: FlyteError | None = None) -> None:
    told = f"{err.failed_node_id}: {'is no good' in err.message}" if err else "nothing"
    note(witness, "cleaned", f"{a} {told}")


@task(retries=2)
def clean_up_at_last(a: int, witness: str) -> None:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    note(witness, f"attempt-{attempt}", "")
    if attempt < 2:
        raise FlyteRecoverableException("not yet")


@task
def cannot_clean_up(a: int, witness: str) -> None:
    note(witness, "tried", "")
    raise ValueError("the cleaning failed as well")


@task
def touch(witness: str) -> None:
    note(witness, "touched", "")


@workflow(on_failure=clean_up)
def cleaned(a: int, witness: str) -> int:
    return fails(a=double(a=a))


@workflow(on_failure=clean_up_at_last)
def cleaned_at_last(a: int, witness: str) -> int:
    return fails(a=a)


@workflow(on_failure=cannot_clean_up)
def not_cleaned(a: int, witness: str) -> int:
    return fails(a=a)


@workflow
def cleaning(a: int, witness: str, err: FlyteError | None = None) -> None:
    clean_up(a=a, witness=witness, err=err)


@workflow(on_failure=cleaning)
def cleaned_by_workflow(a: int, witness: str) -> int:
    return fails(a=a)


@workflow(on_failure=clean_up)
def cleaned_below(a: int, witness: str) -> int:
    return fails(a=a)


@workflow
def outer(a: int, witness: str) -> int:
    """The sub-workflow's own failure node runs."""
    return double(a=cleaned_below(a=a, witness=witness))


@workflow(on_failure=clean_up)
def outer_of_plan(a: int, witness: str) -> int:
    return LaunchPlan.get_or_create(fails_wf, "failing.fails_plan")(a=a)


@workflow
def fails_wf(a: int) -> int:
    return fails(a=a)


@workflow(on_failure=clean_up, failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def cleaned_late(a: int, witness: str) -> int:
    touch(witness=witness)
    return fails(a=a)


@workflow(on_failure=clean_up)
def not_needed(a: int, witness: str) -> int:
    return double(a=a)
