"""Failure nodes: what runs when a workflow has failed; it learns which node it was, and the failure stays one."""

from flytekit import task, workflow
from flytekit.types.error.error import FlyteError


@task
def rent(name: str) -> str:
    return f"machine of {name}"


@task
def use(machine: str) -> int:
    if machine:
        raise ValueError("this machine does not work")
    return 1


@task
def give_back(name: str, err: FlyteError | None = None) -> None:
    print(f"the machine of {name} goes back, because {err.failed_node_id} failed" if err else "nothing happened")


@workflow(on_failure=give_back)
def rented(name: str = "Anna") -> int:
    return use(machine=rent(name=name))
