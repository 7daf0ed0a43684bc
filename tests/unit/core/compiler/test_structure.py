"""What the compiler makes of each kind of node: templates, names and connections."""

from __future__ import annotations

import pytest
from elevon_core.compiler import compile_workflow
from elevon_core.errors import CompilationError
from elevon_idl.core import v1 as core

from tests.unit.core.compiler.templates import (
    INT,
    NONE,
    STR,
    Flow,
    World,
    approve,
    choose,
    compare,
    downstream,
    each,
    embed,
    launch,
    list_of,
    map_of,
    of,
    optional,
    run,
    signal,
    sleep,
    union_of,
    upstream,
)


def world() -> World:
    inner = Flow({"n": INT}, {"o0": INT}, name="inner").run("n0", "square", n=of("", "n")).returns(o0=of("n0"))
    return (
        World()
        .task("square", {"n": INT}, {"o0": INT})
        .task("squares", {"n": list_of(INT)}, {"o0": list_of(INT)})
        .task("add", {"a": INT, "b": INT}, {"o0": INT, "extra": STR})
        .task("some", {"ns": list_of(optional(INT))})
        .task("all", {"ns": list_of(INT)})
        .task("nothing")
        .plan("plan", {"n": INT}, {"m": INT}, {"o0": INT})
        .flow(inner)
    )


def node_ids(compiled: core.CompiledWorkflow) -> list[str]:
    return [node.id for node in compiled.template.nodes]


def test_task_nodes() -> None:
    flow = (
        Flow({"n": INT}, {"o0": INT})
        .run("n1", "add", a=of("n0"), b=of("", "n"), after=["n2", "n0"])
        .run("n0", "square", n=3)
        .run("n2", "nothing")
        .returns(o0=of("n0"))
    )
    closure = world().compile(flow)
    primary = closure.primary
    assert node_ids(primary) == ["start-node", "end-node", "n1", "n0", "n2"]
    assert primary.template.nodes[0] == core.Node(id="start-node")
    assert primary.template.nodes[1] == core.Node(id="end-node", inputs=flow.template.outputs)
    assert list(primary.template.nodes[2].upstream_node_ids) == ["n0", "n2"]
    assert [binding.binding.promise.node_id for binding in primary.template.nodes[2].inputs] == ["n0", "start-node"]
    assert upstream(primary) == {
        "n0": ["start-node"],
        "n1": ["n0", "n2", "start-node"],
        "n2": ["start-node"],
        "end-node": ["n0", "n1"],
    }
    assert downstream(primary) == {
        "start-node": ["n0", "n1", "n2"],
        "n0": ["end-node", "n1"],
        "n2": ["n1"],
        "n1": ["end-node"],
    }
    assert [task.template.id.name for task in closure.tasks] == ["add", "nothing", "square"]
    assert not closure.launch_plans


def test_interfaces_are_made_whole() -> None:
    compiled = world().compile(Flow().run("n0", "nothing")).primary.template
    assert compiled.interface.HasField("inputs")
    assert compiled.interface.HasField("outputs")


def test_input_may_be_passed_through_to_the_output() -> None:
    flow = Flow({"n": INT}, {"o0": list_of(INT)}).run("n0", "nothing").returns(o0=[of("", "n"), 7])
    primary = world().compile(flow).primary
    assert primary.template.outputs[0].binding.collection.bindings[0].promise.node_id == "start-node"
    assert primary.template.nodes[1].inputs == primary.template.outputs
    assert upstream(primary)["end-node"] == ["n0", "start-node"]


def test_branch_nodes() -> None:
    flow = (
        Flow({"n": INT}, {"o0": INT})
        .run("n0", "square", n=of("", "n"))
        .run("n1", "square", n=1)
        .add(
            choose(
                "n2",
                (compare("$n0.o0", 1), run("n0", "add", a=of("n0"), b=of("n1"))),
                (compare("$.n", 2), run("n1", "square", n=of("", "n"))),
                otherwise=run("n2", "square", n=5),
                **{"n0.o0": of("n0"), ".n": of("", "n")},
            )
        )
        .run("n3", "square", n=of("n2"))
        .returns(o0=of("n3"))
    )
    primary = world().compile(flow).primary
    assert node_ids(primary) == ["start-node", "end-node", "n0", "n1", "n2", "n3"]
    if_else = primary.template.nodes[4].branch_node.if_else
    assert if_else.case.then_node.id == "n2-n0"
    assert if_else.other[0].then_node.id == "n2-n1"
    assert if_else.else_node.id == "n2-n2"
    assert if_else.other[0].then_node.inputs[0].binding.promise.node_id == "start-node"
    assert upstream(primary) == {
        "n0": ["start-node"],
        "n1": ["start-node"],
        "n2": ["n0", "start-node"],
        "n2-n0": ["n0", "n1"],
        "n2-n1": ["start-node"],
        "n3": ["n2"],
        "end-node": ["n1", "n3"],
    }
    # What waits within a branch is not told to those it waits for: they would otherwise start it.
    assert downstream(primary) == {
        "start-node": ["n0", "n1", "n2"],
        "n0": ["n2"],
        "n1": ["end-node"],
        "n2": ["n3"],
        "n3": ["end-node"],
    }


