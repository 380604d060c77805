"""A turn of the conversation: from the end of the caller's words until the prompt that answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.context import Context

from ari_gateway.metrics import TURN_LATENCY_SECONDS, turn_stage
from ari_gateway.sessions.outcome import Intent
from servicekit.tracing import exemplar_of

tracer = trace.get_tracer(__name__)


class TurnUnderWay:
    """Times and traces one turn; its span is as long as the caller waited.

    Attributes:
        ended_s: when the caller stopped talking, by the loop's time in seconds; None where nobody
            saw that, so that no latency can be told.
    """

    def __init__(self, position: Context, ended_s: float | None = None) -> None:
        """Begin when the caller is found to have stopped; `position` is the call's in its trace."""
        now_s = _now_s()
        self.ended_s = ended_s
        self._understood_s = now_s
        began_s = now_s if ended_s is None else ended_s
        self._span = tracer.start_span("turn", position, start_time=_unix_ns(began_s))
        self._inside = trace.set_span_in_context(self._span, position)
        if ended_s is not None:
            self._stage_was("endpoint", ended_s, now_s)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time and trace one stage."""
        began = time.perf_counter()
        try:
            with tracer.start_as_current_span(name, self._inside, record_exception=False):
                yield
        finally:
            turn_stage(name, time.perf_counter() - began)

    def current(self) -> AbstractContextManager[trace.Span]:
        """Have what the block traces belong to this turn."""
        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)

    def understood(self, intent: Intent) -> None:
        """Note what was meant; the prompt that answers comes next."""
        self._understood_s = _now_s()
        self._span.set_attribute("intent", intent.value)

    def answered(self, began_s: float) -> float | None:
        """Note when the next prompt began; give how long the caller waited, seconds, if known."""
        if self.ended_s is None:
            return None
        self._stage_was("prompt start", self._understood_s, began_s)
        latency_s = began_s - self.ended_s
        TURN_LATENCY_SECONDS.observe(latency_s, exemplar_of(self._span))
        return latency_s

    def end(self) -> None:
        """The turn is over, answered or not."""
        self._span.end()

    def _stage_was(self, name: str, began_s: float, ended_s: float) -> None:
        span = tracer.start_span(name, self._inside, start_time=_unix_ns(began_s))
        span.end(_unix_ns(ended_s))
        turn_stage(name.replace(" ", "_"), ended_s - began_s)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _unix_ns(at_s: float) -> int:
    return time.time_ns() - int((_now_s() - at_s) * 1e9)
