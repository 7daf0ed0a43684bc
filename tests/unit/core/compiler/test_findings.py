"""Every finding the compiler has, each by the smallest workflow that brings it about."""

from __future__ import annotations

import pytest
from elevon_core.compiler.findings import Code
from elevon_core.errors import CompilationError
from elevon_idl.core import v1 as core

from tests.unit.core.compiler.templates import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    STR,
    STRUCT,
    UNTYPED,
    Flow,
    World,
    approve,
    both,
    choose,
    compare,
    data,
    dataclass_of,
    each,
    embed,
    enum_of,
    launch,
    list_of,
    map_of,
    of,
    optional,
    run,
    signal,
    sleep,
    union_of,
)


def world() -> World:
    inner = Flow({"n": INT}, {"o0": INT}, name="inner").run("n0", "square", n=of("", "n")).returns(o0=of("n0"))
    return (
        World()
        .task("square", {"n": INT}, {"o0": INT})
        .task("say", {"text": STR}, {"o0": STR})
        .task("maybe", {"n": optional(INT)}, {"o0": optional(INT)})
        .task("list", {"ns": list_of(INT)}, {"o0": list_of(INT)})
        .task("map", {"ns": map_of(INT)}, {"o0": map_of(INT)})
        .task("colour", {"c": enum_of("red", "blue")})
        .task("either", {"x": union_of(list_of(INT), list_of(STR), INT)})
        .task("point", {}, {"o0": dataclass_of(x=INT, tags=list_of(STR)), "plain": STRUCT})
        .task(
            "pen",
            {},
            {
                "o0": dataclass_of(
                    animal=optional(dataclass_of(name=STR)), ns=optional(list_of(INT)), any=optional(STRUCT)
                )
            },
        )
        .task("nothing")
        .plan("plan", {"n": INT}, {"m": INT}, {"o0": INT})
        .flow(inner)
    )


ALWAYS = compare(2, 1)


def task_node(**fields: object) -> core.Node:
    node = run("n0", "square", n=1)
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def bare(node: core.Node, field: str) -> core.Node:
    """The node with its target reset to an empty one."""
    getattr(node, field).Clear()
    getattr(node, field).SetInParent()
    return node


def aliased(*pairs: tuple[str, str]) -> core.Node:
    node = run("n0", "square", n=1)
    for var, alias in pairs:
        node.output_aliases.add(var=var, alias=alias)
    return node


def without_data() -> core.Node:
    node = run("n0", "square")
    node.inputs.add(var="n")
    return node


def twice_bound() -> core.Node:
    node = run("n0", "square", n=1)
    node.inputs.add(var="n", binding=data(2))
    return node


def retried(retries: int) -> core.Node:
    node = run("n0", "square", n=1)
    node.metadata.retries.retries = retries
    return node


def hinted(value: list[object], variant: core.LiteralType) -> core.BindingData:
    found = core.BindingData()
    found.CopyFrom(data(value))
    found.union.targetType.CopyFrom(variant)
    return found


def pair(one: core.Node, other: core.Node, otherwise: core.Node | str | None = "no") -> core.Node:
    return choose("b", (ALWAYS, one), (ALWAYS, other), otherwise=otherwise)


def half_conjunction() -> core.BooleanExpression:
    return core.BooleanExpression(conjunction=core.ConjunctionExpression(left_expression=ALWAYS))


