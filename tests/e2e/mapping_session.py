"""What a user does with FlyteRemote and map tasks; run by the tests inside the tasks' environment."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "project"))

import mapping
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

SUCCEEDED, TASK_SUCCEEDED = 4, 3


def main() -> None:
    config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
    remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development")
    version = "mapping-session"
    remote.fast_register_workflow(mapping.squares, version=version)
    execution = remote.execute(mapping.squares, inputs={"values": [1, 2, 3]}, version=version)
    execution = remote.wait(execution, poll_interval=1)
    assert execution.closure.phase == SUCCEEDED, execution.closure
    assert execution.outputs["o0"] == [1, 4, 9], execution.outputs
    synced = remote.sync_execution(execution, sync_nodes=True)
    node = synced.node_executions["n0"]
    assert node.closure.phase == 3, node.closure
    assert len(node.task_executions) == 1, node.task_executions
    resources = node.task_executions[0].closure.metadata.external_resources
    assert len(resources) == 3, resources
    assert all(resource.phase == TASK_SUCCEEDED for resource in resources), resources
    assert node.inputs["n"] == [1, 2, 3], node.inputs
    assert node.outputs["o0"] == [1, 4, 9], node.outputs
    print("every step worked")


if __name__ == "__main__":
    main()
