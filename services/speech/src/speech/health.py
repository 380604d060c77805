"""Whether an engine is worth asking now: its breaker, and why that is open."""

from __future__ import annotations

import structlog

from servicekit.breaker import Breaker, BreakerState
from speech.errors import (
    InputRejected,
    OutOfCredit,
    ProviderError,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnavailable,
)
from speech.metrics import BREAKER, OUT_OF_CREDIT

log = structlog.get_logger(__name__)

_FAIR_TIME_S = 1.0
"""An engine that was given less is not blamed for being too slow."""
_SHOWN = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Health:
    """One engine's breaker: opened by failures in a row, and at once by what will not pass."""

    def __init__(self, engine: str, breaker: Breaker | None = None) -> None:
        """Begin well; the breaker's state is a metric by the engine's name."""
        self._engine = engine
        self._breaker = breaker or Breaker()
        self._reason: ProviderError | None = None
        BREAKER.labels(engine).set_function(lambda: _SHOWN[self._breaker.state])
        OUT_OF_CREDIT.labels(engine).set_function(
            lambda: float(isinstance(self._reason, OutOfCredit))
        )

    def passed_over(self) -> ProviderError | None:
        """Say why the engine is not to be asked now; None when it may be, or may be tried."""
        if self._breaker.state is BreakerState.OPEN:
            return self._why()
        return None

    def admit(self) -> None:
        """Let one request through; in half-open, one trial per pause.

        Raises:
            ProviderError: the engine is passed over; of the kind that opened the breaker.
        """
        if not self._breaker.allows():
            raise self._why()

    def answered(self) -> None:
        """Note that the engine answers."""
        if self._breaker.state is not BreakerState.CLOSED:
            log.info("an engine answers again", engine=self._engine)
        self._breaker.succeeded()
        self._reason = None

    def failed(self, error: ProviderError, given_s: float) -> None:
        """Note a failure of an engine that had `given_s` seconds to answer."""
        if isinstance(error, InputRejected):
            self.answered()
            return
        if isinstance(error, ProviderTooSlow) and given_s < _FAIR_TIME_S:
            return
        was = self._breaker.state
        self._reason = error
        if isinstance(error, ProviderRefused):
            self._breaker.open_now()
        else:
            self._breaker.failed()
        if was is BreakerState.CLOSED and self._breaker.state is BreakerState.OPEN:
            log.warning(
                "an engine is passed over for a while", engine=self._engine, reason=str(error)
            )

    def _why(self) -> ProviderError:
        if isinstance(self._reason, ProviderRefused):
            return type(self._reason)(str(self._reason))
        return ProviderUnavailable(
            f"{self._engine} is not asked for a while: {self._reason}", billed=False
        )