FAULTS = [
    # Nodes as such.
    (Flow(), [("NoNodesFound", "start-node")]),
    (Flow().run("", "square", n=1), [("ValueRequired", "<node>")]),
    (Flow().run("n0", "square", n=1).run("n0", "square", n=2), [("DuplicateId", "n0")]),
    (Flow().run("start-node", "square", n=1), [("DuplicateId", "start-node")]),
    (Flow().run("n0", "square", n=1).on_failure(run("n0", "nothing")), [("DuplicateId", "n0")]),
    (Flow().add(core.Node(id="n0")), [("ValueRequired", "n0")]),
    (Flow().add(retried(11)), [("InvalidValue", "n0")]),
    # Interfaces.
    (Flow({"": INT}).run("n0", "nothing"), [("ValueRequired", "start-node")]),
    (Flow({"n": UNTYPED}).run("n0", "nothing"), [("ValueRequired", "start-node")]),
    # References.
    (Flow().run("n0", "lost"), [("TaskReferenceNotFound", "start-node")]),
    (Flow().add(launch("n0", "lost")), [("WorkflowReferenceNotFound", "start-node")]),
    (Flow().add(embed("n0", "lost")), [("WorkflowReferenceNotFound", "start-node")]),
    (Flow().on_failure(run("f", "lost")).run("n0", "nothing"), [("TaskReferenceNotFound", "start-node")]),
    (Flow().add(bare(run("n0", "square"), "task_node")), [("ValueRequired", "n0")]),
    (Flow().add(bare(embed("n0", "inner"), "workflow_node")), [("ValueRequired", "n0")]),
    (Flow().add(each("n0", run("e", "lost"))), [("TaskReferenceNotFound", "start-node")]),
    (Flow().add(core.Node(id="n0", array_node=core.ArrayNode())), [("ValueRequired", "n0")]),
    # Gates.
    (Flow().add(core.Node(id="n0", gate_node=core.GateNode())), [("NoConditionFound", "n0")]),
    (Flow().add(signal("n0", INT, var="")), [("ValueRequired", "n0")]),
    (Flow().add(signal("n0", UNTYPED)), [("ValueRequired", "n0")]),
    (
        Flow().add(sleep("n0")).run("n1", "square", n=of("n0")),
        [("ParameterNotBound", "n1"), ("VariableNameNotFound", "n1")],
    ),
    # Aliases.
    (Flow().add(aliased(("o0", "a"), ("o0", "a"))), [("DuplicateAlias", "n0")]),
    (Flow().add(aliased(("o9", "a"))), [("ParameterNotBound", "n0")]),
    # Branches.
    (Flow().add(choose("b")), [("BranchNodeHasNoCondition", "b")]),
    (Flow().add(choose("b", (None, run("n0", "nothing")))), [("BranchNodeHasNoCondition", "b")]),
    (Flow().add(choose("b", (ALWAYS, None))), [("BranchNodeIdNotFound", "b")]),
    (Flow().add(choose("b", (ALWAYS, run("n0", "nothing")), otherwise=None)), [("BranchNodeHasNoDefault", "b")]),
    (Flow().add(choose("b", (ALWAYS, run("", "nothing")))), [("ValueRequired", "<node>")]),
    (Flow().add(pair(run("n0", "nothing"), run("n0", "nothing"))), [("DuplicateId", "b-n0")]),
    (Flow().add(pair(run("n0", "square", n=1), run("n1", "say", text=""))), [("MismatchingTypes", "b")]),
    (Flow().add(choose("b", (ALWAYS, run("n0", "square", n="x")))), [("MismatchingTypes", "b-n0")]),
    # Conditions.
    (Flow().add(choose("b", (compare("$x", 1), run("n0", "nothing")))), [("VariableNameNotFound", "b")]),
    (Flow().add(choose("b", (compare("$x", 1), run("n0", "nothing")), x="1")), [("MismatchingTypes", "b")]),
    (Flow().add(choose("b", (compare(1, 1.0), run("n0", "nothing")))), [("MismatchingTypes", "b")]),
    (Flow().add(choose("b", (both(ALWAYS, compare(True, 1)), run("n0", "nothing")))), [("MismatchingTypes", "b")]),
    (Flow().add(choose("b", (core.BooleanExpression(), run("n0", "nothing")))), [("ValueRequired", "b")]),
    (Flow().add(choose("b", (half_conjunction(), run("n0", "nothing")))), [("ValueRequired", "b")]),
    (Flow().add(choose("b", (compare("$", 1), run("n0", "nothing")))), [("ValueRequired", "b")]),
    # Bindings.
    (Flow().run("n0", "square", m=1, n=1), [("VariableNameNotFound", "n0")]),
    (Flow().run("n0", "square"), [("ParameterNotBound", "n0")]),
    (Flow().add(without_data()), [("ValueRequired", "n0")]),
    (Flow().add(twice_bound()), [("ParameterBoundMoreThanOnce", "n0")]),
    (Flow().run("n0", "square", n=core.BindingData()), [("MismatchingBindings", "n0")]),
    (Flow().run("n0", "square", n=[1]), [("MismatchingBindings", "n0")]),
    (Flow().run("n0", "square", n={"a": 1}), [("MismatchingBindings", "n0")]),
    (Flow().run("n0", "list", ns={"a": 1}), [("MismatchingBindings", "n0")]),
    (Flow().run("n0", "list", ns=[1, "x"]), [("MismatchingTypes", "n0")]),
    (Flow().run("n0", "map", ns={"a": 1, "b": "x"}), [("MismatchingTypes", "n0")]),
    (Flow().run("n0", "square", n="x"), [("MismatchingTypes", "n0")]),
    (Flow().run("n0", "square", n=1.0), [("MismatchingTypes", "n0")]),
    (Flow().run("n0", "square", n=core.Scalar()), [("UnrecognizedValue", "n0")]),
    (Flow().run("n0", "colour", c="green"), [("IllegalEnumValue", "n0")]),
    (Flow().run("n0", "either", x=[True]), [("IncompatibleBindingUnionValue", "n0")]),
    (Flow().run("n0", "either", x=[]), [("AmbiguousBindingUnionValue", "n0")]),
    (Flow().add(launch("n0", "plan", m=1)), [("ParameterNotBound", "n0")]),
    (Flow({}, {"o0": INT}).run("n0", "square", n=1), [("ParameterNotBound", "end-node")]),
    (
        Flow({}, {"o0": INT}).run("n0", "square", n=1).returns(o0=of("n0"), o1=of("n0")),
        [("VariableNameNotFound", "end-node")],
    ),
    (Flow({}, {"o0": STR}).run("n0", "square", n=1).returns(o0=of("n0")), [("MismatchingTypes", "end-node")]),
    # Promises.
    (Flow().run("n0", "square", n=of("n9")), [("NodeReferenceNotFound", "n0")]),
    (Flow().run("n0", "nothing", after=["n9"]), [("NodeReferenceNotFound", "n0")]),
    (Flow().run("n0", "nothing", after=["end-node"]), [("NodeReferenceNotFound", "n0")]),
    (Flow().run("n0", "square", n=of("", "lost")), [("ParameterNotBound", "n0"), ("VariableNameNotFound", "n0")]),
    (Flow({"n": INT}).run("n0", "square", n=of("", "n.m")), [("SyntaxError", "n0")]),
    (Flow({"n": INT}).run("n0", "square", n=of("", "[x].n")), [("SyntaxError", "n0")]),
    (Flow({"n": INT}).run("n0", "square", n=of("", "[0].n")), [("MismatchingTypes", "n0")]),
    (Flow({"n": STR}).run("n0", "square", n=of("", "n")), [("MismatchingTypes", "n0")]),
    (Flow().run("n0", "point").run("n1", "square", n=of("n0", "o0", "y")), [("FieldNotFound", "n1")]),
    (Flow().run("n0", "point").run("n1", "square", n=of("n0", "o0", 0)), [("FieldNotFound", "n1")]),
    (Flow().run("n0", "point").run("n1", "square", n=of("n0", "plain", "x")), [("MismatchingTypes", "n1")]),
    (Flow().run("n0", "pen").run("n1", "say", text=of("n0", "o0", "animal", "age")), [("FieldNotFound", "n1")]),
    (Flow().run("n0", "pen").run("n1", "square", n=of("n0", "o0", "animal", "name")), [("MismatchingTypes", "n1")]),
    (Flow().run("n0", "pen").run("n1", "square", n=of("n0", "o0", "ns")), [("MismatchingTypes", "n1")]),
    (Flow().add(approve("n0", o0=of("n9"))).run("n1", "square", n=of("n0")), [("NodeReferenceNotFound", "n0")]),
    # Graphs.
    (Flow().run("n0", "nothing", after=["n0"]), [("CycleDetected", "n0"), ("UnreachableNodes", "start-node")]),
]


