"""Conditionals of every shape, for the end-to-end tests."""

from datetime import datetime, timedelta

from flytekit import conditional, task, workflow


@task
def word(text: str) -> str:
    return text


@task
def double(a: int) -> int:
    return 2 * a


@task
def is_even(a: int) -> bool:
    return a % 2 == 0


@task
def broken(a: int) -> str:
    if a >= 0:
        raise ValueError(f"{a} broke the arm")
    return "never"


@task
def days_later(start: datetime, days: int) -> datetime:
    return start + timedelta(days=days)


@workflow
def compared(a: int, b: int) -> tuple[str, str, str, str, str, str]:
    """All comparisons, each with an arm for yes and one for no."""
    equal = conditional("equal").if_(a == b).then(word(text="==")).else_().then(word(text="no"))
    unequal = conditional("unequal").if_(a != b).then(word(text="!=")).else_().then(word(text="no"))
    less = conditional("less").if_(a < b).then(word(text="<")).else_().then(word(text="no"))
    at_most = conditional("at_most").if_(a <= b).then(word(text="<=")).else_().then(word(text="no"))
    more = conditional("more").if_(a > b).then(word(text=">")).else_().then(word(text="no"))
    at_least = conditional("at_least").if_(a >= b).then(word(text=">=")).else_().then(word(text="no"))
    return equal, unequal, less, at_most, more, at_least


@workflow
def conjoined(a: int, x: float, name: str, flag: bool) -> tuple[str, str, str]:
    """And, or, and both of them nested; numbers, strings and truths."""
    both = conditional("both").if_((a > 1) & (x < 2.5)).then(word(text="both")).else_().then(word(text="not both"))
    either = (
        conditional("either")
        .if_((name == "anna") | flag.is_true())
        .then(word(text="either"))
        .else_()
        .then(word(text="neither"))
    )
    mixed = (
        conditional("mixed")
        .if_(((a > 1) & (x < 2.5)) | ((name == "anna") & flag.is_false()))
        .then(word(text="mixed"))
        .else_()
        .then(word(text="plain"))
    )
    return both, either, mixed


@workflow
def laddered(a: int) -> str:
    """Several cases, in order, and a failure when none holds."""
    return (
        conditional("ladder")
        .if_(a < 0)
        .then(word(text="negative"))
        .elif_(a == 0)
        .then(word(text="zero"))
        .elif_((a > 0) & (a < 10))
        .then(word(text="small"))
        .else_()
        .fail("too large for the ladder")
    )


@workflow
def nested(a: int, b: int) -> str:
    """A conditional within a conditional."""
    return (
        conditional("outer")
        .if_(a > 0)
        .then(
            conditional("inner")
            .if_(b > 0)
            .then(word(text="both positive"))
            .elif_(b == 0)
            .then(word(text="b is zero"))
            .else_()
            .fail("b is negative")
        )
        .else_()
        .then(word(text="a is not positive"))
    )


@workflow
def below(a: int) -> int:
    return double(a=double(a=a))


@workflow
def of_outputs(a: int) -> int:
    """Conditions on what other nodes have made; arms that are a workflow and a task, and something after them."""
    even = is_even(a=a)
    chosen = conditional("of_outputs").if_(even.is_true()).then(below(a=a)).else_().then(double(a=a))
    return double(a=chosen)


@workflow
def arm_fails(a: int) -> str:
    return conditional("arm").if_(a > 0).then(broken(a=a)).else_().then(word(text="fine"))


@workflow
def of_dates(start: datetime, end: datetime, days: int) -> str:
    later = days_later(start=start, days=days)
    return conditional("dates").if_(later <= end).then(word(text="in time")).else_().then(word(text="late"))
