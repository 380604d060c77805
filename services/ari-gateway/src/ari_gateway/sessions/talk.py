"""What Asterisk's talk detection says of one far end."""

from __future__ import annotations

import asyncio

# A click on the line is reported like talk; real words, even "no", last longer than this.
_SHORTEST_WORD_MS = 80


class Talk:
    """Whether the caller talks, and when he stopped. Times are `time.monotonic()` seconds."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.talking = False
        self.spoke_since_reset = False
        self.stopped_at_s: float | None = None

    def reset(self) -> None:
        """Forget what was said before; talk that goes on counts."""
        self.spoke_since_reset = self.talking
        self.stopped_at_s = None

    def started(self, _now_s: float) -> None:
        """The caller began to talk."""
        self.talking = True
        self._changed.set()

    def finished(self, now_s: float, duration_ms: int) -> None:
        """The caller has been silent for the agreed time, after talking for `duration_ms`."""
        self.talking = False
        if duration_ms >= _SHORTEST_WORD_MS:
            self.spoke_since_reset = True
            self.stopped_at_s = now_s
        self._changed.set()

    async def reply_ended(self, start_timeout_s: float) -> bool:
        """Wait for the end of a reply: True when something was said, False when nothing was.

        Silence from the start ends after `start_timeout_s` seconds; a reply that has begun may
        last as long as the recording does (the caller of this method ends the wait).
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + start_timeout_s
        while True:
            if self.stopped_at_s is not None and not self.talking:
                return True
            self._changed.clear()
            try:
                async with asyncio.timeout_at(None if self.talking else deadline_s):
                    await self._changed.wait()
            except TimeoutError:
                return False
