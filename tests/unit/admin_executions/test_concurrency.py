"""Decisions about places: never too many, nobody overtakes, the newest survive."""

from __future__ import annotations

import pytest
from elevon_admin.domain.concurrency import (
    BEHAVIOR_ANNOTATION,
    Behavior,
    ConcurrencyLimit,
    Occupancy,
    PlanName,
    Verdict,
    check_policy,
    concurrency_limit,
    replaced,
)
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

PLAN = PlanName("p", "d", "nightly")
SKIP = admin.CONCURRENCY_LIMIT_BEHAVIOR_SKIP


def plan(maximum: int, behavior: int = 0, annotation: str | None = None) -> admin.LaunchPlan:
    made = admin.LaunchPlan()
    made.id.project, made.id.domain, made.id.name = PLAN
    made.spec.concurrency_policy.max = maximum
    made.spec.concurrency_policy.behavior = behavior  # type: ignore[assignment]  # numbers without a name, too
    if annotation is not None:
        made.spec.annotations.values[BEHAVIOR_ANNOTATION] = annotation
    return made


@pytest.mark.parametrize(
    ("given_plan", "behavior"),
    [
        (plan(2), None),
        (plan(0, SKIP), None),
        (admin.LaunchPlan(), None),
        (plan(2, SKIP), Behavior.SKIP),
        (plan(2, SKIP, "wait"), Behavior.WAIT),
        (plan(2, 0, "replace"), Behavior.REPLACE),
        (plan(2, 0, "skip"), Behavior.SKIP),
    ],
)
def test_the_annotation_comes_before_the_policy(given_plan: admin.LaunchPlan, behavior: Behavior | None) -> None:
    limit = concurrency_limit(given_plan)
    assert limit == (None if behavior is None else ConcurrencyLimit(PLAN, 2, behavior))


@pytest.mark.parametrize(
    ("given_plan", "words"),
    [
        (plan(1, 7), ("concurrency_policy.behavior", "7", BEHAVIOR_ANNOTATION)),
        (plan(1, SKIP, "queue"), (BEHAVIOR_ANNOTATION, "queue", "skip, wait or replace")),
        (plan(0, SKIP, "wait"), ("concurrency_policy.max", "0", "at least 1")),
    ],
)
def test_what_makes_no_sense_is_refused(given_plan: admin.LaunchPlan, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgument) as raised:
        concurrency_limit(given_plan)
    assert all(word in raised.value.message for word in words)


@pytest.mark.parametrize(
    ("given_plan", "words"),
    [
        (plan(0, SKIP), "invalid value for concurrency_policy.max: '0': must be at least 1"),
        (plan(0, 7), "concurrency_policy.max"),
        (plan(1, 7), "concurrency_policy.behavior"),
        (plan(0, 0, "wait"), "concurrency_policy.max"),
    ],
)
def test_a_policy_that_could_not_hold_is_not_registered(given_plan: admin.LaunchPlan, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_policy(given_plan.spec)


@pytest.mark.parametrize("given_plan", [admin.LaunchPlan(), plan(2), plan(1, SKIP), plan(1, SKIP, "wait")])
def test_other_policies_are(given_plan: admin.LaunchPlan) -> None:
    check_policy(given_plan.spec)


@given(st.lists(st.integers(), unique=True), st.integers(1, 5))
def test_those_that_are_replaced_are_the_oldest_and_no_more_than_needed(rows: list[int], maximum: int) -> None:
    older = sorted(rows)
    gone = list(replaced(older, maximum))
    kept = older[len(gone) :]
    assert older == gone + kept
    assert len(kept) + 1 <= maximum or not kept
    assert not gone or len(kept) + 1 == maximum


class Places(RuleBasedStateMachine):
    """Executions of versions with different limits come and go; the lists say what the counts must be."""

    def __init__(self) -> None:
        super().__init__()
        self.occupancy = Occupancy(0, 0)
        self.running: list[int] = []
        self.waiting: list[tuple[int, int]] = []
        self.created = 0
        self.largest = 0

    @rule(maximum=st.integers(1, 4), behavior=st.sampled_from(Behavior))
    def create(self, maximum: int, behavior: Behavior) -> None:
        self.created += 1
        self.largest = max(self.largest, maximum)
        full = len(self.running) >= maximum
        verdict = self.occupancy.take(ConcurrencyLimit(PLAN, maximum, behavior))
        if behavior is Behavior.SKIP:
            assert verdict is (Verdict.REFUSE if full else Verdict.START)
        else:
            assert verdict is (Verdict.HOLD if full or self.waiting else Verdict.START)
        if verdict is Verdict.START:
            assert not full
            self.running.append(self.created)
        elif verdict is Verdict.HOLD:
            self.waiting.append((self.created, maximum))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.running.remove(data.draw(st.sampled_from(self.running)))
        self.occupancy.running -= 1
        admitted = self.occupancy.admit([maximum for _, maximum in self.waiting])
        for number, maximum in self.waiting[:admitted]:
            assert len(self.running) < maximum
            self.running.append(number)
        self.waiting = self.waiting[admitted:]
        assert not self.waiting or len(self.running) >= self.waiting[0][1]

    @invariant()
    def counts_are_right_and_nothing_is_stuck(self) -> None:
        assert self.occupancy == Occupancy(len(self.running), len(self.waiting))
        assert len(self.running) <= self.largest
        assert self.running or not self.waiting


TestPlaces = Places.TestCase
