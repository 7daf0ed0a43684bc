"""Branch nodes: the first case that holds is run; the others do not exist for this execution."""

from flytekit import conditional, task, workflow


@task
def measure(degrees: float) -> float:
    return degrees


@task
def advise(text: str) -> str:
    return text


@workflow
def weather(degrees: float = 21.5, rain: bool = False) -> str:
    measured = measure(degrees=degrees)
    return (
        conditional("what to wear")
        .if_((measured < 5.0) | rain.is_true())
        .then(advise(text="a coat"))
        .elif_(measured <= 30.0)
        .then(advise(text="a shirt"))
        .else_()
        .fail("it is too hot to go out")
    )
