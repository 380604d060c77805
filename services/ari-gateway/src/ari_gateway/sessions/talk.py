"""What Asterisk's talk detection says of one far end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# A click on the line is reported like talk; real words, even "no", last longer than this.
_SHORTEST_WORD_MS = 80


@dataclass(frozen=True)
class Patience:
    """The silence that ends a reply, milliseconds.

    Attributes:
        usual_ms: after most replies.
        after_short_ms: after a short one: "yes" is seldom followed by more.
        short_ms: talk up to this long in all is a short reply.
    """

    usual_ms: int = 600
    after_short_ms: int = 450
    short_ms: int = 1200

    @property
    def shortest_ms(self) -> int:
        """The shortest silence that may end a reply."""
        return min(self.usual_ms, self.after_short_ms)

    def after_ms(self, talked_ms: int) -> int:
        """Give the silence that ends a reply of so much talk."""
        return self.after_short_ms if talked_ms <= self.short_ms else self.usual_ms


class Talk:
    """Whether the caller talks, and when he stopped. Times are the loop's, in seconds.

    Attributes:
        talking: the caller talks now.
        spoke_since_reset: something was said that is longer than a click.
        ended_s: when the last talk ended; None while none has since the reset.
        beginnings: how often talk has begun, in all.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.talking = False
        self.spoke_since_reset = False
        self.ended_s: float | None = None
        self._talked_ms = 0
        self.beginnings = 0

    def reset(self) -> None:
        """Forget what was said before; talk that goes on counts."""
        self.spoke_since_reset = self.talking
        self.ended_s = None
        self._talked_ms = 0

    def started(self) -> None:
        """The caller began to talk."""
        self.talking = True
        self.beginnings += 1
        self._changed.set()

    def finished(self, now_s: float, duration_ms: int, silence_ms: int) -> None:
        """The caller has been silent for `silence_ms`, after talking for `duration_ms`."""
        self.talking = False
        if duration_ms >= _SHORTEST_WORD_MS:
            self.spoke_since_reset = True
            self.ended_s = now_s - silence_ms / 1000
            self._talked_ms += duration_ms
        self._changed.set()

    async def begins_anew(self, unless: asyncio.Future[bool]) -> bool:
        """Wait until the caller begins to talk; talk that goes on already does not count.

        False when `unless` is done first.
        """
        before = self.beginnings
        with self._woken_by(unless):
            while self.beginnings == before and not unless.done():
                self._changed.clear()
                await self._changed.wait()
        return not unless.done()

    async def reply_ended(
        self, start_timeout_s: float, patience: Patience, recorded: asyncio.Future[bool]
    ) -> bool:
        """Wait for the end of a reply: True when something was said, False when nothing was.

        Silence from the start ends after `start_timeout_s` seconds; a reply that has begun may
        last as long as the recording does, until `recorded` is done.
        """
        silent_until_s = asyncio.get_running_loop().time() + start_timeout_s
        with self._woken_by(recorded):
            while not recorded.done():
                until_s: float | None = silent_until_s
                if self.talking:
                    until_s = None
                elif self.ended_s is not None:
                    until_s = self.ended_s + patience.after_ms(self._talked_ms) / 1000
                self._changed.clear()
                try:
                    async with asyncio.timeout_at(until_s):
                        await self._changed.wait()
                except TimeoutError:
                    return self.ended_s is not None
        return self.talking or self.spoke_since_reset

    @contextmanager
    def _woken_by(self, other: asyncio.Future[bool]) -> Iterator[None]:
        """Look again whenever something else is done, too."""

        def look_again(_: object) -> None:
            self._changed.set()

        other.add_done_callback(look_again)
        try:
            yield
        finally:
            other.remove_done_callback(look_again)
