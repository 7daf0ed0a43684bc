"""Runs the workflow and answers its gates, as a person would."""

import time

from flytekit.configuration import Config
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

VERSION = "example"


def when_asked(remote: FlyteRemote, execution: FlyteWorkflowExecution, signal: str) -> None:
    """Wait until a gate has been reached."""
    while signal not in {each.id.signal_id for each in remote.list_signals(execution.id.name)}:
        time.sleep(0.2)


def main() -> None:
    remote = FlyteRemote(Config.auto(), default_project="flytesnacks", default_domain="development")
    plan = remote.fetch_launch_plan(name="workflows.reviewed", version=VERSION)
    execution = remote.execute(plan, inputs={})
    when_asked(remote, execution, "title")
    remote.set_input("title", execution.id.name, "Elevon", python_type=str)
    when_asked(remote, execution, "review")
    remote.approve("review", execution.id.name)
    print(remote.wait(execution, poll_interval=1).outputs["o0"])


if __name__ == "__main__":
    main()
