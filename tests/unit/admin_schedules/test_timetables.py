"""When schedules fire: time zones, changes of the clock, offsets, distances."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from elevon_admin.domain.schedules import check_schedule, parse_offset
from elevon_admin.domain.timetables import SECOND, Calendar, Distances, Tick, timetable
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from hypothesis import given, settings
from hypothesis import strategies as st

HOUR = 3600 * SECOND


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp()) * SECOND


def shown(ticks: Iterator[Tick], count: int, zone: str = "UTC") -> list[str]:
    moments = (datetime.fromtimestamp(tick.due_at // SECOND, ZoneInfo(zone)) for tick in islice(ticks, count))
    return [moment.isoformat(timespec="minutes") for moment in moments]


def cron(text: str, offset: str = "", zone: str = "UTC") -> Calendar:
    schedule = admin.Schedule(cron_schedule=admin.CronSchedule(schedule=text, offset=offset))
    found = timetable(schedule, 0, zone)
    assert isinstance(found, Calendar)
    return found


SPRING = {
    "a fixed time that is left out is due at the end of the gap": (
        "30 2 * * *",
        "America/New_York",
        "2026-03-07T12:00",
        ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"],
    ),
    "two fixed times in the gap are one tick": (
        "0,30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00",
        ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00", "2026-03-30T02:30+02:00"],
    ),
    "a fixed time at the end of the gap is not doubled": (
        "0 2,3 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00",
        ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"],
    ),
    "every half hour goes on": (
        "*/30 * * * *",
        "America/New_York",
        "2026-03-08T01:00",
        ["2026-03-08T01:30-05:00", "2026-03-08T03:00-04:00", "2026-03-08T03:30-04:00"],
    ),
}
AUTUMN = {
    "a fixed time that comes twice is due once": (
        "30 1 * * *",
        "America/New_York",
        "2026-11-01T00:00",
        ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"],
    ),
    "every half hour is due in both hours": (
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-10-25T02:00",
        ["2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00", "2026-10-25T03:00+01:00"],
    ),
    "every hour is due in both hours": (
        "@hourly",
        "Europe/Berlin",
        "2026-10-25T01:00",
        ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"],
    ),
}


@pytest.mark.parametrize("case", [*SPRING, *AUTUMN])
def test_changes_of_the_clock(case: str) -> None:
    text, zone, begin, expected = {**SPRING, **AUTUMN}[case]
    assert shown(cron(f"CRON_TZ={zone} {text}").after(at(begin, zone)), len(expected), zone) == expected
    assert shown(cron(text, zone=zone).after(at(begin, zone)), len(expected), zone) == expected


def test_a_start_within_the_repeated_hour_does_not_fire_the_past() -> None:
    begin = at("2026-11-01T01:10", "America/New_York", fold=1)
    ticks = cron("TZ=America/New_York 30 1 * * *").after(begin)
    assert shown(ticks, 1, "America/New_York") == ["2026-11-02T01:30-05:00"]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"])
@settings(deadline=None, max_examples=50)
@given(
    text=st.sampled_from(["*/15 * * * *", "30 1 * * *", "0,30 2,3 * * *", "15 2 * * MON", "0 0 1,15 * FRI", "@daily"]),
    start=st.integers(0, 366 * 24 * 60),
    stops=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_ticks_do_not_depend_on_where_one_begins(zone: str, text: str, start: int, stops: list[int]) -> None:
    ticks = cron(text, zone=zone)
    begin = at("2026-01-01T00:00") + start * 60 * SECOND
    whole = [tick.due_at for tick in islice(ticks.after(begin), sum(stops))]
    assert whole == sorted(set(whole))
    pieces: list[int] = []
    for count in stops:
        last = pieces[-1] if pieces else begin
        pieces += [tick.due_at for tick in islice(ticks.after(last), count)]
    assert pieces == whole


def test_a_month_of_minutes() -> None:
    begin, end = at("2026-02-28T23:59"), at("2026-03-31T23:59")
    ticks = list(takewhile(lambda tick: tick.due_at <= end, cron("* * * * *", zone="Europe/Berlin").after(begin)))
    assert [tick.due_at for tick in ticks] == list(range(begin + 60 * SECOND, end + 1, 60 * SECOND))
    assert len(ticks) == 31 * 24 * 60


def test_both_day_fields_restricted_means_either() -> None:
    expected = ["2026-05-01T00:00+00:00", "2026-05-04T00:00+00:00", "2026-05-11T00:00+00:00", "2026-05-13T00:00+00:00"]
    assert shown(cron("0 0 1,13 * MON").after(at("2026-04-30T12:00")), 4) == expected


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 */10 * MON", [1, 4, 11, 18, 21, 25, 31]),  # either
        ("0 0 13 * */3", [2, 3, 6, 9, 10, 13, 16]),
        ("0 0 */15 * */6", [1, 2, 3, 9, 10, 16, 17]),
        ("0 0 ?/10 * MON", [1, 4, 11, 18, 21, 25, 31]),
        ("0 0 */10,5 * MON", [1, 4, 5, 11, 18, 21, 25]),
        ("0 0 */1 * MON", [4, 11, 18, 25]),  # every day is no restriction
        ("0 0 1,* * MON", [4, 11, 18, 25]),
        ("0 0 1,13 * *", [1, 13]),
        ("0 0 */20 * *", [1, 21]),
        ("0 0 * * */3", [2, 3, 6, 9]),
    ],
)
def test_steps_restrict_days_as_in_the_original(text: str, days: list[int]) -> None:
    ticks = cron(text).after(at("2026-04-30T23:59"))
    found = [datetime.fromtimestamp(tick.due_at // SECOND, UTC) for tick in islice(ticks, len(days))]
    assert [each.day for each in found] == days
    assert {each.month for each in found} == {5}


@pytest.mark.parametrize(
    "text", ["0 0 */0 * *", "0 0 */x * *", "0 0 */ * *", "0 0 * * */0", "0 0 ,*/2 * *", "0 0 **/2 * *"]
)
def test_steps_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid cron expression"):
        check_schedule(admin.Schedule(cron_schedule=admin.CronSchedule(schedule=text)))


def test_rare_days_are_found_and_impossible_ones_refused() -> None:
    assert shown(cron("0 0 29 2 *").after(at("2026-01-01T00:00")), 1) == ["2028-02-29T00:00+00:00"]
    with pytest.raises(InvalidArgument, match="Invalid cron expression"):
        check_schedule(admin.Schedule(cron_schedule=admin.CronSchedule(schedule="0 0 31 2,4 *")))


@pytest.mark.parametrize(("offset", "minutes"), [("PT10M", 10), ("-PT10M", -10), ("PT-10M", -10), ("P1DT1H", 1500)])
def test_an_offset_moves_when_a_tick_is_due_and_not_its_name(offset: str, minutes: int) -> None:
    begin = at("2026-04-30T12:00")
    (tick,) = islice(cron("@daily", offset).after(begin), 1)
    assert (tick.due_at - tick.scheduled_at) == minutes * 60 * SECOND
    assert tick.scheduled_at % (24 * HOUR) == 0
    assert tick.due_at > begin
    assert tick.due_at - 24 * HOUR <= begin


@pytest.mark.parametrize("offset", ["P", "PT", "10m", "P1Y", "P2M", "PT1D", "P1DT", "x"])
def test_offsets_that_mean_nothing_are_refused(offset: str) -> None:
    with pytest.raises(InvalidArgument, match=r"cron_schedule\.offset"):
        parse_offset(offset)
    with pytest.raises(InvalidArgument):
        check_schedule(admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@daily", offset=offset)))


TOO_LONG = {
    "cron_schedule.offset": admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@daily", offset="P522W")),
    "@every": admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@every 87673h")),
    "schedule.rate.value": admin.Schedule(rate=admin.FixedRate(value=3654, unit=admin.DAY)),
}
LONGEST = [
    admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@daily", offset="P3653D")),
    admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@daily", offset="-P3653D")),
    admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@every 87672h")),
    admin.Schedule(rate=admin.FixedRate(value=3653, unit=admin.DAY)),
]


@pytest.mark.parametrize("field", TOO_LONG)
def test_what_is_longer_than_ten_years_is_refused(field: str) -> None:
    for check in (check_schedule, lambda schedule: timetable(schedule, 0, "UTC")):
        with pytest.raises(InvalidArgument, match=r"at most ten years") as refused:
            check(TOO_LONG[field])
        assert field in refused.value.message


@pytest.mark.parametrize("schedule", LONGEST)
def test_no_tick_is_later_than_what_a_column_holds(schedule: admin.Schedule) -> None:
    check_schedule(schedule)
    ticks = timetable(schedule, at("2026-01-01T00:00"), "UTC")
    assert ticks is not None
    late = at("2225-01-01T00:00")
    found = [tick for _, tick in zip(range(100_000), ticks.after(late), strict=False)]
    assert found
    assert len(found) < 100_000
    assert all(-(2**63) < moment < 2**63 for tick in found for moment in (tick.due_at, tick.scheduled_at))


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [
        (admin.FixedRate(value=5), 300),
        (admin.FixedRate(value=2, unit=admin.HOUR), 7200),
        (admin.FixedRate(value=1, unit=admin.DAY), 86_400),
    ],
)
def test_distances_begin_at_the_activation_rounded_down_to_a_second(rate: admin.FixedRate, seconds: int) -> None:
    activated = at("2026-04-30T12:00:03")
    ticks = timetable(admin.Schedule(rate=rate), activated + 700_000_000, "UTC")
    assert isinstance(ticks, Distances)
    moments = [tick.due_at for tick in islice(ticks.after(activated + 700_000_000), 3)]
    assert moments == [activated + step * seconds * SECOND for step in (1, 2, 3)]
    assert next(ticks.after(moments[1] - 1)).due_at == moments[1]
    assert next(ticks.after(moments[1])).due_at == moments[2]
    assert next(ticks.after(0)).due_at == moments[0]


def test_the_other_forms_of_cron() -> None:
    every = timetable(admin.Schedule(cron_schedule=admin.CronSchedule(schedule="@every 90s")), 0, "UTC")
    assert every == Distances(90 * SECOND, 0)
    deprecated = timetable(admin.Schedule(cron_expression="0 7 * * ?"), 0, "UTC")
    assert deprecated == Calendar("0 7 * * *", ZoneInfo("UTC"))
    assert timetable(admin.Schedule(), 0, "UTC") is None
    assert timetable(admin.Schedule(rate=admin.FixedRate()), 0, "UTC") is None


def test_the_zone_before_the_text_wins() -> None:
    begin = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp()) * SECOND
    tick = next(cron("TZ=Asia/Tokyo 0 9 * * *", zone="America/New_York").after(begin - 1))
    assert tick.due_at == begin
    assert timedelta(seconds=tick.scheduled_at // SECOND) == timedelta(seconds=begin // SECOND)
