"""What can go wrong with Asterisk, in our words; nobody above this package knows aiohttp."""

from __future__ import annotations


class AriError(Exception):
    """A request to Asterisk failed."""


class AriUnavailable(AriError):  # noqa: N818 - a state of the world, not a programming error
    """No usable answer: not connected, timed out, or Asterisk is still starting.

    What became of the request is unknown.
    """


class AriNotSent(AriUnavailable):
    """The request never left: no connection to Asterisk was to be had in time."""


class AriUntrusted(AriNotSent):
    """Asterisk's certificate is refused, so nothing was sent, not even the password.

    The message says what to do.
    """


class AriUnauthorized(AriError):  # noqa: N818 - likewise
    """Asterisk refuses the user or the password."""


class AriNotFound(AriError):  # noqa: N818 - likewise
    """The channel, bridge, playback or recording is gone (404)."""


class AriConflict(AriError):  # noqa: N818 - likewise
    """The id is in use, or the channel is not in a state for this (409)."""


class AriRefused(AriError):  # noqa: N818 - likewise
    """Asterisk says no (other 4xx and 5xx).

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status


class AriEventInvalid(AriError):  # noqa: N818 - likewise
    """An event is not of the documented shape."""
