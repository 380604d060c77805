"""Between the gateway's own types and the contract's messages."""

from __future__ import annotations

import functools
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from ari_gateway.sessions.disposition import Disposition
from ari_gateway.sessions.legs import LegState
from ari_gateway.sessions.live import LiveCall
from ari_gateway.sessions.outcome import Intent, Result, Verdict
from ari_gateway.sessions.plan import CallPlan, Person
from ari_gateway.sessions.record import Record, Turn
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2

_RESULTS = {
    Result.CONNECTED_TO_OPERATOR: calls_pb2.RESULT_CONNECTED_TO_OPERATOR,
    Result.NOT_INTERESTED: calls_pb2.RESULT_NOT_INTERESTED,
    Result.DISCONNECTED: calls_pb2.RESULT_DISCONNECTED,
    Result.HANGUP: calls_pb2.RESULT_HANGUP,
    Result.MISSED: calls_pb2.RESULT_MISSED,
    Result.FAILED: calls_pb2.RESULT_FAILED,
}
_DISPOSITIONS = {
    Disposition.ANSWERED: calls_pb2.DISPOSITION_ANSWERED,
    Disposition.BUSY: calls_pb2.DISPOSITION_BUSY,
    Disposition.NO_ANSWER: calls_pb2.DISPOSITION_NO_ANSWER,
    Disposition.REJECTED: calls_pb2.DISPOSITION_REJECTED,
    Disposition.UNREACHABLE: calls_pb2.DISPOSITION_UNREACHABLE,
    Disposition.INVALID_NUMBER: calls_pb2.DISPOSITION_INVALID_NUMBER,
    Disposition.CONGESTION: calls_pb2.DISPOSITION_CONGESTION,
    Disposition.CANCELLED: calls_pb2.DISPOSITION_CANCELLED,
    Disposition.UNKNOWN: calls_pb2.DISPOSITION_UNSPECIFIED,
}
_INTENTS = {
    Intent.YES: intent_pb2.INTENT_YES,
    Intent.NO: intent_pb2.INTENT_NO,
    Intent.NUMBER_QUESTION: intent_pb2.INTENT_NUMBER_QUESTION,
    Intent.DO_NOT_CALL: intent_pb2.INTENT_DO_NOT_CALL,
    Intent.UNKNOWN: intent_pb2.INTENT_UNKNOWN,
}


def call_message(live: LiveCall) -> calls_pb2.Call:
    """Describe a call as it stands."""
    return described(live.plan, live.record, _state(live))


def described(
    plan: CallPlan, record: Record, state: calls_pb2.CallState.ValueType
) -> calls_pb2.Call:
    """Describe a call by its plan and what was seen of it."""
    return calls_pb2.Call(
        attempt_id=plan.attempt_id,
        direction=(calls_pb2.DIRECTION_INBOUND if plan.inbound else calls_pb2.DIRECTION_OUTBOUND),
        state=state,
        line=plan.line,
        contact=_contact(plan.person),
        created_at=_time(record.created_at),
        originated_at=_time(record.originated_at),
        answered_at=_time(record.answered_at),
        ended_at=_time(record.ended_at),
        outcome=outcome_message(record, record.verdict) if record.verdict else None,
        traceparent=plan.traceparent,
    )


def outcome_message(record: Record, verdict: Verdict) -> calls_pb2.Outcome:
    """Describe what a call came to."""
    return calls_pb2.Outcome(
        result=_RESULTS[verdict.result],
        reason=verdict.reason,
        disposition=_DISPOSITIONS[record.disposition],
        technical=verdict.technical,
        cause=record.cause,
        sip_status=record.sip_status,
        turns=[_turn(turn) for turn in record.turns],
        operator_extension=record.operator_extension if record.operator_answered_at else "",
        talk_s=record.talk_s,
        post_dial_delay_s=record.post_dial_delay_s,
        out_of_credit=record.out_of_credit,
        callback_wanted=record.callback_wanted,
    )


def person_of(contact: calls_pb2.Contact) -> Person:
    """Read who is called."""
    return Person(
        source=contact.source,
        number=contact.number,
        panel_number_id=contact.panel_number_id,
        panel_batch_id=contact.panel_batch_id,
        national_number=contact.national_number,
    )


def moment_of(stamp: Timestamp) -> datetime:
    """Read a moment, in UTC.

    Raises:
        ValueError: it lies outside the years 1 to 9999.
    """
    try:
        return stamp.ToDatetime(UTC)
    except OverflowError as error:
        raise ValueError("a moment outside the years 1 to 9999") from error


def _contact(person: Person) -> calls_pb2.Contact:
    return calls_pb2.Contact(
        source=person.source,
        number=person.number,
        panel_number_id=person.panel_number_id,
        panel_batch_id=person.panel_batch_id,
        national_number=person.national_number,
    )


def _turn(turn: Turn) -> calls_pb2.Turn:
    reply = turn.reply
    return calls_pb2.Turn(
        heard=reply.heard,
        intent=_INTENTS[reply.intent],
        decided_by=intent_pb2.DecidedBy.Value(reply.decided_by or "DECIDED_BY_UNSPECIFIED"),
        turn_latency_s=turn.latency_s,
        confidence=reply.confidence,
        evidence=reply.evidence,
        engine=reply.engine,
    )


def _state(live: LiveCall) -> calls_pb2.CallState.ValueType:
    record = live.record
    if record.verdict is not None:
        return calls_pb2.CALL_STATE_ENDED
    if record.operator_answered_at is not None:
        return calls_pb2.CALL_STATE_CONNECTED
    if record.calling_operator:
        return calls_pb2.CALL_STATE_CALLING_OPERATOR
    if record.answered_at is not None:
        return calls_pb2.CALL_STATE_ANSWERED
    if live.customer.state is LegState.RINGING:
        return calls_pb2.CALL_STATE_RINGING
    return calls_pb2.CALL_STATE_DIALING


@functools.lru_cache(maxsize=4096)  # a call is described a dozen times, with the same moments
def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
