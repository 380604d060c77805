"""What a call came to: one outcome, out of what was seen of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ari_gateway.sessions.disposition import Disposition


class Result(enum.Enum):
    """What an attempt came to, in the campaign's words."""

    CONNECTED_TO_OPERATOR = "connected_to_operator"
    NOT_INTERESTED = "not_interested"
    DISCONNECTED = "disconnected"
    HANGUP = "hangup"
    MISSED = "missed"
    FAILED = "failed"


class Intent(enum.Enum):
    """What a caller meant."""

    YES = "yes"
    NO = "no"
    NUMBER_QUESTION = "number_question"
    DO_NOT_CALL = "do_not_call"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Failure:
    """Why a call failed.

    Attributes:
        reason: a word from a small set ("congestion", "prompt_missing", …).
        technical: whether it is a failure of trunk, Asterisk, prompts, speech or LLM, which
            counts towards the breaker.
    """

    reason: str
    technical: bool


@dataclass(frozen=True)
class Seen:
    """What was seen of a call, enough to say what it came to.

    Attributes:
        inbound: the customer called us: there was no dialing.
        answered: the customer answered, or was answered.
        disposition: how the dialing ended.
        last_intent: what the caller meant last; None when nothing was listened to.
        operator_answered: an operator talked, or was about to, with the customer.
        failure: the failure that ended the call, if one did.
    """

    inbound: bool
    answered: bool
    disposition: Disposition
    last_intent: Intent | None
    operator_answered: bool
    failure: Failure | None


_MISSED = {
    Disposition.BUSY,
    Disposition.NO_ANSWER,
    Disposition.REJECTED,
    Disposition.UNREACHABLE,
    Disposition.CANCELLED,
}
_FAILED_DIALING = {
    Disposition.INVALID_NUMBER: Failure("invalid_number", technical=False),
    Disposition.CONGESTION: Failure("congestion", technical=True),
    Disposition.UNKNOWN: Failure("unknown_cause", technical=True),
}


_BY_LAST_INTENT: dict[Intent | None, Result] = {
    Intent.YES: Result.DISCONNECTED,
    Intent.NO: Result.NOT_INTERESTED,
    Intent.DO_NOT_CALL: Result.NOT_INTERESTED,
}


@dataclass(frozen=True)
class Verdict:
    """The one outcome.

    Attributes:
        result: what the attempt came to.
        reason: for FAILED why; for MISSED how ("busy"); otherwise empty.
        technical: see `Failure`.
    """

    result: Result
    reason: str = ""
    technical: bool = False


def judge(seen: Seen) -> Verdict:
    """Say what a call came to. An operator who answered outweighs whatever happened after."""
    if seen.operator_answered:
        return Verdict(Result.CONNECTED_TO_OPERATOR)
    if seen.failure is not None:
        return _failed(seen.failure)
    if not seen.answered and not seen.inbound:
        if seen.disposition in _MISSED:
            return Verdict(Result.MISSED, seen.disposition.value)
        return _failed(
            _FAILED_DIALING.get(seen.disposition, Failure("unknown_cause", technical=True))
        )
    return Verdict(_BY_LAST_INTENT.get(seen.last_intent, Result.HANGUP))


def _failed(failure: Failure) -> Verdict:
    return Verdict(Result.FAILED, failure.reason, failure.technical)
