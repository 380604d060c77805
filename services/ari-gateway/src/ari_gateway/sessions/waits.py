"""Waits for events: chosen and registered before Asterisk is asked, so that none is missed."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, str]
"""What is waited for and the id it is about, for example `("finished", playback_id)`."""


LONGEST_STEP_S = 15.0
"""Longest wait for something Asterisk does at once, seconds; every wait has a timer."""


class Waits:
    """The open waits of one call."""

    def __init__(self) -> None:
        self._open: dict[Key, asyncio.Future[Any]] = {}

    def expect(self, kind: str, about: str) -> asyncio.Future[Any]:
        """Register a wait; await the future it gives."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[kind, about] = future
        return future

    def resolve(self, kind: str, about: str, value: Any = None) -> None:
        """Fulfil a wait; what nobody waits for is no matter."""
        future = self._open.pop((kind, about), None)
        if future is not None and not future.done():
            future.set_result(value)

    def forget(self, about: str) -> None:
        """Give up every wait about something."""
        for key in [key for key in self._open if key[1] == about]:
            del self._open[key]

    def open_about(self, kind: str) -> list[str]:
        """Which ids of one kind are waited for."""
        return [about for open_kind, about in self._open if open_kind == kind]
