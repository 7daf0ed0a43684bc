"""The parts of arrays: success rules, grouped errors, chunks, values, plans."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from elevon_core import arrays
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.engine import array_chunks, array_errors, array_plan, array_state, array_values, attempts, paths
from elevon_propeller.engine.array_chunks import ElementRecord
from elevon_propeller.engine.array_state import CHUNK, ArrayScope
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.plan import ArrayPlan, build_plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import ArraySpec
from hypothesis import given
from hypothesis import strategies as st

numbers = st.integers(-(2**63), 2**63 - 1)
small = st.integers(0, 255)
records = st.builds(
    ElementRecord,
    phase=small,
    attempt=st.integers(0, 65_535),
    system_failures=st.integers(0, 65_535),
    outcome=small,
    flags=small,
    cache_status=small,
    queued_at=numbers,
    attempt_at=numbers,
    wake_at=numbers,
    outputs=st.none() | st.binary(max_size=50),
    uri=st.text(max_size=20),
    error=st.sampled_from([b"", b"one", b"two"]),
    detail=st.binary(max_size=10),
)


@given(st.lists(records, max_size=CHUNK))
def test_chunks_come_back_as_they_were(made: list[ElementRecord]) -> None:
    assert array_chunks.unpack(array_chunks.pack(made)) == made


def test_a_chunk_is_small_and_holds_an_error_once() -> None:
    assert len(array_chunks.pack([ElementRecord()] * CHUNK)) < 50 * CHUNK
    error = b"e" * 1_000
    assert len(array_chunks.pack([ElementRecord(error=error)] * CHUNK)) < 50 * CHUNK + 1_010


@given(st.integers(0, 100), st.integers(0, 100_000))
def test_a_ratio_means_what_was_written(percent: int, size: int) -> None:
    node = core.ArrayNode(min_success_ratio=percent / 100)
    expected = math.ceil(Fraction(percent, 100) * size)
    assert array_plan.minimum_of(array_plan.required_successes(node), size) == expected


@given(st.integers(1, 1_000), st.data())
def test_a_ratio_may_be_any_fraction_of_small_numbers(denominator: int, data: st.DataObject) -> None:
    numerator = data.draw(st.integers(0, denominator))
    ratio = core.ArrayNode(min_success_ratio=numerator / denominator).min_success_ratio
    assert array_plan.exact_ratio(ratio) == Fraction(numerator, denominator)


@pytest.mark.parametrize("text", ["0.12345", "0.99999", "0.000123"])
def test_longer_decimals_mean_what_was_written(text: str) -> None:
    ratio = core.ArrayNode(min_success_ratio=float(text)).min_success_ratio
    assert array_plan.exact_ratio(ratio) == Fraction(text)


@pytest.mark.parametrize("ratio", [-0.1, 1.5, math.nan, math.inf])
def test_a_ratio_outside_of_its_range_is_refused(ratio: float) -> None:
    with pytest.raises(InvalidArgument, match="min_success_ratio"):
        build_plan(closures.array(ArraySpec(required=ratio)), SUPPORTED)


def test_a_number_of_successes_counts_before_a_ratio() -> None:
    assert array_plan.minimum_of(array_plan.required_successes(core.ArrayNode(min_successes=3)), 10) == 3
    assert array_plan.minimum_of(array_plan.required_successes(core.ArrayNode()), 10) == 10


@given(st.sets(st.integers(0, 30)))
def test_ranges_name_each_number_once(chosen: set[int]) -> None:
    found: list[int] = []
    for part in array_errors.ranges(sorted(chosen)).strip("[]").split("]["):
        if part:
            first, _, last = part.partition("-")
            found.extend(range(int(first), int(last or first) + 1))
    assert found == sorted(chosen)


def test_equal_errors_are_told_once_in_the_order_of_their_text() -> None:
    told = array_errors.grouped({0: "b", 2: "a", 3: "a", 5: "a", 7: "b"})
    assert told == "[2-3][5]: a\n[0][7]: b\n"


def test_many_errors_are_cut() -> None:
    told = array_errors.grouped({index: f"{index:06}" + "x" * 1_000 for index in range(0, 400, 2)})
    assert told.endswith("... and many more.")
    assert len(told) < 103_000
    assert array_errors.grouped({0: "x" * 200_000}).endswith("... and many more.")


def test_lists_of_one_length_make_the_elements() -> None:
    inputs = closures.lists(x=[1, 2, 3], y=[4, 5])
    assert array_values.size_of(inputs, {"y"}) == 3
    with pytest.raises(InvalidArgument, match="x has 3, y has 2"):
        array_values.size_of(inputs, set())
    items = arrays.Items(inputs, {"y"})
    assert items.of(1).literals["x"].scalar.primitive.integer == 2
    assert len(items.of(1).literals["y"].collection.literals) == 2


def test_without_a_list_there_is_one_element_or_an_error() -> None:
    assert array_values.size_of(closures.lists(x=[1, 2]), {"x"}) == 1
    assert array_values.size_of(closures.lists(x=[]), set()) == 0
    for inputs in (closures.integers(x=1), core.LiteralMap()):
        with pytest.raises(InvalidArgument, match="no input array"):
            array_values.size_of(inputs, set())


def test_elements_without_a_value_leave_none() -> None:
    found = array_values.collected(["x"], 3, {1: closures.integers(x=5)})
    assert found == closures.lists(x=[None, 5, None])
    assert array_values.collected(["x"], 0, {}) == closures.lists(x=[])


def array_plan_of(spec: ArraySpec) -> ArrayPlan:
    plan = build_plan(closures.array(spec), SUPPORTED).primary.nodes["n0"].array
    assert plan is not None
    return plan


def test_elements_have_single_values_and_a_data_set_with_lists_as_inputs() -> None:
    plan = array_plan_of(ArraySpec(cached=True, bound=("y",)))
    task = plan.element.task
    assert task is not None
    inputs, outputs = task.template.interface.inputs.variables, task.template.interface.outputs.variables
    assert inputs["x"].type == closures.INTEGER
    assert inputs["y"].type == closures.INTEGERS
    assert outputs["x"].type == outputs["y"].type == closures.INTEGER
    bound_otherwise = array_plan_of(ArraySpec(cached=True)).element.task
    assert bound_otherwise is not None
    assert task.dataset is not None
    assert task.dataset == bound_otherwise.dataset
    assert task.dataset.name == "flyte_task-map-task"


def test_a_node_of_another_kind_cannot_be_an_element() -> None:
    closure = closures.array(ArraySpec())
    element = closure.primary.template.nodes[1].array_node.node
    element.gate_node.sleep.duration.seconds = 1
    with pytest.raises(InvalidArgument, match="elements of an array"):
        build_plan(closure, SUPPORTED)


def opened(spec: ArraySpec, size: int) -> tuple[ExecutionState, ArrayScope]:
    plan = build_plan(closures.array(spec), SUPPORTED)
    identifier = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e")
    state = ExecutionState(plan, identifier, core.LiteralMap(), propeller.ExecutionOptions(), 0, "m", "r")
    node = state.nodes[spec.id]
    node.detail = array_state.describe(size, slotless=True)
    return state, array_state.open_array(state, node)


@pytest.mark.parametrize("own_files", [False, True])
def test_an_element_finds_its_item_by_number(own_files: bool) -> None:
    spec = ArraySpec(own_files=own_files)
    state, scope = opened(spec, 10)
    element = scope.element(state, 7)
    element.attempt = 2
    element.inputs = closures.integers(x=1, y=2)
    attempt = attempts.build_attempt(build_plan(closures.array(spec), SUPPORTED), state, element, EnginePolicy())
    assert attempt.environment == {
        "BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX",
        "FLYTE_K8S_ARRAY_INDEX": "7",
    }
    assert attempt.name.startswith("e-n0-0-n7-2-")
    assert attempt.generated_name == "e-n0-0-n7-2"
    assert attempt.node_id == "n0-0-n7"
    assert attempt.shares_inputs_file is not own_files
    assert attempt.paths.inputs == ("m/p-d-e/n0/data/7/2/inputs.pb" if own_files else "m/p-d-e/n0/data/inputs.pb")
    assert attempt.paths.output_prefix == "m/p-d-e/n0/data/0/7/2"
    assert "e-n0-0-n7-1" in attempt.paths.previous_checkpoint


def test_names_of_many_elements_never_collide() -> None:
    state, scope = opened(ArraySpec(id="a-node-with-a-long-name"), 100_000)
    state.identifier.name = "a-long-name-of-an-execution"
    elements = [array_state.ElementState(index, scope) for index in range(0, 100_000, 10)]
    names = {paths.generated_name(state, element, 0) for element in elements}
    assert len(names) == len(elements)
    assert all(len(name) <= 50 for name in names)


def test_elements_that_have_ended_take_little_and_come_back_from_their_chunks() -> None:
    state, scope = opened(ArraySpec(), 300)
    for index in range(200):
        element = scope.element(state, index)
        scope.live[element.id] = element
        element.phase = NodePhase.RUNNING
        element.attempt = index % 3
        if index < 150:
            element.phase = NodePhase.SUCCEEDED if index % 2 else NodePhase.FAILED
            element.outputs = closures.integers(x=index) if index % 2 else None
            element.error = None if index % 2 else core.ExecutionError(code="c", message="why")
            scope.leave(state, element)
    assert (scope.succeeded, scope.failed, len(scope.live)) == (75, 75, 50)
    assert len({id(error) for error in scope.errors.values()}) == 1

    again_state, again = opened(ArraySpec(), 300)
    for number in range(3):
        again.fill(again_state, number, scope.chunk(number))
    assert (again.begun, again.succeeded, again.failed) == (200, 75, 75)
    assert again.live.keys() == scope.live.keys()
    assert again.outputs == scope.outputs
    assert again.errors == scope.errors
    assert [again.attempt_of(index) for index in range(300)] == [scope.attempt_of(index) for index in range(300)]
    assert again.live.keys() <= again_state.nodes.keys()


def test_errors_beyond_a_budget_are_cut() -> None:
    state, scope = opened(ArraySpec(), 40)
    for index in range(40):
        element = scope.element(state, index)
        element.phase = NodePhase.FAILED
        element.error = core.ExecutionError(message=f"{index:02}" + "x" * 20_000)
        scope.leave(state, element)
    kept = [len(scope.errors[index].message) for index in range(40)]
    assert kept[0] == 16 * 1024
    assert kept[-1] == 256
