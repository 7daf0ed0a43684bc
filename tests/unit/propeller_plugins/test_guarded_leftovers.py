"""What a plugin of another package has left over is heard through its guard."""

from __future__ import annotations

from elevon_propeller.plugins.contract import KeepsLeftovers, Leftover
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.plugins.guard import GuardedPlugin

LEFT = Leftover("x-n0-0", "p", "d", "x", "n0", 0)


class Untidy(FakePlugin):
    async def leftovers(self) -> list[Leftover]:
        return [LEFT]


async def test_leftovers_are_told_and_nothing_by_those_who_keep_nothing() -> None:
    for plugin, expected in ((Untidy(), [LEFT]), (FakePlugin(), [])):
        guarded = GuardedPlugin(plugin)
        assert isinstance(guarded, KeepsLeftovers)
        assert await guarded.leftovers() == expected
