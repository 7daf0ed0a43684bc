"""What the SDK's own integration suite runs, in our words, for the end-to-end tests."""

import time

from flytekit import LaunchPlan, Resources, task, workflow
from flytekit.core.task import Echo


@task
def greeting() -> str:
    time.sleep(3)
    return "hello, world"


@workflow
def hello() -> str:
    return greeting()


@task
def double(a: int) -> int:
    return 2 * a


@workflow
def innermost(a: int) -> int:
    return double(a=a)


@workflow
def middle(a: int) -> int:
    return LaunchPlan.get_or_create(innermost, "acceptance.innermost_plan")(a=double(a=a))


@workflow
def outermost(a: int) -> int:
    one = LaunchPlan.get_or_create(middle, "acceptance.middle_plan")(a=a)
    return double(a=double(a=one))


@workflow
def sub_within(a: int) -> int:
    return innermost(a=double(a=a))


echo = Echo(name="acceptance.echo", inputs={"a": int})


@workflow
def echoed(a: int) -> int:
    return double(a=echo(a=a))


@task(requests=Resources(cpu="1", mem="100Mi"), limits=Resources(cpu="1", mem="500Mi"))
def demanding(a: int) -> int:
    return a


@workflow
def demanding_wf(a: int = 1) -> int:
    return demanding(a=a).with_overrides(limits=Resources(mem="400Mi"))
