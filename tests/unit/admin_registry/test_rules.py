"""Labels, cron texts, skeletons, differences: the small rules of the registry."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_admin.domain.difference import LONGEST_VALUE, MOST_LINES, difference
from elevon_admin.domain.digests import request_digest
from elevon_admin.domain.entities import EntityKey
from elevon_admin.domain.kubernetes_names import check_dns_label, check_labels
from elevon_admin.domain.schedules import Cron, parse_cron, schedule_type
from elevon_admin.domain.skeletons import skeleton_launch_plan, skeleton_workflow
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

names = st.text(max_size=12)


@given(st.dictionaries(names, names, max_size=6), st.dictionaries(names, names, max_size=6))
def test_messages_differ_in_lines_exactly_when_they_differ(one: dict[str, str], other: dict[str, str]) -> None:
    lines = difference(admin.Labels(values=one), admin.Labels(values=other))

    assert (lines == "") == (one == other)
    changed = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    # JSON leaves an empty map out, so that a map that appears or goes is a single place.
    assert len(lines.splitlines()) in ((len(changed), 1) if changed else (0,))


def test_differences_are_bounded_whatever_differs() -> None:
    one = admin.Envs(values=[core.KeyValuePair(key=str(n), value="x" * 5000) for n in range(300)])
    other = admin.Envs(values=[core.KeyValuePair(key=str(n), value="y" * 5000) for n in range(300)])

    lines = difference(one, other).splitlines()

    assert lines[0].startswith("values[0].value: - 'xxx")
    assert lines[-1] == f"and {300 - MOST_LINES} more"
    assert len(lines) == MOST_LINES + 1
    assert max(map(len, lines)) < 2 * LONGEST_VALUE + 40


@given(st.dictionaries(names, names, max_size=6))
def test_the_order_of_a_map_does_not_change_a_request(values: dict[str, str]) -> None:
    one = admin.Labels(values=values)
    other = admin.Labels(values=dict(reversed(values.items())))

    assert request_digest([one, other]) == request_digest([other, one])


def test_where_one_message_ends_and_another_begins_counts() -> None:
    one, other = core.KeyValuePair(key="a"), core.KeyValuePair(value="b")
    joined = core.KeyValuePair(key="a", value="b")

    assert len({request_digest([one, other]), request_digest([joined]), request_digest([other, one])}) == 3


@pytest.mark.parametrize("key", ["a", "A1", "a_b.c-d", "example.com/a", "x" * 63, f"{'x' * 63}.com/{'y' * 63}"])
@pytest.mark.parametrize("value", ["", "a", "A_b.c-1", "x" * 63])
def test_labels_that_kubernetes_takes(key: str, value: str) -> None:
    check_labels({key: value}, 1)


@pytest.mark.parametrize("key", ["", "-a", "a-", "a b", "/a", "a/", "A.com/a", "a/b/c", "x" * 64, f"{'x.' * 127}x/a"])
def test_label_keys_that_kubernetes_does_not_take(key: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid label key"):
        check_labels({key: ""}, 1)


def test_every_bad_label_is_named() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_labels({"a b": "c d", "e": "f g"}, 2)
    assert [word in caught.value.message for word in ("[a b]", "[c d]", "[f g]")] == [True] * 3
    with pytest.raises(InvalidArgument, match="at most 1 entries"):
        check_labels({"a": "", "b": ""}, 1)


@pytest.mark.parametrize("label", ["", "A", "a.b", "-a", "a-", "a_b", "x" * 64, "a\n"])
def test_what_is_not_a_dns_label(label: str) -> None:
    with pytest.raises(InvalidArgument, match="project_id"):
        check_dns_label("project_id", label)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/5 * * * *", Cron("*/5 * * * *")),
        ("0 9 ? * MON-FRI", Cron("0 9 * * MON-FRI")),
        ("0 0 1 JAN,jul ?/2", Cron("0 0 1 JAN,jul 0-6/2")),
        ("@hourly", Cron("0 * * * *")),
        ("@Midnight", Cron("0 0 * * *")),
        ("daily", Cron("0 0 * * *")),
        ("years", Cron("0 0 1 1 *")),
        ("@every 1h30m", Cron("", 5400 * 10**9)),
        ("CRON_TZ=Europe/Berlin  @daily", Cron("0 0 * * *", 0, "Europe/Berlin")),
        ("TZ=UTC 5 4 * * *", Cron("5 4 * * *", 0, "UTC")),
    ],
)
def test_cron_texts_in_all_their_forms(text: str, expected: Cron) -> None:
    assert parse_cron(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "61 * * * *", "x * * * *", "@never", "@every 5", "@every 1ms", "TZ=Mars @daily"],
)
def test_cron_texts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid cron expression"):
        parse_cron(text)


def test_kinds_of_schedules() -> None:
    assert schedule_type(admin.Schedule()) == "NONE"
    assert schedule_type(admin.Schedule(rate=admin.FixedRate())) == "NONE"
    assert schedule_type(admin.Schedule(rate=admin.FixedRate(value=1))) == "RATE"
    assert schedule_type(admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@daily"))) == "CRON"
    assert schedule_type(admin.Schedule(cron_expression="@daily")) == "CRON"


def a_task(name: str, **metadata: Any) -> core.TaskTemplate:
    variables = {part: core.Variable(type=core.LiteralType(simple=core.INTEGER)) for part in "bac"}
    interface = core.TypedInterface(
        inputs=core.VariableMap(variables=variables), outputs=core.VariableMap(variables=variables)
    )
    key = EntityKey("p", "d", name, "v")
    return core.TaskTemplate(id=key.identifier(core.TASK), interface=interface, metadata=core.TaskMetadata(**metadata))


@pytest.mark.parametrize(
    ("name", "node_id"),
    [
        ("m.f", "mf"),
        ("a-b_c.d", "a-bcd"),
        ("größe", "größe"),
        ("m." + "x" * 80, "x" * 63),
        ("._", "task-"),
        ("start-node", "task-start-node"),
    ],
)
def test_the_node_of_a_single_task_is_named_after_it(name: str, node_id: str) -> None:
    [node] = skeleton_workflow(a_task(name)).nodes
    assert node.id == node.metadata.name == node_id


def test_bindings_of_a_single_task_are_sorted() -> None:
    workflow = skeleton_workflow(a_task("t"))
    assert [binding.var for binding in workflow.nodes[0].inputs] == ["a", "b", "c"]
    assert [binding.var for binding in workflow.outputs] == ["a", "b", "c"]
    assert {binding.binding.promise.node_id for binding in workflow.outputs} == {"t"}


def test_a_single_task_gets_three_retries_unless_it_says_otherwise() -> None:
    assert skeleton_workflow(a_task("t")).nodes[0].metadata.retries.retries == 3
    own = a_task("t", retries=core.RetryStrategy())
    assert skeleton_workflow(own).nodes[0].metadata.retries.retries == 0


def test_a_single_task_keeps_its_timeout_and_whether_it_may_be_interrupted() -> None:
    metadata = skeleton_workflow(a_task("t", timeout=Duration(seconds=7), interruptible=False)).nodes[0].metadata
    assert metadata.timeout.seconds == 7
    assert metadata.WhichOneof("interruptible_value") == "interruptible"
    assert metadata.interruptible is False
    assert skeleton_workflow(a_task("t")).nodes[0].metadata.WhichOneof("interruptible_value") is None


def test_the_plan_of_a_single_task_points_at_the_workflow_that_exists() -> None:
    key = EntityKey("p", "d", "t", "v")
    assert skeleton_launch_plan(key).workflow_id == skeleton_workflow(a_task("t")).id
