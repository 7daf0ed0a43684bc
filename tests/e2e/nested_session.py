"""FlyteRemote on nested executions; run by the tests inside the tasks' environment, with the platform in variables."""

import os
import sys

from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

SUCCEEDED = 4
NODE_SUCCEEDED = 3


def main() -> None:
    config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
    remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development")
    version = sys.argv[1]

    plan = remote.fetch_launch_plan(name="nested.launches_wf", version=version)
    execution = remote.wait(remote.execute(plan, inputs={"a": 2}), poll_interval=1)
    synced = remote.sync_execution(execution, sync_nodes=True)
    assert synced.closure.phase == SUCCEEDED, synced.closure
    assert synced.outputs["o0"] == [8, 12]
    dynamic = synced.node_executions["n0"]
    below = {node.metadata.spec_node_id: node for node in dynamic.subworkflow_node_executions.values()}
    launched = below["dn0"]
    assert launched.closure.phase == NODE_SUCCEEDED
    assert [child.closure.phase for child in launched.workflow_executions] == [SUCCEEDED]
    assert launched.workflow_executions[0].node_executions["n0"].outputs["o0"] == 4
    assert len(below["dn1"].subworkflow_node_executions) >= 2

    plan = remote.fetch_launch_plan(name="nested.parent", version=version)
    execution = remote.sync_execution(
        remote.wait(remote.execute(plan, inputs={"a": 1}), poll_interval=1), sync_nodes=True
    )
    children = [child for node in execution.node_executions.values() for child in node.workflow_executions]
    assert [child.closure.phase for child in children] == [SUCCEEDED, SUCCEEDED]

    plan = remote.fetch_launch_plan(name="nested.fan_of_fans_wf", version=version)
    execution = remote.sync_execution(
        remote.wait(remote.execute(plan, inputs={"count": 2}), poll_interval=1), sync_nodes=True
    )
    assert execution.outputs["o0"] == 4

    task = remote.fetch_task(name="nested.fan", version=version)
    execution = remote.sync_execution(
        remote.wait(remote.execute(task, inputs={"count": 2}), poll_interval=1), sync_nodes=True
    )
    assert execution.outputs["o0"] == 2
    print("every step worked")


if __name__ == "__main__":
    main()