def test_branches_within_branches() -> None:
    inner = choose("n0", (compare("$x", 1), run("n0", "square", n=of("n0"))), x=of("n0"))
    flow = Flow().run("n0", "square", n=1).add(choose("n1", (compare(1, 2), inner)))
    primary = world().compile(flow).primary
    arm = primary.template.nodes[3].branch_node.if_else.case.then_node
    assert arm.id == "n1-n0"
    assert arm.branch_node.if_else.case.then_node.id == "n1-n0-n0"
    assert upstream(primary) == {
        "n0": ["start-node"],
        "n1": ["start-node"],
        "n1-n0": ["n0"],
        "n1-n0-n0": ["n0"],
        "end-node": ["n0", "n1"],
    }


def test_branch_yields_what_all_arms_yield() -> None:
    arms = [(compare(1, 2), run("n0", "add", a=1, b=2)), (compare(1, 2), run("n1", "square", n=1))]
    flow = Flow().add(choose("b", *arms)).run("n0", "square", n=of("b", "extra"))
    assert world().findings(flow) == [("ParameterNotBound", "n0"), ("VariableNameNotFound", "n0")]


def test_branch_waiting_for_its_own_consumer_is_a_cycle() -> None:
    flow = Flow().add(choose("b", (compare(1, 2), run("n0", "square", n=of("n1"))))).run("n1", "square", n=of("b"))
    with pytest.raises(CompilationError, match="nodes wait for each other: b > n1 > b"):
        world().compile(flow)


def test_node_within_a_branch_is_not_to_be_bound_from_outside() -> None:
    flow = Flow().add(choose("b", (compare(1, 2), run("n0", "square", n=1)))).run("n1", "square", n=of("b-n0"))
    assert world().findings(flow) == [("NodeReferenceNotFound", "n1")]


def test_gate_nodes() -> None:
    flow = (
        Flow({"s": STR}, {"o0": STR, "o1": INT})
        .add(signal("n0", INT, var="given"), sleep("n1"), approve("n2", o0=of("", "s"), more=[1, 2]))
        .add(approve("n3", one=of("n2", "[1].more")), after=["n1"])
        .run("n4", "add", a=of("n0", "given"), b=of("n3", "one"))
        .returns(o0=of("n2"), o1=of("n4"))
    )
    primary = world().compile(flow).primary
    assert upstream(primary) == {
        "n0": ["start-node"],
        "n1": ["start-node"],
        "n2": ["start-node"],
        "n3": ["n1", "n2"],
        "n4": ["n0", "n3"],
        "end-node": ["n2", "n4"],
    }


def test_approval_passes_types_on() -> None:
    cases = [
        ([1, 2], list_of(INT)),
        ({"a": 1}, map_of(INT)),
        ([1, "a"], list_of(union_of(INT, STR))),
        ([], list_of(NONE)),
        (None, NONE),
    ]
    for value, expected in cases:
        flow = Flow({}, {"o0": expected}).add(approve("n0", x=value)).returns(o0=of("n0", "x"))
        assert world().findings(flow) == []
    wrong = Flow({}, {"o0": list_of(INT)}).add(approve("n0", x=["a"])).returns(o0=of("n0", "x"))
    assert world().findings(wrong) == [("MismatchingTypes", "end-node")]


def test_array_nodes_over_tasks_keep_their_interface() -> None:
    element = run("m.map_square-arraynode", "squares", n=of("", "ns"))
    array = each("n0", element, min_success_ratio=1.0, is_original_sub_node_interface={"value": False})
    flow = Flow({"ns": list_of(INT)}, {"o0": list_of(INT)}).add(array).returns(o0=of("n0"))
    primary = world().compile(flow).primary
    compiled = primary.template.nodes[2]
    assert compiled.array_node.node.id == "m.map_square-arraynode"
    assert compiled.array_node.node.inputs == compiled.inputs
    assert compiled.inputs[0].binding.promise.node_id == "start-node"
    assert upstream(primary) == {"n0": ["start-node"], "end-node": ["n0"]}


