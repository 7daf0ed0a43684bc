"""Eager workflows: plain Python decides, after each result, what is run next; every call is an execution."""

from flytekit import eager, task


@task
async def guess(low: int, high: int) -> int:
    return (low + high) // 2


@task
async def compare(number: int, secret: int) -> int:
    return (number > secret) - (number < secret)


@eager
async def find(secret: int = 11, high: int = 16) -> int:
    """Halve the range until the number is found."""
    low, steps = 0, 0
    while True:
        number = await guess(low=low, high=high)
        steps += 1
        told = await compare(number=number, secret=secret)
        if told == 0:
            return steps
        low, high = (low, number - 1) if told > 0 else (number + 1, high)
