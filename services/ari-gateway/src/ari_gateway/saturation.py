"""Asterisk's first sign of saturation: it takes longer and longer to take an originate."""

from __future__ import annotations

import statistics
from collections import deque

from ari_gateway.backpressure import Backpressure
from ari_gateway.metrics import ORIGINATE_BASELINE_SECONDS

ASTERISK = "asterisk"

_FEWEST = 5
_RECENT = 20
_FAR_ABOVE = 4.0
_NEVER_SLOW_S = 0.05
_ALWAYS_SLOW_S = 1.0
_USUAL_WEIGHT = 0.02
_TRIAL_WEIGHT = 0.2


class OriginateLatency:
    """Compares what originates take now with what they usually take, and pushes back.

    Asterisk is slow when most of the last `_RECENT` originates took more than `_FAR_ABOVE` times
    the usual, but never below `_NEVER_SLOW_S` and always above `_ALWAYS_SLOW_S`. It is well again
    when one let through on trial takes less than half of that; in between the hold goes on as it
    is. What a slow trial took counts much for the usual: it was made while little was dialled, so
    an Asterisk that has become slower for good is not held back for ever.
    """

    def __init__(self, pressure: Backpressure) -> None:
        self._pressure = pressure
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._usual_s: float | None = None
        self._slow = False
        ORIGINATE_BASELINE_SECONDS.set_function(lambda: self._usual_s or 0.0)

    def took(self, seconds: float) -> None:
        """An originate was taken, or given up, after so long."""
        if self._slow:
            self._took_while_slow(seconds)
        else:
            self._took_as_usual(seconds)

    @property
    def _limit_s(self) -> float:
        if self._usual_s is None:
            return _ALWAYS_SLOW_S
        return min(max(self._usual_s * _FAR_ABOVE, _NEVER_SLOW_S), _ALWAYS_SLOW_S)

    def _took_as_usual(self, seconds: float) -> None:
        self._recent.append(seconds)
        if len(self._recent) < _FEWEST:
            return
        now_s = statistics.median_low(self._recent)
        if now_s > self._limit_s:
            self._slow = True
            self._recent.clear()
            self._push_back(now_s)
        elif self._usual_s is not None:
            self._learn(now_s, _USUAL_WEIGHT)
        elif len(self._recent) == _RECENT:
            self._usual_s = now_s

    def _took_while_slow(self, seconds: float) -> None:
        limit_s = self._limit_s
        if seconds < limit_s / 2:
            self._slow = False
            self._pressure.understood(ASTERISK)
        elif seconds <= limit_s:
            self._learn(seconds, _USUAL_WEIGHT)
        elif self._push_back(seconds):  # a trial; others were under way when the hold began
            self._learn(min(seconds, _ALWAYS_SLOW_S), _TRIAL_WEIGHT)

    def _push_back(self, seconds: float) -> bool:
        return self._pressure.pushed_back(ASTERISK, f"slow to dial ({seconds * 1000:.0f} ms)")

    def _learn(self, seconds: float, weight: float) -> None:
        if self._usual_s is not None:
            self._usual_s += (seconds - self._usual_s) * weight
