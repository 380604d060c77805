"""What can go wrong in the dialer, in its own words."""

from __future__ import annotations


class DialerError(Exception):
    """Base of the dialer's errors."""


class GatewayUnavailable(DialerError):  # noqa: N818 - likewise
    """The ari-gateway gave no answer; what it did with the request is unknown."""


class GatewayRefused(DialerError):  # noqa: N818 - likewise
    """The ari-gateway will not dial now; nothing was dialled; the message says why."""


class RequestRejected(DialerError):  # noqa: N818 - likewise
    """The ari-gateway will never take this request; nothing was dialled."""


class ReporterUnavailable(DialerError):  # noqa: N818 - likewise
    """The reporter did not acknowledge; the report must be repeated."""


class ReportRefused(DialerError):  # noqa: N818 - likewise
    """The reporter will never take this report."""


class PanelUnavailable(DialerError):  # noqa: N818 - likewise
    """The panel gave no usable answer; counts as blocked."""


class InvalidNumber(DialerError):  # noqa: N818 - likewise
    """Text that is no dialable number of the campaign's kind; the message never holds it."""


class NoConsent(DialerError):  # noqa: N818 - likewise
    """A row without a consent basis though one is required."""


class UnreadableFile(DialerError):  # noqa: N818 - likewise
    """A contact file that cannot be used at all; the message says why."""
