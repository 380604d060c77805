"""What every engine gets from the house: a place, a time limit, a second try, figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import Histogram

from servicekit.clock import Clock, SystemClock
from speech.capacity import Capacity
from speech.errors import ProviderError, ProviderTooSlow, SpeechError
from speech.metrics import RETRIES

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Patience:
    """How hard an engine is asked.

    Attributes:
        timeout_s: longest time for one request, all tries together, seconds.
        tries: how often a request is sent when errors say it may succeed at once.
        pause_s: time between two tries, seconds.
    """

    timeout_s: float
    tries: int = 2
    pause_s: float = 0.2


class Guard:
    """Stands before one engine."""

    def __init__(
        self,
        engine: str,
        capacity: Capacity,
        patience: Patience,
        seconds: Histogram,
        clock: Clock | None = None,
    ) -> None:
        """Guard `engine`; `seconds` takes its times by engine and outcome."""
        self._engine = engine
        self._capacity = capacity
        self._patience = patience
        self._seconds = seconds
        self._clock = clock or SystemClock()

    def expect_place(self, budget_s: float) -> None:
        """Check that a request that comes now can be served within `budget_s` seconds.

        Raises:
            AtCapacity: not to be expected.
        """
        self._capacity.expect_place(budget_s)

    async def ask(self, request: Callable[[float], Awaitable[AnswerT]], budget_s: float) -> AnswerT:
        """Send a request; it is given the seconds it may take and awaited no longer.

        Raises:
            AtCapacity: no place within `budget_s` seconds.
            ProviderTooSlow: no answer within them.
            ProviderError: the engine's last error.
        """
        deadline_s = self._clock.monotonic_s() + min(budget_s, self._patience.timeout_s)
        async with self._capacity.place(budget_s):
            began_s = self._clock.monotonic_s()
            outcome = "cancelled"
            try:
                answer = await self._try(request, deadline_s)
                outcome = "answered"
            except SpeechError as error:
                outcome = type(error).__name__
                raise
            finally:
                took_s = self._clock.monotonic_s() - began_s
                self._seconds.labels(self._engine, outcome).observe(took_s)
            return answer

    async def _try(
        self, request: Callable[[float], Awaitable[AnswerT]], deadline_s: float
    ) -> AnswerT:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._send(request, deadline_s - self._clock.monotonic_s())
            except ProviderError as error:
                left_s = deadline_s - self._clock.monotonic_s()
                spent = tries >= self._patience.tries or left_s <= self._patience.pause_s
                if spent or not error.retryable:
                    raise
            RETRIES.labels(self._engine).inc()
            await asyncio.sleep(self._patience.pause_s)

    async def _send(
        self, request: Callable[[float], Awaitable[AnswerT]], limit_s: float
    ) -> AnswerT:
        try:
            async with asyncio.timeout(limit_s):
                return await request(limit_s)
        except TimeoutError as error:
            raise ProviderTooSlow(f"{self._engine} did not answer in time") from error
