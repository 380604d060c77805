"""Lines that somebody waits for."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field


@dataclass
class _Awaited:
    """Somebody who waits for a line, or for the last of several."""

    pattern: re.Pattern[str]
    times: int
    came: asyncio.Future[None]

    def comes_with(self, line: str) -> bool:
        """Say whether a line is what is waited for; whoever waits hears of it."""
        if not self.pattern.search(line):
            return False
        self.times -= 1
        if self.times <= 0 and not self.came.done():
            self.came.set_result(None)
        return self.times <= 0


@dataclass
class Moments:
    """What is waited for in one stream of lines."""

    _awaited: list[_Awaited] = field(default_factory=list)

    def expect(self, pattern: str, *, times: int = 1) -> asyncio.Future[None]:
        """Give what is done when so many lines that fit have come."""
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append(_Awaited(re.compile(pattern), times, came))
        return came

    def tell(self, line: str) -> bool:
        """Hear of a line; say whether it was what somebody waited for."""
        before = len(self._awaited)
        self._awaited = [awaited for awaited in self._awaited if not awaited.comes_with(line)]
        return len(self._awaited) < before
