"""What the SDK's own integration suite expects of FlyteRemote; run by the tests inside the tasks' environment."""

import os
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "project"))

import acceptance
from flytekit import reference_workflow
from flytekit.configuration import Config
from flytekit.exceptions.user import FlyteEntityNotExistException
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution
from flytekit.tools.translator import Options

VERSION = sys.argv[1]
SUCCEEDED, NODE_SUCCEEDED = 4, 3


def remote_of() -> FlyteRemote:
    config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
    return FlyteRemote(config, default_project="flytesnacks", default_domain="development")


def waited(remote: FlyteRemote, execution: FlyteWorkflowExecution) -> FlyteWorkflowExecution:
    ended = remote.wait(execution, timeout=timedelta(seconds=200), poll_interval=timedelta(seconds=0.2))
    assert ended.closure.phase == SUCCEEDED, ended.closure
    return ended


def launch(remote: FlyteRemote, name: str, inputs: dict[str, int], **more: object) -> FlyteWorkflowExecution:
    plan = remote.fetch_launch_plan(name=f"acceptance.{name}", version=VERSION)
    return remote.execute(plan, inputs=inputs, **more)


def refusal(execution: FlyteWorkflowExecution) -> str:
    """Why the outputs cannot be read."""
    try:
        return str(execution.outputs)
    except Exception as error:
        return str(error)


def progress(remote: FlyteRemote) -> None:
    """Outputs cannot be read before the end; the start node has succeeded whenever any node is known."""
    execution = launch(remote, "hello", {})
    assert execution.id.name.isalnum(), "the suite cuts names out of addresses with [a-zA-Z0-9]+"
    assert f"/executions/{execution.id.name}" in remote.generate_console_url(execution)
    seen = 0
    while not execution.is_done:
        assert "complet" in refusal(execution)
        execution = remote.sync_execution(execution, sync_nodes=True)
        if execution.node_executions:
            seen += 1
            assert execution.node_executions["start-node"].closure.phase == NODE_SUCCEEDED
    assert seen
    assert execution.outputs["o0"] == "hello, world"
    assert execution.closure.duration > timedelta(seconds=1)
    assert set(execution.node_executions) == {"start-node", "n0", "end-node"}


def nesting(remote: FlyteRemote) -> None:
    """Every level of launch plans is followed, and has its start and end."""
    execution = remote.sync_execution(waited(remote, launch(remote, "outermost", {"a": 1})), sync_nodes=True)
    assert execution.outputs["o0"] == 16
    counts = []
    while True:
        counts.append(len(execution.node_executions))
        assert all(node.closure.phase == NODE_SUCCEEDED for node in execution.node_executions.values())
        below = [child for node in execution.node_executions.values() for child in node.workflow_executions]
        if not below:
            break
        (execution,) = below
    assert counts == [5, 4, 3], counts
    execution = remote.sync_execution(waited(remote, launch(remote, "sub_within", {"a": 1})), sync_nodes=True)
    assert "n1-0-n0" in execution.node_executions["n1"].subworkflow_node_executions


def inheritance(remote: FlyteRemote) -> None:
    """What an execution is told goes to the executions it starts."""
    running = {
        flag: launch(remote, "middle", {"a": 1}, interruptible=flag, envs={"WHO": "anna"}, tags=["one"])
        for flag in (True, False, None)
    }
    for flag, execution in running.items():
        ended = remote.sync_execution(waited(remote, execution), sync_nodes=True)
        (child,) = [each for node in ended.node_executions.values() for each in node.workflow_executions]
        for spec in (ended.spec, child.spec):
            assert spec.interruptible is flag, spec
            assert spec.envs.envs == {"WHO": "anna"}, spec.envs
        assert ended.spec.tags == ["one"]


def options(remote: FlyteRemote) -> None:
    """Names, and executions that exist already."""
    first = launch(remote, "echoed", {"a": 4}, execution_name="acceptance-named", overwrite_cache=True)
    again = launch(remote, "echoed", {"a": 5}, execution_name="acceptance-named")
    assert first.id == again.id
    assert waited(remote, again).outputs["o0"] == 8
    prefixed = launch(remote, "echoed", {"a": 1}, execution_name_prefix="acc")
    assert prefixed.id.name.startswith("acc-")
    labelled = launch(remote, "echoed", {"a": 1}, options=Options(labels=None, max_parallelism=2))
    assert labelled.spec.max_parallelism == 2


def absence(remote: FlyteRemote) -> None:
    """What is not there is said not to be there."""
    for fetch in (remote.fetch_task, remote.fetch_workflow, remote.fetch_launch_plan):
        for version in ("absent", None):
            try:
                fetch(name="acceptance.absent", version=version)
            except FlyteEntityNotExistException:
                continue
            raise AssertionError(f"{fetch} found something")
    assert remote.fetch_active_launchplan(name="acceptance.absent") is None


def registry(remote: FlyteRemote) -> None:
    """Lists, activation and resources as they were given."""
    names = {each.id.name for each in remote.list_tasks_by_version(VERSION, limit=1000)}
    assert {"acceptance.double", "acceptance.demanding", "acceptance.echo"} <= names
    assert "flytesnacks" in {project.id for project in remote.client.list_projects_paginated(limit=100)[0]}
    plan = remote.fetch_launch_plan(name="acceptance.middle_plan", version=VERSION)
    remote.activate_launchplan(plan.id)
    assert remote.fetch_active_launchplan(name="acceptance.middle_plan").id.version == VERSION
    remote.deactivate_launchplan(plan.id)
    assert remote.fetch_active_launchplan(name="acceptance.middle_plan") is None
    resources = remote.fetch_task(name="acceptance.demanding", version=VERSION).template.container.resources
    assert {entry.value for entry in resources.limits} == {"1", "500Mi"}
    stored = remote.client.get_workflow(remote.fetch_workflow(name="acceptance.demanding_wf", version=VERSION).id)
    (node,) = [each for each in stored.closure.compiled_workflow.primary.template.nodes if each.task_node]
    assert [entry.value for entry in node.task_node.overrides.resources.limits] == ["400Mi"]
    assert remote.client.get_control_plane_version().startswith("v")
    waited(remote, launch(remote, "demanding_wf", {}))


def references(remote: FlyteRemote) -> None:
    """A reference is all a client needs."""

    @reference_workflow(project="flytesnacks", domain="development", name="acceptance.innermost", version=VERSION)
    def elsewhere(a: int) -> int:
        return 0

    assert waited(remote, remote.execute(elsewhere, inputs={"a": 21})).outputs["o0"] == 42


def scripts(remote: FlyteRemote) -> None:
    """Registration of a module by FlyteRemote."""
    registered = remote.register_script(
        acceptance.hello,
        source_path=str(Path(acceptance.__file__).parent),
        module_name="acceptance",
        version=f"{VERSION}-script",
    )
    assert waited(remote, remote.execute(registered, inputs={})).outputs["o0"] == "hello, world"


STEPS = (progress, nesting, inheritance, options, absence, registry, references, scripts)


def main() -> None:
    remote = remote_of()
    for step in STEPS:
        try:
            step(remote)
        except Exception as error:
            print(f"{step.__name__}: {type(error).__name__}: {str(error)[:600]!r}")
        else:
            print(f"{step.__name__}: ok")


if __name__ == "__main__":
    main()
