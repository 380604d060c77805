"""How a dialing that nobody answered ended: the table from Asterisk's causes.

Source: the SIP to cause mapping of chan_pjsip and what a real Asterisk 22 reported for each answer.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Disposition(enum.Enum):
    """How a dialing ended."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    INVALID_NUMBER = "invalid_number"
    CONGESTION = "congestion"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


_BY_CAUSE: dict[int, Disposition] = {
    1: Disposition.INVALID_NUMBER,
    2: Disposition.CONGESTION,
    3: Disposition.INVALID_NUMBER,
    16: Disposition.CANCELLED,
    17: Disposition.BUSY,
    18: Disposition.NO_ANSWER,
    19: Disposition.NO_ANSWER,
    20: Disposition.UNREACHABLE,
    21: Disposition.REJECTED,
    22: Disposition.INVALID_NUMBER,
    27: Disposition.UNREACHABLE,
    28: Disposition.INVALID_NUMBER,
    34: Disposition.CONGESTION,
    38: Disposition.CONGESTION,
    41: Disposition.CONGESTION,
    42: Disposition.CONGESTION,
    44: Disposition.CONGESTION,
}


@dataclass(frozen=True)
class DialEnd:
    """What Asterisk told about a dialing that was not answered.

    Attributes:
        cause: Q.850 cause of ChannelDestroyed.
        sip_status: SIP status where known, else 0.
        heard_from: whether the far end sent anything (ringing, progress, a final answer).
    """

    cause: int
    sip_status: int
    heard_from: bool


def disposition_of(end: DialEnd) -> Disposition:
    """Name how a dialing ended.

    A trunk that never answers at all ends, like a phone that rings out, with cause 19; only the
    silence tells them apart, and it is congestion: nobody's phone rang.
    """
    found = _BY_CAUSE.get(end.cause, Disposition.UNKNOWN)
    if found is Disposition.NO_ANSWER and not end.heard_from:
        return Disposition.CONGESTION
    return found
