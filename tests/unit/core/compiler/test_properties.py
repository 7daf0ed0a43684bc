"""What holds for every workflow: right connections, found cycles, one result, and no error but the compiler's own."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest
from elevon_core.compiler import compile_task, requirements
from elevon_core.errors import CompilationError
from elevon_idl.core import v1 as core
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.compiler.templates import (
    INT,
    STR,
    Flow,
    World,
    approve,
    bindings,
    choose,
    compare,
    dataclass_of,
    downstream,
    each,
    embed,
    enum_of,
    launch,
    list_of,
    of,
    optional,
    run,
    signal,
    union_of,
    upstream,
)


@dataclass(frozen=True)
class Dag:
    """Edges from lower to higher numbers: `waits` by name, `takes` by a promise."""

    size: int
    waits: frozenset[tuple[int, int]]
    takes: frozenset[tuple[int, int]]

    def flow(self) -> Flow:
        flow = Flow()
        for node in range(self.size):
            after = [f"n{low}" for low, high in sorted(self.waits) if high == node]
            taken = [of(f"n{low}") for low, high in sorted(self.takes) if high == node]
            flow.run(f"n{node}", "sum", after=after, values=taken)
        return flow


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    size = draw(st.integers(1, 8))
    pairs = [(low, high) for high in range(size) for low in range(high)]
    edges = st.frozensets(st.sampled_from(pairs)) if pairs else st.just(frozenset())
    return Dag(size, draw(edges), draw(edges))


def summing() -> World:
    return World().task("sum", {"values": list_of(INT)}, {"o0": INT})


@settings(deadline=None)
@given(dags())
def test_random_graphs_get_the_connections_they_have(dag: Dag) -> None:
    primary = summing().compile(dag.flow()).primary
    edges = {(f"n{low}", f"n{high}") for low, high in dag.waits | dag.takes}
    nodes = [f"n{node}" for node in range(dag.size)]
    edges |= {("start-node", node) for node in nodes if not any(down == node for _, down in edges)}
    edges |= {(node, "end-node") for node in nodes if not any(up == node for up, _ in edges)}
    assert {(up, down) for down, found in upstream(primary).items() for up in found} == edges
    assert {(up, down) for up, found in downstream(primary).items() for down in found} == edges
    for found in (*upstream(primary).values(), *downstream(primary).values()):
        assert found == sorted(set(found))


@settings(deadline=None)
@given(dags(), st.data())
def test_any_back_edge_is_found_as_a_real_cycle(dag: Dag, drawn: st.DataObject) -> None:
    low = drawn.draw(st.integers(0, dag.size - 1))
    high = drawn.draw(st.integers(low, dag.size - 1))
    edges = dag.waits | dag.takes | {(high, low)}
    flow = dag.flow()
    flow.template.nodes[low].upstream_node_ids.append(f"n{high}")
    if not _leads(edges, low, high):
        assert summing().findings(flow) == []
        return
    with pytest.raises(CompilationError) as caught:
        summing().compile(flow)
    cycles = [found for found in caught.value.findings if found.code == "CycleDetected"]
    assert cycles
    for found in cycles:
        path = found.description.removeprefix("nodes wait for each other: ").split(" > ")
        assert path[0] == path[-1]
        assert all((int(up[1:]), int(down[1:])) in edges for up, down in itertools.pairwise(path))


def _leads(edges: frozenset[tuple[int, int]], start: int, end: int) -> bool:
    reached, pending = {start}, [start]
    while pending:
        node = pending.pop()
        fresh = {down for up, down in edges if up == node} - reached
        reached |= fresh
        pending.extend(fresh)
    return end in reached


@settings(deadline=None)
@given(dags(), st.randoms(use_true_random=False))
def test_connections_do_not_depend_on_the_order_of_nodes(dag: Dag, random: object) -> None:
    flow = dag.flow()
    shuffled = list(flow.template.nodes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    other = Flow().add(*shuffled)
    assert summing().compile(other).primary.connections == summing().compile(flow).primary.connections


@settings(deadline=None)
@given(dags())
def test_compiling_twice_gives_the_same_bytes_and_compiling_the_result_the_result(dag: Dag) -> None:
    flow, again = dag.flow(), dag.flow()
    once = summing().compile(flow)
    assert once.SerializeToString(deterministic=True) == summing().compile(again).SerializeToString(deterministic=True)
    again.template.CopyFrom(once.primary.template)
    assert summing().compile(again) == once


def everything() -> tuple[World, Flow]:
    """A workflow with every kind of node, binding and type, to be damaged at random."""
    inner = Flow({"n": INT}, {"o0": INT}, name="inner").run("n0", "square", n=of("", "n")).returns(o0=of("n0"))
    point = dataclass_of(x=INT)
    world = (
        World()
        .task("square", {"n": INT}, {"o0": INT})
        .task("squares", {"n": list_of(INT)}, {"o0": list_of(INT)})
        .task("choosy", {"c": enum_of("a", "b"), "u": union_of(list_of(INT), list_of(STR)), "n": optional(INT)})
        .task("point", {}, {"o0": point})
        .plan("plan", {"n": INT}, {"m": INT}, {"o0": INT})
        .flow(inner)
    )
    nested = choose("n0", (compare("$x", 1), run("n0", "square", n=of("n0"))), x=of("n0"))
    flow = (
        Flow({"n": INT, "ns": list_of(INT)}, {"o0": INT, "o1": list_of(INT)})
        .run("n0", "square", n=of("", "n"))
        .run("n1", "choosy", c="a", u=[1, 2], after=["n0"])
        .add(each("n2", run("e", "squares", n=of("", "ns"))))
        .add(choose("n3", (compare("$n0.o0", 1), nested), otherwise=run("n1", "square", n=4), **{"n0.o0": of("n0")}))
        .add(embed("n4", "inner", n=of("n3")), launch("n5", "plan", n=of("", "[0].ns")))
        .add(approve("n6", o0=of("n5"), m={"a": 1}), signal("n7", INT))
        .run("n8", "point")
        .run("n9", "square", n=of("n8", "o0", "x"))
        .on_failure(run("f", "square", n=of("", "n")))
        .returns(o0=of("n9"), o1=[of("n6"), of("n7"), 3])
    )
    flow.template.nodes[0].output_aliases.add(var="o0", alias="other")
    return world, flow


def test_the_workflow_to_be_damaged_is_sound() -> None:
    world, flow = everything()
    assert world.findings(flow) == []


def parts(message: Message) -> Iterator[Message]:
    """The message and everything within it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for entry in value.values():
                    yield from parts(entry)
        elif isinstance(value, Message):
            yield from parts(value)
        else:
            for entry in value:
                yield from parts(entry)


