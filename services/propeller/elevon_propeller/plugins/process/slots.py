"""How many attempts run at a time: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """A counted gate with a line before it; for one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def size(self) -> int:
        """How many there are."""
        return self._size

    @property
    def taken(self) -> int:
        """How many are taken; may exceed the size by those that were taken by force."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How long the line is."""
        return sum(not place.done() for place in self._line)

    def take_if_free(self) -> bool:
        """Take a slot unless one has to wait for it."""
        if self._taken >= self._size or self.waiting:
            return False
        self._taken += 1
        return True

    def take_by_force(self) -> None:
        """Take a slot whether there is one or not, for what runs already."""
        self._taken += 1

    async def take(self) -> None:
        """Wait in line for a slot; when cancelled, the place in the line goes to the next."""
        if self.take_if_free():
            return
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Let the next one in."""
        self._taken -= 1
        while self._line and self._taken < self._size:
            place = self._line.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)
