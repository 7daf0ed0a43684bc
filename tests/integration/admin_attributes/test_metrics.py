"""Where time went: spans of executions whose history is told by events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from flyteidl.admin import common_pb2, execution_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, condition_pb2, identifier_pb2, literals_pb2
from flyteidl.core import interface_pb2 as core_interface
from flyteidl.core import workflow_pb2 as core_workflow
from flyteidl.event import event_pb2 as events

from tests.integration.admin_executions.harness import EPOCH, NODE, TASK, WORKFLOW, Admin, execution_id, literals
from tests.integration.admin_registry.harness import (
    INVALID,
    MISSING,
    plan,
    plan_id,
    refused,
    task,
    task_id,
    workflow_id,
)

CONTRADICTED = grpc.StatusCode.FAILED_PRECONDITION
Node = core_workflow.Node
NOTHING = core_interface.TypedInterface(inputs=core_interface.VariableMap(), outputs=core_interface.VariableMap())


def node(node_id: str, *after: str, **target: Any) -> Any:
    """A node of a task unless told otherwise."""
    if not target:
        target = {"task_node": core_workflow.TaskNode(reference_id=task_id("t"))}
    metadata = core_workflow.NodeMetadata(name=node_id)
    return Node(id=node_id, metadata=metadata, upstream_node_ids=after, **target)


def template(name: str, nodes: Sequence[Any]) -> Any:
    """A workflow without inputs and outputs."""
    return core_workflow.WorkflowTemplate(
        id=workflow_id(name),
        metadata=core_workflow.WorkflowMetadata(),
        metadata_defaults=core_workflow.WorkflowMetadataDefaults(),
        interface=NOTHING,
        nodes=nodes,
    )


async def registered(admin: Admin, name: str, nodes: Sequence[Any], sub_workflows: Sequence[Any] = ()) -> Any:
    """Register a workflow of task `t` and its launch plan, and launch it under the same name."""
    spec = workflow_pb2.WorkflowSpec(template=template(name, nodes), sub_workflows=sub_workflows)
    await admin.stub.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=workflow_id(name), spec=spec))
    await admin.stub.CreateLaunchPlan(plan(name))
    return await admin.launch(plan_id(name), name, literals())


async def told_node(
    admin: Admin, run: Any, node_id: str, times: Sequence[int], parent: str = "", **fields: Any
) -> None:
    """Tell that a node was queued, ran and succeeded at these seconds; fewer seconds tell less."""
    if parent:
        fields["parent_node_metadata"] = events.ParentNodeExecutionMetadata(node_id=parent)
        fields.setdefault("spec_node_id", node_id.removeprefix(f"{parent}-0-"))
    for phase, second in zip((NODE.QUEUED, NODE.RUNNING, NODE.SUCCEEDED), times, strict=False):
        await admin.report_node(run, node_id, phase, second, **fields)


async def told_start(admin: Admin, run: Any, second: int, parent: str = "") -> None:
    """Tell that the start-node of a graph passed."""
    node_id, fields = "start-node", {}
    if parent:
        fields = {"parent_node_metadata": events.ParentNodeExecutionMetadata(node_id=parent), "spec_node_id": node_id}
        node_id = f"{parent}-0-start-node"
    await admin.report_node(run, node_id, NODE.SUCCEEDED, second, **fields)


async def told_task(admin: Admin, run: Any, node_id: str, times: Sequence[int], attempt: int = 0) -> None:
    """Tell that an attempt was queued, ran and ended at these seconds."""
    for phase, second in zip((TASK.QUEUED, TASK.RUNNING, TASK.SUCCEEDED), times, strict=False):
        await admin.report_task(run, node_id, phase, second, retry_attempt=attempt)


def lines(span: Any, indent: str = "") -> Iterator[str]:
    """A span and those inside, each on a line; times that the tests did not choose are `now`."""
    kind = span.WhichOneof("id")
    names = {
        "workflow_id": span.workflow_id.name,
        "node_id": span.node_id.node_id,
        "task_id": f"{span.task_id.node_execution_id.node_id}/{span.task_id.retry_attempt}",
        "operation_id": span.operation_id,
    }
    start, end = (_second(each) for each in (span.start_time, span.end_time))
    yield f"{indent}{names[kind]} {start}-{end}"
    for inner in span.spans:
        yield from lines(inner, indent + "  ")


def _second(moment: Any) -> str:
    second = moment.seconds - EPOCH
    return str(second) if 0 <= second < 1_000_000 else "now"


async def metrics(admin: Admin, run: Any, depth: int = 10) -> str:
    """The spans of an execution."""
    request = execution_pb2.WorkflowExecutionGetMetricsRequest(id=run, depth=depth)
    answer = await admin.stub.GetExecutionMetrics(request)
    return "\n".join(lines(answer.span))


def block(text: str) -> str:
    """The text without the indentation of the test."""
    kept = [line for line in text.splitlines() if line.strip()]
    margin = min(len(line) - len(line.lstrip()) for line in kept)
    return "\n".join(line[margin:] for line in kept)


async def test_attempts_of_a_task_and_the_depth(admin: Admin) -> None:
    await admin.stub.CreateTask(task("t", inputs={}, outputs={}))
    run = await registered(admin, "w", [node("n0"), node("n1", "n0")])
    await admin.report(run, WORKFLOW.RUNNING, 1)
    assert await metrics(admin, run) == "w now-1\n  WORKFLOW_SETUP now-1"

    await told_start(admin, run, 2)
    await told_node(admin, run, "n0", [3, 4])
    await told_task(admin, run, "n0", [5, 6, 8])
    await told_task(admin, run, "n0", [10, 11], attempt=1)
    await told_node(admin, run, "n1", [25])
    await admin.report_node(run, "n0", NODE.SUCCEEDED, 20)
    await admin.report(run, WORKFLOW.SUCCEEDED, 30)

    assert await metrics(admin, run, -1) == block("""
        w now-30
          WORKFLOW_SETUP now-2
          n0 3-20
            NODE_TRANSITION 2-3
            NODE_SETUP 3-5
            n0/0 5-8
              TASK_SETUP 5-6
              TASK_RUNTIME 6-8
              TASK_TEARDOWN 8-8
            NODE_RESET 8-10
            n0/1 10-11
              TASK_SETUP 10-11
              TASK_RUNTIME 11-11
            NODE_TEARDOWN 11-20
          n1 25-25
            NODE_TRANSITION 20-25
            NODE_SETUP 25-25
          WORKFLOW_TEARDOWN 25-30
    """)
    assert await metrics(admin, run, 0) == "w now-30"
    assert await metrics(admin, run, 1) == block("""
        w now-30
          WORKFLOW_SETUP now-2
          n0 3-20
            NODE_TRANSITION 2-3
          n1 25-25
            NODE_TRANSITION 20-25
          WORKFLOW_TEARDOWN 25-30
    """)
    assert "NODE_RESET 8-10" in await metrics(admin, run, 2)
    assert "n0/0" not in await metrics(admin, run, 2)
    assert "TASK_RUNTIME 6-8" in await metrics(admin, run, 3)


async def test_a_sub_workflow_is_found_in_the_closure_of_its_parent(admin: Admin) -> None:
    await admin.stub.CreateTask(task("t", inputs={}, outputs={}))
    inner = template("only-here", [node("s0")])
    target = core_workflow.WorkflowNode(sub_workflow_ref=workflow_id("only-here"))
    run = await registered(admin, "w", [node("n0", workflow_node=target), node("n1", workflow_node=target)], [inner])
    await told_start(admin, run, 1)
    await told_node(admin, run, "n0", [2, 3], is_parent=True)
    await told_start(admin, run, 4, "n0")
    await told_node(admin, run, "n0-0-s0", [5, 6, 7], "n0")
    await admin.report_node(run, "n0", NODE.SUCCEEDED, 9)
    await told_node(admin, run, "n1", [10, 11])

    assert await metrics(admin, run) == block("""
        w now-now
          WORKFLOW_SETUP now-1
          n0 2-9
            NODE_TRANSITION 1-2
            NODE_SETUP 2-4
            n0-0-s0 5-7
              NODE_TRANSITION 4-5
              NODE_SETUP 5-7
            NODE_TEARDOWN 7-9
          n1 10-11
            NODE_TRANSITION 1-10
            NODE_SETUP 10-11
          WORKFLOW_TEARDOWN 11-now
    """)


def branch(then: Any, otherwise: Any) -> Any:
    """A branch node that always takes the first way."""
    one = condition_pb2.Operand(primitive=literals_pb2.Primitive(integer=1))
    comparison = condition_pb2.ComparisonExpression(
        operator=condition_pb2.ComparisonExpression.EQ, left_value=one, right_value=one
    )
    condition = condition_pb2.BooleanExpression(comparison=comparison)
    block_ = core_workflow.IfBlock(condition=condition, then_node=then)
    return core_workflow.BranchNode(if_else=core_workflow.IfElseBlock(case=block_, else_node=otherwise))


async def test_branches_and_gates(admin: Admin) -> None:
    await admin.stub.CreateTask(task("t", inputs={}, outputs={}))
    gate = core_workflow.GateNode(sleep=core_workflow.SleepCondition(duration={"seconds": 1}))
    ways = branch(node("yes"), node("no"))
    nodes = [node("n0", branch_node=ways), node("n1", gate_node=gate), node("n2", branch_node=ways)]
    run = await registered(admin, "w", nodes)
    closure = (await admin.stub.GetWorkflow(_get(workflow_id("w")))).closure.compiled_workflow
    compiled = next(each for each in closure.primary.template.nodes if each.id == "n0")
    taken = compiled.branch_node.if_else.case.then_node.id

    await told_start(admin, run, 1)
    await told_node(admin, run, "n0", [2, 3], is_parent=True)
    await told_node(admin, run, "n1", [2])
    assert "  n1 2-2\n    NODE_TRANSITION 1-2\n    NODE_SETUP 2-2" in await metrics(admin, run)
    await admin.report_node(run, "n1", NODE.RUNNING, 4)
    assert "    NODE_SETUP 2-4\n    NODE_IDLE 4-4" in await metrics(admin, run)
    await admin.report_node(run, "n1", NODE.SUCCEEDED, 6)
    await told_node(admin, run, f"n0-0-{taken}", [4, 5, 7], "n0", spec_node_id=taken)
    await admin.report_node(run, "n0", NODE.SUCCEEDED, 8)
    await told_node(admin, run, "n2", [9, 10])

    assert await metrics(admin, run) == block(f"""
        w now-now
          WORKFLOW_SETUP now-1
          n0 2-8
            NODE_TRANSITION 1-2
            NODE_SETUP 2-4
            n0-0-{taken} 4-7
              NODE_SETUP 4-7
            NODE_TEARDOWN 7-8
          n1 2-6
            NODE_TRANSITION 1-2
            NODE_SETUP 2-4
            NODE_IDLE 4-6
            NODE_TEARDOWN 6-6
          n2 9-10
            NODE_TRANSITION 1-9
            NODE_SETUP 9-10
          WORKFLOW_TEARDOWN 10-now
    """)

    await told_node(admin, run, "n0-0-other", [4, 5, 7], "n0", spec_node_id="other")
    await refused(metrics(admin, run), CONTRADICTED, "took one way, and 2 nodes are recorded below it")


def _get(identifier: identifier_pb2.Identifier) -> Any:
    return common_pb2.ObjectGetRequest(id=identifier)


async def test_child_executions_are_looked_into_once(admin: Admin) -> None:
    await admin.stub.CreateTask(task("t", inputs={}, outputs={}))
    child = await registered(admin, "child", [node("c0")])
    await told_start(admin, child, 3)
    await told_node(admin, child, "c0", [4, 5, 6])
    await admin.report(child, WORKFLOW.RUNNING, 3)
    await admin.report(child, WORKFLOW.SUCCEEDED, 8)

    target = core_workflow.WorkflowNode(launchplan_ref=plan_id("child"))
    nodes = [node(f"n{number}", workflow_node=target) for number in range(4)]
    run = await registered(admin, "w", nodes)
    await told_start(admin, run, 1)
    of_child = events.WorkflowNodeMetadata(execution_id=child)
    of_itself = events.WorkflowNodeMetadata(execution_id=run)
    await told_node(admin, run, "n0", [2, 3, 9], workflow_node_metadata=of_child)
    await told_node(admin, run, "n1", [2, 3], workflow_node_metadata=of_itself)
    await told_node(admin, run, "n2", [2, 3], workflow_node_metadata=of_child)
    await told_node(admin, run, "n3", [2])

    assert await metrics(admin, run, -1) == block("""
        w now-now
          WORKFLOW_SETUP now-1
          n0 2-9
            NODE_TRANSITION 1-2
            NODE_SETUP 2-now
            child now-8
              WORKFLOW_SETUP now-3
              c0 4-6
                NODE_TRANSITION 3-4
                NODE_SETUP 4-6
              WORKFLOW_TEARDOWN 6-8
            NODE_TEARDOWN 8-9
          n1 2-3
            NODE_TRANSITION 1-2
            NODE_SETUP 2-3
          n2 2-3
            NODE_TRANSITION 1-2
            NODE_SETUP 2-3
          n3 2-2
            NODE_TRANSITION 1-2
            NODE_SETUP 2-2
          WORKFLOW_TEARDOWN 9-now
    """)


def dynamic(nodes: Sequence[Any]) -> Any:
    """What a dynamic node tells of the workflow that it made."""
    compiled = compiler_pb2.CompiledWorkflow(template=template("made", [Node(id="start-node"), *nodes]))
    upstream = compiled.connections.upstream
    upstream["end-node"].ids.extend(each.id for each in nodes)
    for each in nodes:
        upstream[each.id].ids.append("start-node")
    closure = compiler_pb2.CompiledWorkflowClosure(primary=compiled)
    made = events.DynamicWorkflowNodeMetadata(
        id=workflow_id("made"), compiled_workflow=closure, dynamic_job_spec_uri="s3://b/spec"
    )
    return events.TaskNodeMetadata(dynamic_workflow=made)


async def test_dynamic_nodes(admin: Admin) -> None:
    await admin.stub.CreateTask(task("t", inputs={}, outputs={}))
    run = await registered(admin, "w", [node("n0")])
    await told_start(admin, run, 1)
    await told_node(admin, run, "n0", [2, 3], is_parent=True)
    await told_task(admin, run, "n0", [4, 5, 6])
    made = {"is_parent": True, "is_dynamic": True, "task_node_metadata": dynamic([node("d0")])}
    await admin.report_node(run, "n0", NODE.DYNAMIC_RUNNING, 7, **made)
    assert "    NODE_RESET 6-7" in await metrics(admin, run)
    await told_start(admin, run, 8, "n0")
    await told_node(admin, run, "n0-0-d0", [9, 10, 11], "n0")
    await admin.report_node(run, "n0", NODE.SUCCEEDED, 12)

    assert await metrics(admin, run) == block("""
        w now-now
          WORKFLOW_SETUP now-1
          n0 2-12
            NODE_TRANSITION 1-2
            NODE_SETUP 2-4
            n0/0 4-6
              TASK_SETUP 4-5
              TASK_RUNTIME 5-6
              TASK_TEARDOWN 6-6
            NODE_RESET 6-8
            n0-0-d0 9-11
              NODE_TRANSITION 8-9
              NODE_SETUP 9-11
            NODE_TEARDOWN 11-12
          WORKFLOW_TEARDOWN 12-now
    """)


async def test_what_cannot_be_answered_is_told(admin: Admin) -> None:
    await refused(metrics(admin, execution_id("nobody")), MISSING, "execution", "nobody")
    await refused(metrics(admin, None), INVALID, "missing")
    await admin.stub.CreateTask(task("t", inputs={}, outputs={}))
    run = await registered(admin, "w", [node("n0")])
    await told_start(admin, run, 1)
    await told_node(admin, run, "surprise", [2])
    await refused(metrics(admin, run), CONTRADICTED, "node surprise is not in workflow w")
