"""Slows dialing while speech, intent or Asterisk cannot keep up, before calls are wasted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from ari_gateway.metrics import PUSH_BACK_SECONDS
from servicekit.clock import Clock, SystemClock

log = structlog.get_logger(__name__)

FIRST_HOLD_S = 2.0
LONGEST_HOLD_S = 30.0


@dataclass
class _Hold:
    """One service's hold on new calls; times are the clock's monotonic seconds.

    Attributes:
        why: what the service was ("full", …).
        on_trial: a call was let through since; nothing is known of it yet.
        relieved: a turn was understood since; nothing holds once the hold is over.
    """

    why: str
    began_s: float
    length_s: float
    on_trial: bool = False
    relieved: bool = False

    @property
    def until_s(self) -> float:
        return self.began_s + self.length_s


class Backpressure:
    """Holds new outbound calls back for a while when a service pushes back.

    The first hold lasts `FIRST_HOLD_S`. When it is over, one call is let through and the next hold
    begins; each push-back after that doubles it, up to `LONGEST_HOLD_S`. A turn that is understood
    ends all that, but no hold before it has lasted `FIRST_HOLD_S`: a service that refuses some and
    serves others must be asked less, too.
    """

    def __init__(
        self,
        services: Sequence[str] = ("speech", "intent", "asterisk"),
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._holds: dict[str, _Hold] = {}
        for service in services:
            PUSH_BACK_SECONDS.labels(service).set_function(partial(self._left_s, service))

    def pushed_back(self, service: str, why: str) -> bool:
        """A service refused a turn for lack of capacity, was too slow, or is away.

        Returns:
            Whether a new hold began; during one, nothing new was learned.
        """
        now_s = self._clock.monotonic_s()
        hold = self._holds.get(service)
        if hold is None or (hold.relieved and now_s >= hold.until_s):
            length_s = FIRST_HOLD_S
        elif hold.on_trial or now_s >= hold.until_s:
            length_s = min(hold.length_s * 2, LONGEST_HOLD_S)
        else:
            return False  # the turn of a call from before the hold
        self._holds[service] = _Hold(why, now_s, length_s)
        log.warning("no new outbound calls for a while", peer=service, why=why, hold_s=length_s)
        return True

    def understood(self, service: str) -> None:
        """A service served a turn."""
        hold = self._holds.get(service)
        if hold is None:
            return
        if hold.on_trial or self._clock.monotonic_s() >= hold.began_s + FIRST_HOLD_S:
            del self._holds[service]
        else:
            hold.length_s = FIRST_HOLD_S
            hold.relieved = True

    @property
    def obstacle(self) -> str:
        """Why no new outbound call is taken now; the same text for all of a hold. Empty: one is."""
        held = [
            f"{name} is {hold.why}: no new outbound calls for {hold.length_s:.0f} s"
            for name, hold in self._holds.items()
            if self._left_s(name) > 0
        ]
        return "; ".join(held)

    def admit(self) -> str:
        """Let one call through; or say why not."""
        obstacle = self.obstacle
        if obstacle:
            return obstacle
        for service, hold in list(self._holds.items()):
            if hold.relieved:
                del self._holds[service]
            else:
                hold.began_s = self._clock.monotonic_s()
                hold.on_trial = True
        return ""

    def _left_s(self, service: str) -> float:
        hold = self._holds.get(service)
        return max(hold.until_s - self._clock.monotonic_s(), 0.0) if hold else 0.0
