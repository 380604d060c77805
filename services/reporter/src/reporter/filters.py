"""Which results are meant, as conditions of the database."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import ColumnElement, or_

from reporter.errors import BadFilter, BadNumber
from reporter.numbers import NumberForms
from reporter.tables import DeliveryStatus, deliveries, results
from reporter.words import RESULT_WORDS
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2

DELIVERY_STATES = {
    None: reporter_pb2.DELIVERY_STATE_UNSPECIFIED,
    DeliveryStatus.PENDING: reporter_pb2.DELIVERY_STATE_PENDING,
    DeliveryStatus.DELIVERED: reporter_pb2.DELIVERY_STATE_DELIVERED,
    DeliveryStatus.DEAD: reporter_pb2.DELIVERY_STATE_DEAD,
    DeliveryStatus.DISCARDED: reporter_pb2.DELIVERY_STATE_DISCARDED,
}
_DELIVERY_STATUSES = {state: status for status, state in DELIVERY_STATES.items() if status}
_DIRECTIONS = (calls_pb2.DIRECTION_OUTBOUND, calls_pb2.DIRECTION_INBOUND)
_FAILED = "failed"
_LAST_SECOND = 253_402_300_799  # of the year 9999

Condition = ColumnElement[bool]


def conditions(wanted: reporter_pb2.ResultFilter, forms: NumberForms) -> list[Condition]:
    """Give the conditions of a filter, none when nothing is set. All must hold.

    Raises:
        BadFilter: one of them makes no sense.
    """
    found: list[Condition] = []
    if wanted.result:
        found.append(_result(wanted.result))
    if wanted.line:
        found.append(results.c.line == wanted.line)
    if wanted.source:
        found.append(results.c.source == wanted.source)
    if wanted.direction:
        found.append(results.c.direction == _known_direction(wanted.direction))
    if wanted.number:
        found.append(results.c.number.in_(_forms(wanted.number, forms)))
    if wanted.delivery:
        found.append(deliveries.c.status == _known_status(wanted.delivery))
    return found + _period(wanted)


def _result(text: str) -> Condition:
    word, _, reason = text.partition(":")
    if word not in RESULT_WORDS.values() or (reason and word != _FAILED):
        allowed = ", ".join(RESULT_WORDS.values())
        raise BadFilter(f"filter.result is none of {allowed}, failed:<reason>")
    if text == _FAILED:
        return or_(results.c.result == _FAILED, results.c.result.startswith(f"{_FAILED}:"))
    return results.c.result == text


def _known_direction(direction: int) -> int:
    if direction not in _DIRECTIONS:
        raise BadFilter("filter.direction is unknown")
    return direction


def _known_status(state: reporter_pb2.DeliveryState.ValueType) -> DeliveryStatus:
    if state not in _DELIVERY_STATUSES:
        raise BadFilter("filter.delivery is unknown")
    return _DELIVERY_STATUSES[state]


def _forms(number: str, forms: NumberForms) -> tuple[str, ...]:
    try:
        return forms.of(number)
    except BadNumber as error:
        raise BadFilter(f"filter.{error}") from error


def _period(wanted: reporter_pb2.ResultFilter) -> list[Condition]:
    found: list[Condition] = []
    since_ms = _ms("since", wanted.since) if wanted.HasField("since") else None
    until_ms = _ms("until", wanted.until) if wanted.HasField("until") else None
    if since_ms is not None:
        found.append(results.c.attempted_at_ms >= since_ms)
    if until_ms is not None:
        found.append(results.c.attempted_at_ms < until_ms)
    if since_ms is not None and until_ms is not None and until_ms < since_ms:
        raise BadFilter("filter.until is before filter.since")
    return found


def _ms(name: str, stamp: Timestamp) -> int:
    if not (-_LAST_SECOND <= stamp.seconds <= _LAST_SECOND and 0 <= stamp.nanos < 10**9):
        raise BadFilter(f"filter.{name} is no moment")
    # Moments are stored in whole milliseconds: a boundary between two is the later one.
    return stamp.seconds * 1000 - (-stamp.nanos // 1_000_000)
