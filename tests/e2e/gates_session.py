"""FlyteRemote on gates; run by the tests inside the tasks' environment, with the platform in variables."""

import os
import sys
import time

from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

SUCCEEDED, FAILED = 4, 6


def listed(remote: FlyteRemote, name: str, signal: str) -> object:
    """The signal, once the gate that waits for it has been reached."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for found in remote.list_signals(name):
            if found.id.signal_id == signal:
                return found
        time.sleep(0.1)
    raise AssertionError(f"{name} never waited for {signal}")


def main() -> None:
    config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
    remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development")
    version = sys.argv[1]
    plan = remote.fetch_launch_plan(name="gates.publish", version=version)

    execution = remote.execute(plan, inputs={"body": "news"})
    name = execution.id.name
    assert not listed(remote, name, "title").value.HasField("scalar")
    remote.set_signal("title", name, "Extra")
    listed(remote, name, "review")
    remote.approve("review", name)
    ended = remote.wait(execution, poll_interval=0.5)
    assert ended.closure.phase == SUCCEEDED, ended.closure
    assert ended.outputs["o0"] == "EXTRA: NEWS"
    values = {found.id.signal_id: found.value for found in remote.list_signals(name)}
    assert values["title"].scalar.primitive.string_value == "Extra"
    assert values["review"].scalar.primitive.boolean

    execution = remote.execute(plan, inputs={"body": "gossip"})
    name = execution.id.name
    listed(remote, name, "title")
    remote.set_input("title", name, "Extra")
    listed(remote, name, "review")
    remote.reject("review", name)
    ended = remote.wait(execution, poll_interval=0.5)
    assert ended.closure.phase == FAILED, ended.closure
    assert ended.closure.error.code == "ReceivedRejectSignal"
    print("every step worked")


if __name__ == "__main__":
    main()
