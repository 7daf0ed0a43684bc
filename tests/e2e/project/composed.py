"""Workflows made of workflows, launch plans and entities of elsewhere, for the end-to-end tests."""

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from flytekit import (
    Cache,
    CronSchedule,
    LaunchPlan,
    Workflow,
    WorkflowFailurePolicy,
    current_context,
    task,
    workflow,
)
from flytekit.exceptions.user import FlyteRecoverableException


class Split(NamedTuple):
    quotient: int
    remainder: int


@task
def double(a: int) -> int:
    return 2 * a


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def divide(a: int, b: int) -> Split:
    return Split(quotient=a // b, remainder=a % b)


@task
def note(text: str, witness: str) -> None:
    with Path(witness).open("a") as file:
        file.write(text + "\n")


@task
def slow_note(text: str, witness: str) -> None:
    time.sleep(0.5)
    note.task_function(text=text, witness=witness)


@workflow
def inner(a: int, b: int = 3) -> Split:
    return divide(a=double(a=a), b=b)


@workflow
def middle(a: int) -> Split:
    done = inner(a=a)
    return divide(a=add(a=done.quotient, b=10), b=4)


@workflow
def outer(a: int) -> tuple[int, int, int]:
    """Sub-workflows three deep, named outputs all the way."""
    first = middle(a=a)
    second = inner(a=first.quotient, b=2)
    return first.quotient, first.remainder, second.quotient


plain_plan = LaunchPlan.get_or_create(inner)
defaults_plan = LaunchPlan.get_or_create(inner, "composed.defaults_plan", default_inputs={"a": 5, "b": 4})
fixed_plan = LaunchPlan.get_or_create(inner, "composed.fixed_plan", fixed_inputs={"b": 6}, default_inputs={"a": 20})


@workflow
def planned(a: int) -> tuple[int, int, int, int]:
    """Launch plans with defaults taken, defaults replaced and inputs fixed."""
    plain = plain_plan(a=a)
    default = defaults_plan()
    replaced = defaults_plan(a=a, b=1)
    fixed = fixed_plan(a=a)
    return plain.quotient, default.quotient, replaced.quotient, fixed.quotient


@workflow
def ordered(witness: str) -> None:
    """Nodes that share no data and yet have an order."""
    last = note(text="last", witness=witness)
    first = slow_note(text="first", witness=witness)
    between = note(text="between", witness=witness)
    first >> between
    between >> last


@task
def surroundings(name: str) -> str:
    return os.environ.get(name, "")


@workflow
def surrounded(name: str = "WHO") -> str:
    return surroundings(name=name)


@task(retries=1)
def attempts(witness: str, wanted: int) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    note.task_function(text=str(attempt), witness=witness)
    if attempt < wanted:
        raise FlyteRecoverableException("not yet")
    return attempt


@task
def napping(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@workflow
def overridden(witness: str) -> int:
    """One node with another name, more retries and a timeout; the task knows of none of them."""
    return attempts(witness=witness, wanted=2).with_overrides(
        node_name="persistent", name="persistent one", retries=3, timeout=timedelta(seconds=60), interruptible=True
    )


@workflow
def cut_short() -> float:
    return napping(seconds=30.0).with_overrides(timeout=timedelta(seconds=1))


@task(cache=True, cache_version="1")
def stamped(n: int) -> str:
    return f"{n} {time.time_ns()}"


@workflow
def stamps(n: int) -> str:
    return stamped(n=n)


@workflow
def stamps_of_node(n: int) -> str:
    return stamped(n=n).with_overrides(cache=Cache(version="2"))


imperative = Workflow(name="composed.imperative")
imperative.add_workflow_input("a", int)
_doubled = imperative.add_entity(double, a=imperative.inputs["a"])
_added = imperative.add_entity(add, a=_doubled.outputs["o0"], b=imperative.add_workflow_input("b", int))
_split = imperative.add_entity(divide, a=_added.outputs["o0"], b=3)
imperative.add_workflow_output("rest", _split.outputs["remainder"])
imperative.add_workflow_output("all", [_doubled.outputs["o0"], _added.outputs["o0"]], python_type=list[int])


@workflow
def of_imperative(a: int) -> int:
    return double(a=imperative(a=a, b=1).rest)


@task
def fails(a: int) -> int:
    if a >= 0:
        raise ValueError(f"{a} is no good")
    return a


@task
def after(a: int, witness: str) -> int:
    note.task_function(text=f"after {a}", witness=witness)
    return a


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def persevering(a: int, witness: str) -> int:
    fails(a=a)
    return after(a=add(a=a, b=1), witness=witness)


@workflow
def persevering_below(a: int, witness: str) -> int:
    return persevering(a=a, witness=witness)


@task
def total(values: list[int], weights: dict[str, int]) -> int:
    return sum(values) + sum(weights.values())


@workflow
def gathered(a: int) -> int:
    """Lists and maps of promises and constants."""
    one, two = double(a=a), double(a=10)
    return total(values=[one, two, 1, a], weights={"x": one, "y": 100})


@dataclass
class Inside:
    items: list[int] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


@dataclass
class Outside:
    number: int
    text: str
    ratio: float
    flag: bool
    inside: Inside
    many: list[Inside] = field(default_factory=list)


@task
def make() -> Outside:
    inside = Inside(items=[7, 8, 9], names={"who": "anna"})
    return Outside(number=4, text="four", ratio=0.5, flag=True, inside=inside, many=[inside, Inside([1], {})])


@task
def made_of(number: int, text: str, ratio: float, flag: bool, item: int, name: str, deep: int) -> str:
    return f"{number} {text} {ratio} {flag} {item} {name} {deep}"


@task
def inside_of(inside: Inside) -> int:
    return sum(inside.items)


@workflow
def attributes() -> tuple[str, int]:
    """Parts of a dataclass: primitives, items of lists and maps, whole dataclasses."""
    o = make()
    text = made_of(
        number=o.number,
        text=o.text,
        ratio=o.ratio,
        flag=o.flag,
        item=o.inside.items[1],
        name=o.inside.names["who"],
        deep=o.many[1].items[0],
    )
    return text, inside_of(inside=o.inside)


@task
def texts_of(text: str, name: str, total: int) -> str:
    return f"{text} {name} {total}"


@workflow
def attributes_of_texts() -> str:
    o = make()
    return texts_of(text=o.text, name=o.inside.names["who"], total=inside_of(inside=o.inside))


@task
def listed() -> list[dict[str, int]]:
    return [{"a": 1}, {"a": 2, "b": 3}]


@workflow
def attributes_of_lists() -> int:
    return double(a=listed()[1]["b"])


@task
def whoami() -> str:
    context = current_context()
    return f"{context.execution_id.project}/{context.execution_id.domain}/{context.execution_id.name}"


@workflow
def identified() -> str:
    return whoami()


@task
def stated(kickoff: datetime, extra: int) -> str:
    return f"{kickoff:%Y-%m-%d} {extra}"


@workflow
def daily(kickoff: datetime, extra: int = 1) -> str:
    return stated(kickoff=kickoff, extra=extra)


daily_plan = LaunchPlan.get_or_create(
    daily,
    "composed.daily_plan",
    schedule=CronSchedule(schedule="0 0 * * *", kickoff_time_input_arg="kickoff"),
    default_inputs={"extra": 2},
)