WORDS = ["", "n0", "n3", "n3-n0", "o0", "x", "start-node", "end-node", "[0].ns", "square", "inner", "flow", "plan", "c"]


def _fields(message: Message) -> list[FieldDescriptor]:
    return cast("list[FieldDescriptor]", list(message.DESCRIPTOR.fields))


def damage(message: Message, drawn: st.DataObject) -> None:
    """Clears, sets or repeats one field somewhere."""
    part = drawn.draw(st.sampled_from(list(parts(message))))
    field = drawn.draw(st.sampled_from(_fields(part)))
    is_repeated = hasattr(getattr(part, field.name), "__len__") and not isinstance(
        getattr(part, field.name), str | bytes
    )
    action = drawn.draw(st.sampled_from(["clear", "set", "repeat"]))
    if action == "clear":
        part.ClearField(field.name)
    elif is_repeated:
        values = getattr(part, field.name)
        if action == "repeat" and len(values) and not isinstance(values, dict) and hasattr(values, "append"):
            values.extend([values[drawn.draw(st.integers(0, len(values) - 1))]])
    elif field.type == FieldDescriptor.TYPE_STRING:
        setattr(part, field.name, drawn.draw(st.sampled_from(WORDS)))
    elif field.message_type is not None:
        getattr(part, field.name).SetInParent()
    elif field.enum_type is not None or field.type in (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32):
        setattr(part, field.name, drawn.draw(st.integers(0, 12)))


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_damaged_workflows_compile_or_are_refused_by_the_compiler(drawn: st.DataObject) -> None:
    world, flow = everything()
    for _ in range(drawn.draw(st.integers(1, 4))):
        damage(drawn.draw(st.sampled_from([flow.template, world.flows[0].template])), drawn)
    requirements(flow.template, [world.flows[0].template])
    assert outcome(world, flow) == outcome(world, flow)


def outcome(world: World, flow: Flow) -> bytes | str:
    """What the compiler makes of a workflow, or why it refuses it."""
    try:
        return world.compile(flow).SerializeToString(deterministic=True)
    except CompilationError as error:
        return error.message


@settings(deadline=None)
@given(st.data())
def test_damaged_tasks_compile_or_are_refused_by_the_compiler(drawn: st.DataObject) -> None:
    world, _ = everything()
    template = drawn.draw(st.sampled_from([task.template for task in world.tasks.values()]))
    entries = [core.Resources.ResourceEntry(name=core.Resources.CPU, value="1")]
    template.container.CopyFrom(core.Container(image="i", args=["a"], resources=core.Resources(requests=entries)))
    damage(template, drawn)
    with contextlib.suppress(CompilationError):
        assert compile_task(template).template == template


@settings(deadline=None)
@given(st.from_type(core.LiteralType), st.from_type(core.LiteralType), st.from_type(core.Literal))
def test_types_and_constants_of_any_kind_are_judged(
    given_type: core.LiteralType, wanted: core.LiteralType, literal: core.Literal
) -> None:
    world = World().task("make", {}, {"o0": given_type}).task("take", {"x": wanted})
    value = core.BindingData(scalar=literal.scalar)
    for bound in (of("n0"), value, core.BindingData(collection=core.BindingDataCollection(bindings=[value, value]))):
        flow = Flow().run("n0", "make").add(core.Node(id="n1", inputs=bindings({"x": bound})))
        flow.template.nodes[1].task_node.reference_id.CopyFrom(run("", "take").task_node.reference_id)
        found = world.findings(flow)
        assert {node_id for _, node_id in found} <= {"n1"}
        assert len(found) <= 1
