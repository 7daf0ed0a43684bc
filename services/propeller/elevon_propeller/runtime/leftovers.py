"""Clean-up that a crash has prevented: letting go of an attempt is asked for once and not remembered."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from elevon_kit.logging import get_logger

from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.records import NodeRow
from elevon_propeller.plugins.contract import KeepsLeftovers, Leftover, Plugin
from elevon_propeller.ports import Store

log = get_logger("leftovers")

FIRST_LOOK_SECONDS = 10.0
LOOK_EVERY_SECONDS = 600.0


class Leftovers:
    """Looks now and then for what plugins keep of attempts that are over, and has them let go of it.

    Only the store decides: what it does not say to be over is kept, whoever runs it.
    """

    def __init__(self, store: Store, plugins: Iterable[Plugin]) -> None:
        self._store = store
        self._keepers = [plugin for plugin in plugins if isinstance(plugin, KeepsLeftovers)]

    async def run(self) -> None:
        """Look for ever; begins when those who resume their work are through with the worst."""
        await asyncio.sleep(FIRST_LOOK_SECONDS)
        while True:
            await self.clear()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def clear(self) -> int:
        """Have everything finalized that is over; answers of how many attempts nothing is kept now."""
        count = 0
        for keeper in self._keepers:
            for kept in await self._over(await keeper.leftovers()):
                try:
                    await keeper.finalize(kept.name)
                    count += 1
                except Exception as error:
                    log.warning("an attempt that is over cannot be let go of", attempt=kept.name, exc_info=error)
        if count:
            log.info("let go of attempts that were over", count=count)
        return count

    async def _over(self, found: Iterable[Leftover]) -> list[Leftover]:
        by_execution: dict[tuple[str, str, str], list[Leftover]] = defaultdict(list)
        for each in found:
            by_execution[each.project, each.domain, each.execution].append(each)
        over: list[Leftover] = []
        for name, leftovers in by_execution.items():
            execution = await self._store.find_execution(*name)
            if execution is None or execution.ended_at:
                over += leftovers
                continue
            rows = {row["node_id"]: row for row in (await self._store.nodes([execution.key]))[execution.key]}
            over += [each for each in leftovers if each.node_id in rows and _is_over(each, rows[each.node_id])]
        return over


def _is_over(kept: Leftover, row: NodeRow) -> bool:
    """Whether nothing will ask for the attempt again; elements of arrays have no rows, and are kept with the array."""
    return NodePhase(row["phase"]).is_terminal or row["attempt"] > kept.number
