"""Gate nodes: wait for a while, for a value, for a yes."""

from datetime import timedelta

from flytekit import approve, sleep, task, wait_for_input, workflow


@task
def draft(title: str) -> str:
    return f"# {title}"


@task
def publish(text: str) -> str:
    return f"published: {text}"


@workflow
def reviewed() -> str:
    title = wait_for_input("title", timeout=timedelta(hours=1), expected_type=str)
    text = draft(title=title)
    pause = sleep(timedelta(seconds=1))
    text >> pause
    return publish(text=approve(text, "review", timeout=timedelta(hours=1)))
