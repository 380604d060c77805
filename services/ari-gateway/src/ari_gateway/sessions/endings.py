"""How a call can end under a scenario's feet. Every verb of `Call` may raise these."""

from __future__ import annotations

from ari_gateway.sessions.outcome import Failure


class CallOver(Exception):  # noqa: N818 - the ends of calls are not errors
    """The call is over; the scenario unwinds."""


class CallerHungUp(CallOver):
    """The customer left."""


class NotAnswered(CallOver):
    """The dialing ended without an answer."""


class CallFailed(CallOver):
    """Something on our side failed.

    Attributes:
        failure: why.
    """

    def __init__(self, reason: str, *, technical: bool) -> None:
        super().__init__(reason)
        self.failure = Failure(reason, technical)


class EndedOnRequest(CallFailed):
    """Somebody outside wanted the call to end; the reason is in their own words."""
