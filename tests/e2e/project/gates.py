"""Workflows that wait for people, for the end-to-end tests."""

from datetime import timedelta

from flytekit import approve, sleep, task, wait_for_input, workflow

LONG = timedelta(hours=1)


@task
def shout(text: str) -> str:
    return text.upper()


@task
def join(title: str, body: str) -> str:
    return f"{title}: {body}"


@workflow
def publish(body: str) -> str:
    """Waits for a title, then for somebody to approve of the whole."""
    title = wait_for_input("title", timeout=LONG, expected_type=str)
    report = join(title=title, body=shout(text=body))
    return shout(text=approve(report, "review", timeout=LONG))


@workflow
def twice(body: str) -> str:
    """Two gates share a signal; the second one is reached after it was set."""
    first = approve(shout(text=body), "go", timeout=LONG)
    return approve(shout(text=first), "go", timeout=LONG)


@workflow
def late_gate(body: str) -> str:
    """The gate is reached a while after the execution has begun."""
    pause = sleep(timedelta(seconds=2))
    said = shout(text=body)
    pause >> said
    return approve(said, "later", timeout=LONG)