@pytest.mark.parametrize(
    ("flow", "expected"), FAULTS, ids=[f"{found[0][0]}-{index}" for index, (_, found) in enumerate(FAULTS)]
)
def test_fault_is_found_where_it_is(flow: Flow, expected: list[tuple[str, str]]) -> None:
    assert world().findings(flow) == expected


def test_table_leaves_out_no_code() -> None:
    assert {code for _, expected in FAULTS for code, _ in expected} == {code.value for code in Code}


SOUND = [
    Flow().run("n0", "maybe"),
    Flow().run("n0", "maybe", n=1),
    Flow().run("n0", "colour", c="red"),
    Flow().run("n0", "either", x=["a"]),
    Flow().run("n0", "either", x=hinted([], list_of(STR))),
    Flow().run("n0", "either", x=3),
    Flow().run("n0", "list", ns=[]),
    Flow().run("n0", "map", ns={"a": 1, "b": of("n1")}).run("n1", "square", n=1),
    Flow({"größe": INT}).run("n0", "square", n=of("", "größe")),
    Flow({"ns": list_of(INT)}).run("n0", "square", n=of("", "[3].ns")),
    Flow({"ns": list_of(map_of(INT))}).run("n0", "square", n=of("", "ns", 0, "key")),
    Flow().run("n0", "point").run("n1", "say", text=of("n0", "o0", "tags", 1)),
    Flow().run("n0", "pen").run("n1", "say", text=of("n0", "o0", "animal", "name")),
    Flow().run("n0", "pen").run("n1", "square", n=of("n0", "o0", "ns", 2)),
    Flow().run("n0", "pen").run("n1", "square", n=of("n0", "o0", "any", "age")),
    Flow().add(aliased(("o0", "a"))).run("n1", "square", n=of("n0", "a")).run("n2", "square", n=of("n0")),
    Flow().add(launch("n0", "plan", n=1)).add(launch("n1", "plan", n=1, m=of("n0"))),
    Flow().add(retried(10)),
    Flow().run("n0", "nothing", after=["start-node"]),
    Flow({"x": BOOL}).add(choose("b", (compare("$x", True), run("n0", "nothing")), x=of("", "x"))),
    Flow({"x": FLOAT}).add(choose("b", (compare(1.0, "$x"), run("n0", "nothing")), x=of("", "x"))),
    Flow().add(pair(run("n0", "square", n=1), run("n1", "nothing"))),
    Flow({"n": NONE}).run("n0", "maybe", n=of("", "n")),
    Flow().run("a node's name", "nothing"),
]


