"""How requests for calls travel, and how calls end."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dialer.gateway import PLACE_TIMEOUT_S
from salehi.calls.v1.calls_pb2 import Disposition, Result

TIMEOUT_MS = round(PLACE_TIMEOUT_S * 1000)
LONGEST_JOURNEY_MS = TIMEOUT_MS - 1  # the gateway drops a request whose deadline has passed
LONGEST_ADOPTION_MS = 9000


class Fate(enum.StrEnum):
    """What becomes of a request for a call."""

    PLACED = "placed"
    REFUSED = "refused"
    REJECTED = "rejected"
    LOST = "request lost"
    UNANSWERED = "answer lost"


@dataclass(frozen=True)
class Errand:
    """How a request for a call travels.

    Attributes:
        journey_ms: from the dialer to the gateway.
        originate_ms: from the gateway's record of the call to its request to Asterisk.
        appear_ms: from there to the trunk.
        answer_ms: from the gateway back to the dialer.
    """

    fate: Fate = Fate.PLACED
    journey_ms: int = 1
    originate_ms: int = 10
    appear_ms: int = 10
    answer_ms: int = 1


@dataclass(frozen=True)
class End:
    """How a call ends."""

    result: Result.ValueType
    disposition: Disposition.ValueType = Disposition.DISPOSITION_UNSPECIFIED
    reason: str = ""
    opted_out: bool = False


BUSY = End(Result.RESULT_MISSED, Disposition.DISPOSITION_BUSY)
NO_ANSWER = End(Result.RESULT_MISSED, Disposition.DISPOSITION_NO_ANSWER)
UNREACHABLE = End(Result.RESULT_MISSED, Disposition.DISPOSITION_UNREACHABLE)
CONGESTION = End(Result.RESULT_FAILED, Disposition.DISPOSITION_CONGESTION, "congestion")
HUNG_UP = End(Result.RESULT_HANGUP, Disposition.DISPOSITION_ANSWERED)
DECLINED = End(Result.RESULT_NOT_INTERESTED, Disposition.DISPOSITION_ANSWERED)
CONNECTED = End(Result.RESULT_CONNECTED_TO_OPERATOR, Disposition.DISPOSITION_ANSWERED)
OPT_OUT = End(Result.RESULT_NOT_INTERESTED, Disposition.DISPOSITION_ANSWERED, opted_out=True)
ENDS = (BUSY, NO_ANSWER, UNREACHABLE, CONGESTION, HUNG_UP, DECLINED, CONNECTED, OPT_OUT)
TOO_LATE = End(Result.RESULT_FAILED, reason="asked_too_late")
RESTARTED = End(Result.RESULT_FAILED, reason="asterisk_restart")
