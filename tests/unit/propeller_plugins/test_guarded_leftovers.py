"""What a plugin of another package keeps is heard of, and let go of, through its guard."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from elevon_core.errors import Unavailable
from elevon_propeller.plugins.contract import KeepsLeftovers, Leftover
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.plugins.guard import GuardedPlugin
from elevon_propeller.plugins.registry import Registry

LEFT = Leftover("x-n0-0", "p", "d", "x", "n0", 0)


class Untidy(FakePlugin):
    async def leftovers(self) -> list[Leftover]:
        return [LEFT]


async def test_leftovers_are_told_and_nothing_by_those_who_keep_nothing() -> None:
    for plugin, expected in ((Untidy(), [LEFT]), (FakePlugin(), [])):
        guarded = GuardedPlugin(plugin)
        assert isinstance(guarded, KeepsLeftovers)
        assert await guarded.leftovers() == expected


class Keeper(FakePlugin):
    id = "keeper"

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[str] = []

    async def forget(self, names: Sequence[str]) -> None:
        if "stuck" in names:
            raise OSError("read-only file system")
        if "busy" in names:
            raise Unavailable("try again")
        self.forgotten += names


async def test_all_plugins_that_keep_something_are_told_to_forget() -> None:
    keeper = Keeper()
    registry = Registry([GuardedPlugin(FakePlugin()), GuardedPlugin(keeper)])
    await registry.forget(["a", "b"])
    assert keeper.forgotten == ["a", "b"]
    await registry.forget(["stuck"])
    assert keeper.forgotten == ["a", "b"], "what stays for good keeps nobody from going on"
    with pytest.raises(Unavailable, match="try again"):
        await registry.forget(["busy"])