@pytest.mark.parametrize(
    ("options", "consumer"),
    [
        ({}, "all"),
        ({"min_success_ratio": 1.0}, "all"),
        ({"min_success_ratio": 0.5}, "some"),
        ({"min_successes": 1}, "all"),
    ],
)
def test_array_nodes_over_launch_plans_make_lists(options: dict[str, float], consumer: str) -> None:
    array = each("n0", launch("e", "plan", n=[1, 2], m=7), is_original_sub_node_interface={"value": True}, **options)
    array.array_node.bound_inputs.append("m")
    flow = Flow().add(array).run("n1", consumer, ns=of("n0"))
    assert world().findings(flow) == []
    other = Flow().add(array).run("n1", "square", n=of("n0"))
    assert world().findings(other) == [("MismatchingTypes", "n1")]


def test_array_nodes_within_branches() -> None:
    element = run("e", "squares", n=of("", "ns"))
    flow = Flow({"ns": list_of(INT)}, {"o0": list_of(INT)}).add(choose("b", (compare(1, 2), each("n0", element))))
    primary = world().compile(flow.returns(o0=of("b"))).primary
    assert primary.template.nodes[2].branch_node.if_else.case.then_node.array_node.node.id == "e"
    assert upstream(primary) == {"b": ["start-node"], "b-n0": ["start-node"], "end-node": ["b"]}


def test_array_nodes_over_array_nodes() -> None:
    element = each("m", run("e", "squares", n=of("", "ns")))
    flow = Flow({"ns": list_of(INT)}).add(each("n0", element))
    compiled = world().compile(flow).primary.template.nodes[2].array_node.node.array_node.node
    assert compiled.inputs[0].binding.promise.node_id == "start-node"


def test_sub_workflows_and_launch_plans() -> None:
    unused = Flow({}, {}, name="unused").run("n0", "nothing")
    flow = Flow().add(embed("n0", "inner", n=1), launch("n1", "plan", n=of("n0")))
    closure = world().flow(unused).compile(flow)
    assert [each.template.id.name for each in closure.sub_workflows] == ["inner", "unused"]
    inner, other = closure.sub_workflows
    assert node_ids(inner) == ["start-node", "end-node", "n0"]
    assert upstream(inner) == {"n0": ["start-node"], "end-node": ["n0"]}
    assert upstream(other) == {"n0": ["start-node"], "end-node": ["n0"]}
    assert [task.template.id.name for task in closure.tasks] == ["nothing", "square"]
    assert closure.primary.template.nodes[3].workflow_node.launchplan_ref.name == "plan"


def test_failure_nodes() -> None:
    flow = Flow({"n": INT}).run("n0", "nothing").on_failure(run("fn0", "square", n=of("", "n")))
    primary = world().compile(flow).primary
    assert node_ids(primary) == ["start-node", "end-node", "n0"]
    assert primary.template.failure_node.inputs[0].binding.promise.node_id == "start-node"
    assert upstream(primary) == {"n0": ["start-node"], "fn0": ["start-node"], "end-node": ["n0"]}
    assert downstream(primary) == {"start-node": ["n0"], "n0": ["end-node"]}


def test_arguments_stay_as_they_were() -> None:
    place = world()
    flow = Flow({"n": INT}).run("n0", "square", n=of("", "n")).add(choose("b", (compare(1, 2), run("n0", "nothing"))))
    before = [message.SerializeToString(deterministic=True) for message in (flow.template, place.flows[0].template)]
    closure = place.compile(flow)
    closure.tasks[0].template.type = "changed"
    after = [message.SerializeToString(deterministic=True) for message in (flow.template, place.flows[0].template)]
    assert before == after
    assert {task.template.type for task in place.tasks.values()} == {"test"}


def test_compiled_template_compiles_to_itself() -> None:
    place = world()
    inner = choose("n0", (compare(1, 2), run("n0", "square", n=1)))
    flow = Flow({"n": INT}, {"o0": INT}).run("n0", "square", n=of("", "n")).add(choose("n1", (compare(1, 2), inner)))
    flow.on_failure(run("f", "square", n=of("", "n"))).returns(o0=of("n1"))
    once = place.compile(flow)
    again = compile_workflow(
        once.primary.template, [each.template for each in once.sub_workflows], place.tasks, place.plans
    )
    assert again == once
