"""Whether the ari-gateway would take a call now."""

from __future__ import annotations

import structlog

from dialer.errors import GatewayUnavailable
from dialer.gateway import CallList, Gateway
from dialer.moments import now_ms
from servicekit.clock import Clock

log = structlog.get_logger(__name__)

_NO_ATTEMPT = "00000000-0000-0000-0000-000000000000"  # asks for no call, only for readiness
_BELIEVED_S = 2.0
# A call that may leave until 0.9 s after its claim by our clock must not leave much later.
_CLOCKS_APART_MS = 300


class Readiness:
    """Asks the gateway, believes the answer for a moment, and tells changes in the log."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock
        self._good_until_s = float("-inf")
        self._told: str | None = None

    async def obstacle(self) -> str:
        """Say why no call can be placed now; empty when one can."""
        if self._clock.monotonic_s() < self._good_until_s:
            return ""
        asked_ms = now_ms(self._clock)
        try:
            listed = await self._gateway.list_calls([_NO_ATTEMPT])
        except GatewayUnavailable:
            obstacle = f"waiting for ari-gateway at {self._gateway.address}"
        else:
            obstacle = _obstacle_of(listed, asked_ms, now_ms(self._clock))
        if not obstacle:
            self.confirm()
        self._tell(obstacle)
        return obstacle

    def confirm(self) -> None:
        """The gateway just took a call: it is ready."""
        self._good_until_s = self._clock.monotonic_s() + _BELIEVED_S

    def doubt(self) -> None:
        """The gateway just refused or did not answer: ask before the next call."""
        self._good_until_s = float("-inf")

    def _tell(self, obstacle: str) -> None:
        if obstacle == self._told:
            return
        self._told = obstacle
        log.info(obstacle or "ari-gateway is ready to dial", address=self._gateway.address)


def _obstacle_of(listed: CallList, asked_ms: int, answered_ms: int) -> str:
    if not listed.ready_to_dial:
        return f"ari-gateway is not ready: {listed.not_ready_reason or 'no reason given'}"
    if listed.now_ms is None:
        return ""
    # It read its clock at some moment between question and answer.
    apart_ms = max(asked_ms - listed.now_ms, listed.now_ms - answered_ms)
    if apart_ms <= _CLOCKS_APART_MS:
        return ""
    return (
        f"the clocks of dialer and ari-gateway are {apart_ms / 1000:.1f} s apart: "
        "synchronise them (chrony or systemd-timesyncd)"
    )
