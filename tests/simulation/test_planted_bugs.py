"""Bugs planted by hand: the simulator catches each of them, most by the rule that is made for it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.engine.commands import Command, StopAttempt
from elevon_propeller.engine.observations import AttemptReported, AttemptStopped, OriginalRead
from elevon_propeller.ports import Commit, EventChunk
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.batch import ActorBatch
from elevon_propeller.simulation.ledger import Rule
from elevon_propeller.simulation.scene import UnrulyDriver

from tests.simulation.staging import first_violation

SEEDS = range(1_000)


class ActsBeforeTheCommit(UnrulyDriver):
    """Skips the commit before a command."""

    async def _commit(self, parts: list[ActorBatch]) -> None:
        for part in parts:
            commands, part.commands = part.commands, []
            for command in commands:
                self._executor.submit(part.actor, command)
        await super()._commit(parts)


class ForgetsAttempts(UnrulyDriver):
    """Forgets to persist the attempt counter."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        part = super()._take_turn(actor, count)
        for row in part.rows if part is not None else ():
            row["attempt"] = 0
        return part


class AppliesStaleObservations(UnrulyDriver):
    """Takes every report for one of the present attempt."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        for seen in actor.mailbox:
            node = actor.state.nodes.get(seen.node_id) if isinstance(seen, AttemptReported) else None
            if node is not None and isinstance(seen, AttemptReported):
                seen.number = node.attempt
        return super()._take_turn(actor, count)


class RecoversTheWrongOutputs(UnrulyDriver):
    """Takes over outputs that the original did not have."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        for seen in actor.mailbox:
            for node in seen.original.nodes.values() if isinstance(seen, OriginalRead) else ():
                outputs = node.literals() or core.LiteralMap()
                for literal in outputs.literals.values():
                    if literal.scalar.HasField("primitive"):
                        literal.scalar.primitive.integer += 1
                        node.outputs = outputs.SerializeToString()
        return super()._take_turn(actor, count)


class WritesWithoutLeases(UnrulyDriver):
    """Does not have its commits fenced."""

    def _build(self, parts: list[ActorBatch], acknowledged: list[tuple[int, int]], answered: list[int]) -> Commit:
        commit = super()._build(parts, acknowledged, answered)
        commit.leases = {}
        return commit


class NumbersEventsAnew(UnrulyDriver):
    """Writes new events over old ones."""

    def _chunks(self, shard: int, shares: list[ActorBatch]) -> list[EventChunk]:
        chunks = super()._chunks(shard, shares)
        for number, chunk in enumerate(chunks, 1):
            chunk.number = number
        return chunks


class LosesTimers(UnrulyDriver):
    """Sets no timers."""

    def _act(self, part: ActorBatch) -> None:
        part.timers.clear()
        super()._act(part)


class CountsNoFailures(UnrulyDriver):
    """Gives every attempt a fresh budget of system retries."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        for node in actor.state.nodes.values():
            node.system_failures = 0
        return super()._take_turn(actor, count)


class CountsNoSlots(UnrulyDriver):
    """Forgets who runs."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        actor.state.slots = 0
        return super()._take_turn(actor, count)


class ForgetsWhoIsDue(UnrulyDriver):
    """Loses the nodes that an earlier step has left to the next."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        actor.state.due.clear()
        return super()._take_turn(actor, count)


class StopsNothing(UnrulyDriver):
    """Takes attempts for stopped that run on."""

    def _act(self, part: ActorBatch) -> None:
        left: list[Command] = []
        for command in part.commands:
            if isinstance(command, StopAttempt):
                self.post(part.actor, AttemptStopped(self._clock(), command.node_id, command.number))
            else:
                left.append(command)
        part.commands = left
        super()._act(part)


class MixesUpOutputs(UnrulyDriver):
    """Takes the outputs of an attempt for something else."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        for outputs in _outputs(actor):
            for literal in outputs.literals.values():
                literal.scalar.primitive.integer = 1
        return super()._take_turn(actor, count)


class Stumbles(UnrulyDriver):
    """Cannot stand failures."""

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        if actor.state.scope.error is not None:
            self.park(actor, ValueError("a failure"))
            return None
        return super()._take_turn(actor, count)


def _outputs(actor: Actor) -> Iterable[core.LiteralMap]:
    reports = [seen.report for seen in actor.mailbox if isinstance(seen, AttemptReported)]
    return [report.outputs for report in reports if report.outputs is not None]


@pytest.mark.parametrize(
    ("driver", "rules"),
    [
        (ActsBeforeTheCommit, {Rule.DURABLE_FIRST, Rule.STARTED_ONCE}),
        (ForgetsAttempts, {Rule.DURABLE_FIRST, Rule.STARTED_ONCE, Rule.LEGAL, Rule.ONE_AT_A_TIME, Rule.FINAL}),
        (AppliesStaleObservations, {Rule.ONE_AT_A_TIME, Rule.STARTED_ONCE, Rule.SAME_OUTPUTS, Rule.ALL_ENDS}),
        (RecoversTheWrongOutputs, {Rule.SAME_OUTPUTS}),
        (WritesWithoutLeases, {Rule.FENCED}),
        (NumbersEventsAnew, {Rule.TOLD_IN_ORDER}),
        (LosesTimers, {Rule.TERMINATES}),
        (CountsNoFailures, {Rule.BUDGETS}),
        (CountsNoSlots, {Rule.PARALLELISM}),
        (ForgetsWhoIsDue, {Rule.TERMINATES}),
        (StopsNothing, {Rule.ONE_AT_A_TIME, Rule.ALL_ENDS}),
        (MixesUpOutputs, {Rule.SAME_OUTPUTS}),
        (Stumbles, {Rule.NO_DEFECT}),
    ],
)
def test_a_planted_bug_is_caught_within_a_thousand_seeds(driver: type[UnrulyDriver], rules: set[Rule]) -> None:
    violation = first_violation(driver, SEEDS)
    assert violation is not None
    assert violation.rule in rules, violation
