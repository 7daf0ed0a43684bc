"""What is accepted of times, durations and numbers is what proto3 JSON can say, by protobuf's own word."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_admin.domain.environments import check_environment
from elevon_admin.domain.sayable import check_sayable
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import Error, MessageToJson
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

near = [-62_135_596_801, -62_135_596_800, 0, 253_402_300_799, 253_402_300_800]
times = st.builds(Timestamp, seconds=st.sampled_from(near), nanos=st.sampled_from([-1, 0, 999_999_999, 10**9]))
lengths = st.sampled_from([-315_576_000_001, -315_576_000_000, -1, 0, 1, 315_576_000_000, 315_576_000_001])
durations = st.builds(Duration, seconds=lengths, nanos=st.sampled_from([-(10**9), -1, 0, 1, 10**9]))
numbers = st.sampled_from([0.0, 1.5, float("nan"), float("inf"), float("-inf")])
values = st.recursive(
    st.builds(Value, number_value=numbers) | st.builds(Value, string_value=st.text(max_size=2)),
    lambda inner: st.builds(Value, list_value=st.builds(ListValue, values=st.lists(inner, max_size=2))),
    max_leaves=4,
)
structs = st.builds(Struct, fields=st.dictionaries(st.text(max_size=2), values, max_size=2))
reasons = st.builds(event.EventReason, reason=st.just("why"), occurred_at=times)
logs = st.builds(core.TaskLog, uri=st.just("u"), ttl=durations)
external = st.builds(event.ExternalResourceInfo, logs=st.lists(logs, max_size=1), custom_info=structs)
reported = st.builds(
    event.TaskExecutionEvent,
    error=st.builds(core.ExecutionError, timestamp=times),
    custom_info=structs,
    reasons=st.lists(reasons, max_size=2),
    logs=st.lists(logs, max_size=2),
    metadata=st.builds(event.TaskExecutionMetadata, external_resources=st.lists(external, max_size=1)),
)


def has_json_form(message: event.TaskExecutionEvent) -> bool:
    try:
        MessageToJson(message)
    except Error:
        return False
    return True


@given(reported)
def test_what_passes_can_be_said_and_nothing_else_is_refused(message: event.TaskExecutionEvent) -> None:
    try:
        check_sayable(message, "event")
    except InvalidArgument:
        assert not has_json_form(message)
    else:
        assert has_json_form(message)


def test_the_place_within_the_message_is_named() -> None:
    message = event.TaskExecutionEvent()
    message.custom_info.update({"loss": [1.0, float("nan")]})
    with pytest.raises(InvalidArgument, match=r"event\.custom_info\.fields\[loss\]\.list_value\.values\[1\]: 'nan'"):
        check_sayable(message, "event")


def test_long_names_are_not_put_together_again_for_each_value_below_them() -> None:
    message = event.TaskExecutionEvent()
    value: Any = {"found": [1.0] * 100_000 + [float("inf")]}
    for _ in range(20):
        value = {"k" * 100_000: value}
    message.custom_info.update(value)
    where = r"invalid value for ….*fields\[found\]\.list_value\.values\[100000\]: 'inf'"
    with pytest.raises(InvalidArgument, match=where) as refused:
        check_sayable(message, "event")
    assert len(refused.value.message) < 500


def test_what_tasks_compute_is_left_alone() -> None:
    message = event.TaskExecutionEvent()
    message.output_data.literals["o0"].scalar.generic.update({"loss": float("nan")})
    check_sayable(message, "event")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("", "v", r"missing envs\[0\]\.key"), ("A=B", "v", "must not hold ="), ("A\0", "v", "NUL"), ("A", "\0", "NUL")],
)
def test_variables_that_no_process_can_have_are_refused(key: str, value: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_environment([core.KeyValuePair(key=key, value=value)])
    check_environment([core.KeyValuePair(key="A", value="b=c d"), core.KeyValuePair(key="odd-name", value="")])
