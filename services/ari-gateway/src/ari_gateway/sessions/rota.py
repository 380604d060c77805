"""Who of the operators takes the next call."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ari_gateway.metrics import OPERATORS_BUSY


@dataclass(frozen=True)
class Seat:
    """One operator's extension.

    Attributes:
        extension: digits.
        calls: how many calls it takes at once; more than one stands for a queue or a ring group.
    """

    extension: str
    calls: int = 1


class Rota:
    """The operators of this gateway, and which calls hold them.

    An extension is held from the moment it begins to ring until the call lets go of it.
    """

    def __init__(self, seats: Iterable[Seat]) -> None:
        self._seats = {seat.extension: seat for seat in seats}
        self._held: dict[str, set[str]] = {extension: set() for extension in self._seats}
        self._turn = 0
        self._last_turn = dict.fromkeys(self._seats, 0)
        self._changed = asyncio.Event()

    @property
    def extensions(self) -> tuple[str, ...]:
        """All operators."""
        return tuple(self._seats)

    def take(self, attempt_id: str, tried: Collection[str] = ()) -> str | None:
        """Hold the free operator who has waited longest, except for those `tried`.

        Gives the extension; None when nobody is free.
        """
        free = [
            extension
            for extension, seat in self._seats.items()
            if extension not in tried and len(self._held[extension]) < seat.calls
        ]
        if not free:
            return None
        chosen = min(free, key=lambda extension: self._last_turn[extension])
        self.hold(attempt_id, chosen)
        return chosen

    def hold(self, attempt_id: str, extension: str) -> None:
        """Note that a call has this operator already; one that is on the rota no more is let be."""
        if extension in self._seats:
            self._turn += 1
            self._last_turn[extension] = self._turn
            self._held[extension].add(attempt_id)
            self._count()

    def let_go(self, attempt_id: str, extension: str) -> None:
        """Give an operator back; nothing happens when the call holds none."""
        if extension in self._seats:
            self._held[extension].discard(attempt_id)
            self._changed.set()
            self._count()

    async def changed(self) -> None:
        """Wait until an operator is given back."""
        self._changed.clear()
        await self._changed.wait()

    def _count(self) -> None:
        OPERATORS_BUSY.set(sum(map(len, self._held.values())))
