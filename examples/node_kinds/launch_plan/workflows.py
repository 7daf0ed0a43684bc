"""Launch-plan nodes: executions of their own, with defaults and fixed inputs."""

from flytekit import LaunchPlan, task, workflow


@task
def greet(greeting: str, name: str) -> str:
    return f"{greeting}, {name}"


@workflow
def greeting_of(greeting: str, name: str) -> str:
    return greet(greeting=greeting, name=name)


polite = LaunchPlan.get_or_create(
    greeting_of, "polite_greeting", default_inputs={"name": "world"}, fixed_inputs={"greeting": "Good morning"}
)


@workflow
def greetings(name: str = "Anna") -> tuple[str, str]:
    return polite(), polite(name=name)
