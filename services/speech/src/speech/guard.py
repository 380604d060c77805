"""What every engine gets: a place, a time limit, a second try, a breaker, figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import Histogram

from servicekit.clock import Clock, SystemClock
from speech.capacity import Capacity
from speech.errors import ProviderError, ProviderTooSlow, SpeechError
from speech.health import Health
from speech.metrics import RETRIES

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Patience:
    """How hard an engine is asked.

    Attributes:
        timeout_s: longest time for one request, all tries together, seconds.
        tries: how often a request is sent when errors say it may succeed at once.
        pause_s: time between two tries, seconds; more when the engine asks for more.
    """

    timeout_s: float
    tries: int = 2
    pause_s: float = 0.2


@dataclass
class Bill:
    """What one piece of work may still cost, over all engines.

    Attributes:
        left: how many more requests may be sent that may be billed.
    """

    left: int = 2


class Guard:
    """Stands before one engine."""

    def __init__(
        self,
        engine: str,
        capacity: Capacity,
        patience: Patience,
        seconds: Histogram,
        clock: Clock | None = None,
        *,
        health: Health | None = None,
    ) -> None:
        """Guard `engine`; `seconds` takes its times by engine and outcome.

        Without `health` the engine is asked however often it failed.
        """
        self._engine = engine
        self._capacity = capacity
        self._patience = patience
        self._seconds = seconds
        self._clock = clock or SystemClock()
        self._health = health

    @property
    def typical_s(self) -> float:
        """How long an answer takes, in seconds, lately."""
        return self._capacity.typical_s

    def expect_place(self, budget_s: float) -> None:
        """Check that a request that comes now can be served within `budget_s` seconds.

        Raises:
            AtCapacity: not to be expected.
        """
        self._capacity.expect_place(budget_s)

    def passed_over(self) -> ProviderError | None:
        """Say why the engine is not to be asked now; None when it may be."""
        return self._health.passed_over() if self._health else None

    async def ask(
        self,
        request: Callable[[float], Awaitable[AnswerT]],
        budget_s: float,
        *,
        bill: Bill | None = None,
        tries: int | None = None,
    ) -> AnswerT:
        """Send a request; it is given the seconds it may take and awaited no longer.

        It is sent again, `tries` times in all (else as patience says), while `bill` allows it.

        Raises:
            AtCapacity: no place within `budget_s` seconds.
            ProviderTooSlow: no answer within them.
            ProviderError: the engine's last error, or why it is not asked now.
        """
        deadline_s = self._clock.monotonic_s() + min(budget_s, self._patience.timeout_s)
        async with self._capacity.place(budget_s):
            if self._health:
                self._health.admit()
            began_s = self._clock.monotonic_s()
            outcome = "cancelled"
            try:
                answer = await self._try(request, deadline_s, bill, tries or self._patience.tries)
                outcome = "answered"
            except SpeechError as error:
                outcome = type(error).__name__
                if self._health and isinstance(error, ProviderError):
                    self._health.failed(error, deadline_s - began_s)
                raise
            finally:
                took_s = self._clock.monotonic_s() - began_s
                self._seconds.labels(self._engine, outcome).observe(took_s)
            if self._health:
                self._health.answered()
            return answer

    async def _try(
        self,
        request: Callable[[float], Awaitable[AnswerT]],
        deadline_s: float,
        bill: Bill | None,
        tries: int,
    ) -> AnswerT:
        while True:
            tries -= 1
            try:
                return await self._send(request, deadline_s - self._clock.monotonic_s(), bill)
            except ProviderError as error:
                pause_s = max(self._patience.pause_s, error.retry_after_s or 0.0)
                spent = tries <= 0 or (bill is not None and bill.left <= 0)
                late = deadline_s - self._clock.monotonic_s() <= pause_s
                if spent or late or not error.retryable:
                    raise
            RETRIES.labels(self._engine).inc()
            await asyncio.sleep(pause_s)

    async def _send(
        self,
        request: Callable[[float], Awaitable[AnswerT]],
        limit_s: float,
        bill: Bill | None,
    ) -> AnswerT:
        """Send it once; what was surely not billed is taken off the bill again."""
        if bill is not None:
            bill.left -= 1
        try:
            async with asyncio.timeout(limit_s):
                return await request(limit_s)
        except TimeoutError as error:
            raise ProviderTooSlow(f"{self._engine} did not answer in time") from error
        except ProviderError as error:
            if bill is not None and not error.billed:
                bill.left += 1
            raise
