"""What can go wrong in the reporter, in its own words."""

# ruff: noqa: N818 - an error is named for what happened, as the architecture names them

from __future__ import annotations


class PanelRefused(Exception):
    """The panel will never take this result; trying again is of no use.

    Attributes:
        reason: why, without personal data.
        detail: what the panel said, for the dead letter only: never logged.
    """

    def __init__(self, reason: str, *, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class PanelUnavailable(Exception):
    """The panel did not take the result now, or nobody knows whether it did; try again.

    Attributes:
        reason: why, without personal data.
        retry_after_s: the shortest wait before the next try, seconds; 0 leaves it to the caller.
    """

    def __init__(self, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class SmsFailed(Exception):
    """The SMS was not sent, or nobody knows whether it was.

    Attributes:
        reason: why, without personal data or the gateway's key.
        retryable: True when it surely was not sent and may be later.
    """

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable


class DialerUnavailable(Exception):
    """The dialer did not answer; its pauses are as they were, or not known.

    Attributes:
        reason: the gRPC status.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadPageToken(Exception):
    """A page token that no page ever carried."""


class BadNumber(Exception):
    """A text that is no phone number; the message never repeats it."""


class BadFilter(Exception):
    """A condition on results that makes no sense; the message says which, and what is allowed."""
