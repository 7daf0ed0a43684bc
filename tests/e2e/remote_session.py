"""What a user does with FlyteRemote; run by the tests inside the tasks' environment, with the platform in variables."""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "project"))

import basics
from flytekit.configuration import Config
from flytekit.exceptions.user import FlyteEntityNotExistException
from flytekit.remote import FlyteRemote

SUCCEEDED = 4


def main() -> None:
    config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
    remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development")
    version = "remote-session"

    mixed = remote.fast_register_workflow(basics.mixed, version=version)
    assert [node.id for node in mixed.flyte_nodes] == ["n0", "n1", "n2", "n3", "n4"], mixed.flyte_nodes
    execution = remote.execute(basics.mixed, inputs={"a": 5, "text": "sum "}, version=version, wait=False)
    execution = remote.wait(execution, poll_interval=1)
    assert execution.closure.phase == SUCCEEDED, execution.closure
    assert execution.outputs["o0"] == "sum 15", execution.outputs
    assert execution.inputs["a"] == 5

    synced = remote.sync_execution(execution, sync_nodes=True)
    assert sorted(synced.node_executions)[:2] == ["end-node", "n0"], sorted(synced.node_executions)
    assert {"start-node", "n0", "n1", "n2", "n3", "n4"} <= set(synced.node_executions)
    assert all(node.closure.phase == 3 for node in synced.node_executions.values())
    assert synced.node_executions["n0"].outputs["o0"] == 7
    assert synced.node_executions["n0"].task_executions[0].closure.phase == 3

    fetched = remote.fetch_execution(project="flytesnacks", domain="development", name=execution.id.name)
    assert fetched.outputs["o0"] == "sum 15"

    task_execution = remote.execute(basics.add, inputs={"a": 20, "b": 22}, version=version)
    task_execution = remote.wait(task_execution, poll_interval=1)
    assert task_execution.outputs["o0"] == 42

    with tempfile.TemporaryDirectory() as folder:
        remote.download(synced.node_executions["n3"].outputs, folder, recursive=True)
        contents = [path.read_text() for path in Path(folder).rglob("*") if path.is_file()]
        assert contents == ["sum "], contents

    fetched_task = remote.fetch_task(name="basics.add", version=version)
    again = remote.wait(remote.execute(fetched_task, inputs={"a": 1, "b": 1}), poll_interval=1)
    assert again.outputs["o0"] == 2
    launch_plan = remote.fetch_launch_plan(name="basics.mixed", version=version)
    planned = remote.wait(remote.execute(launch_plan, inputs={"a": 1}), poll_interval=1)
    assert planned.outputs["o0"] == "total: 11"
    try:
        remote.fetch_task(name="basics.absent", version=version)
    except FlyteEntityNotExistException:
        pass
    else:
        raise AssertionError("an absent task was found")

    remote.fast_register_workflow(basics.long_wf, version=version)
    running = remote.execute(
        basics.long_wf, inputs={"witness": tempfile.gettempdir(), "seconds": 60}, version=version, wait=False
    )
    remote.terminate(running, cause="no longer wanted")
    ended = remote.wait(running, poll_interval=1)
    assert ended.closure.phase == 7, ended.closure
    assert any(found.id.name == execution.id.name for found in remote.recent_executions())
    print("every step worked")


if __name__ == "__main__":
    main()
