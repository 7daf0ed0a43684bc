"""Conditions that no compiler can accept, for the end-to-end tests."""

from flytekit import conditional, task, workflow


@task
def word(text: str) -> str:
    return text


@workflow
def unlike(a: int, x: float) -> str:
    """An integer and a float cannot be compared."""
    return conditional("unlike").if_(a == x).then(word(text="equal")).else_().then(word(text="different"))