@pytest.mark.parametrize("flow", SOUND)
def test_sound_workflows_have_no_findings(flow: Flow) -> None:
    assert world().findings(flow) == []


def test_all_findings_are_reported_in_order_and_once() -> None:
    flow = Flow().run("n1", "square", n="x").run("n0", "square", n="x").run("n2", "lost").run("n3", "lost")
    with pytest.raises(CompilationError) as caught:
        world().compile(flow)
    assert caught.value.message.split("\n") == [
        "Collected Errors: 3",
        "\tError 0: Code: MismatchingTypes, Node Id: n0, Description: "
        "input [n]: a value of type [str] does not fit type [int]",
        "\tError 1: Code: MismatchingTypes, Node Id: n1, Description: "
        "input [n]: a value of type [str] does not fit type [int]",
        "\tError 2: Code: TaskReferenceNotFound, Node Id: start-node, Description: task [p:d:lost:v1] not found",
    ]


def test_what_is_not_known_is_not_judged_but_promises_are() -> None:
    flow = (
        Flow({}, {"o0": INT})
        .run("n0", "lost", x=of("n9"))
        .run("n1", "square", n=of("n0", "anything"))
        .add(approve("n2", o0=of("n0")), approve("n3", o0=of("n2")))
        .add(choose("b", (compare("$x", 1), run("n0", "lost")), x=of("n0")))
        .returns(o0=of("b"))
    )
    assert world().findings(flow) == [("NodeReferenceNotFound", "n0"), ("TaskReferenceNotFound", "start-node")]


def test_findings_within_a_sub_workflow_name_it_even_if_nothing_refers_to_it() -> None:
    faulty = Flow(name="faulty").run("n0", "square", n="x").run("n1", "lost")
    with pytest.raises(CompilationError) as caught:
        world().flow(faulty).compile(Flow().run("n0", "nothing"))
    assert [(finding.code, finding.node_id, finding.description) for finding in caught.value.findings] == [
        (
            "MismatchingTypes",
            "n0",
            "in sub-workflow [p:d:faulty:v1]: input [n]: a value of type [str] does not fit type [int]",
        ),
        ("TaskReferenceNotFound", "start-node", "in sub-workflow [p:d:faulty:v1]: task [p:d:lost:v1] not found"),
    ]


def test_sub_workflows_of_one_name_are_refused() -> None:
    twin = Flow(name="inner").run("n0", "nothing")
    own = Flow(name="flow").run("n0", "nothing")
    assert world().flow(twin).findings(Flow().run("n0", "nothing")) == [("DuplicateId", "start-node")]
    assert world().flow(own).findings(Flow().run("n0", "nothing")) == [("DuplicateId", "start-node")]


def test_recursion_of_sub_workflows_is_named_by_its_path() -> None:
    there = Flow(name="there").add(embed("n0", "back"))
    back = Flow(name="back").add(choose("b", (ALWAYS, embed("n0", "there"))))
    with pytest.raises(CompilationError, match="contain each other: p:d:there:v1 > p:d:back:v1 > p:d:there:v1"):
        World().flow(there).flow(back).compile(Flow().add(embed("n0", "there")))
    with pytest.raises(CompilationError, match="contain each other: p:d:back:v1 > p:d:there:v1 > p:d:back:v1"):
        World().task("nothing").flow(there).flow(back).compile(Flow().run("n0", "nothing"))
    with pytest.raises(CompilationError, match="contain each other: p:d:flow:v1 > p:d:flow:v1"):
        World().compile(Flow().add(each("n0", embed("e", "flow"))))
