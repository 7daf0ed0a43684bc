"""The walk: order, cycles, and graphs too large to recurse over."""

from __future__ import annotations

import pytest
from elevon_core.compiler.graph import START_NODE, Connections, traverse, written
from elevon_core.errors import CompilationError
from elevon_idl.core import v1 as core
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.compiler.templates import INT, Flow, World, approve, choose, compare, of, run

MANY = 10_000

_names = st.sampled_from("abcdefg")
_graphs = st.dictionaries(_names, st.frozensets(_names, max_size=4), max_size=7)


def world() -> World:
    return World().task("square", {"n": INT}, {"o0": INT}).task("sum", {}, {"o0": INT})


@settings(deadline=None)
@given(_graphs)
def test_order_puts_producers_first_and_cycles_are_real(graph: dict[str, frozenset[str]]) -> None:
    nodes = set(graph).union(*graph.values()) | {"a"}
    walk = traverse("a", nodes, graph)
    assert sorted(walk.order) == sorted(nodes)
    position = {node: index for index, node in enumerate(walk.order)}
    backward = [(up, down) for up, found in graph.items() for down in found if position[up] >= position[down]]
    assert bool(backward) == bool(walk.cycles)
    named: list[str] = []
    for first, *rest in walk.cycles:
        assert rest[-1] == first
        assert all(down in graph[up] for up, down in zip([first, *rest], rest, strict=False))
        named.extend(rest)
    assert len(named) == len(set(named))


@settings(deadline=None)
@given(_graphs)
def test_unreachable_is_what_no_path_leads_to(graph: dict[str, frozenset[str]]) -> None:
    nodes = set(graph).union(*graph.values()) | {"a"}
    reached, pending = {"a"}, ["a"]
    while pending:
        fresh = graph.get(pending.pop(), frozenset()) - reached
        reached |= fresh
        pending.extend(fresh)
    assert set(traverse("a", nodes, graph).unreachable) == nodes - reached


def test_separate_cycles_are_each_named() -> None:
    graph = {"a": ["b", "d"], "b": ["c"], "c": ["b"], "d": ["e", "a"], "e": ["e"]}
    walk = traverse("a", graph, graph)
    assert walk.cycles == (("b", "c", "b"), ("a", "d", "a"), ("e", "e"))


def test_long_paths_are_shortened_in_the_middle() -> None:
    assert written(["a", "b", "a"]) == "a > b > a"
    steps = written(map(str, range(1000))).split(" > ")
    assert steps[:2] == ["0", "1"]
    assert steps[50] == "… 900 more …"
    assert steps[-1] == "999"


def test_connections_are_sorted() -> None:
    connections = Connections()
    for upstream in ("c", "a", "b"):
        connections.connect(upstream, "z")
    target = core.ConnectionSet()
    connections.write(target)
    assert list(target.upstream["z"].ids) == ["a", "b", "c"]
    assert START_NODE not in target.downstream


def long_chain(make: str) -> Flow:
    flow = Flow({"n": INT}, {"o0": INT}).run("n0", "square", n=of("", "n"))
    for index in range(1, MANY):
        before = of(f"n{index - 1}")
        if make == "task":
            flow.add(run(f"n{index}", "square", n=before))
        elif make == "approval":
            flow.add(approve(f"n{index}", o0=before))
        else:
            arm = run("n0", "square", n=before)
            flow.add(choose(f"n{index}", (compare("$x", 1), arm), x=before))
    return flow.returns(o0=of(f"n{MANY - 1}"))


@pytest.mark.parametrize("make", ["task", "approval", "branch"])
def test_long_chains_compile(make: str) -> None:
    primary = world().compile(long_chain(make)).primary
    assert len(primary.template.nodes) == MANY + 2
    assert list(primary.connections.upstream[f"n{MANY - 1}"].ids) == [f"n{MANY - 2}"]


def test_long_cycle_is_found() -> None:
    flow = long_chain("task")
    flow.template.nodes[0].inputs[0].binding.CopyFrom(of(f"n{MANY - 1}"))
    with pytest.raises(CompilationError, match=r"n0 > n1 > .* > … 9901 more … > .* > n9999 > n0"):
        world().compile(flow)


def test_wide_layers_compile_in_linear_time() -> None:
    flow = Flow()
    layers, width = 40, 20
    for layer in range(layers):
        before = [f"n{layer - 1}x{index}" for index in range(width)] if layer else []
        for index in range(width):
            flow.run(f"n{layer}x{index}", "sum", after=before)
    # A walk that visits finished nodes again would take 20 to the 40th steps.
    primary = world().compile(flow).primary
    assert len(primary.connections.upstream["n39x0"].ids) == width


def test_wide_fan_in_compiles() -> None:
    flow = Flow()
    for index in range(MANY):
        flow.run(f"n{index}", "square", n=index)
    flow.run("last", "sum", after=[f"n{index}" for index in range(MANY)])
    assert len(world().compile(flow).primary.connections.upstream["last"].ids) == MANY
