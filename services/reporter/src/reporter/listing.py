"""Results, dead letters and callbacks as tables to read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from reporter.words import enum_word
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from servicekit.cli import shown_moment, shown_number, table

_RESULT_HEADER = (
    "ATTEMPTED",
    "DIRECTION",
    "SOURCE",
    "LINE",
    "NUMBER",
    "RESULT",
    "PANEL",
    "ATTEMPT",
)
_LETTER_HEADER = ("SINCE", "TRIES", "ATTEMPT", "REASON")
_CALLBACK_HEADER = ("SINCE", "NUMBER", "LINE", "DIRECTION", "ATTEMPT")


def results_table(
    records: Iterable[reporter_pb2.ResultRecord], zone: tzinfo, *, show_numbers: bool
) -> str:
    """Lay out results, times in `zone`; numbers are masked unless asked for."""
    rows = [
        (
            shown_moment(record.report.attempted_at, zone),
            _direction_word(record.report.direction),
            record.report.contact.source,
            record.report.line,
            shown_number(record.report.contact.number, show=show_numbers),
            record.result,
            enum_word(reporter_pb2.DeliveryState.Name(record.delivery), "DELIVERY_STATE_"),
            record.report.attempt_id,
        )
        for record in records
    ]
    return table(_RESULT_HEADER, rows)


def letters_table(letters: Iterable[reporter_pb2.DeadLetter], zone: tzinfo) -> str:
    """Lay out dead letters, times in `zone`."""
    rows = [
        (shown_moment(letter.since, zone), str(letter.tries), letter.attempt_id, letter.reason)
        for letter in letters
    ]
    return table(_LETTER_HEADER, rows)


def callbacks_table(callbacks: Iterable[reporter_pb2.Callback], zone: tzinfo) -> str:
    """Lay out callbacks, times in `zone`; numbers are whole, because they are to be dialled."""
    rows = [
        (
            shown_moment(callback.since, zone),
            callback.number,
            callback.line,
            _direction_word(callback.direction),
            callback.attempt_id,
        )
        for callback in callbacks
    ]
    return table(_CALLBACK_HEADER, rows)


def _direction_word(direction: calls_pb2.Direction.ValueType) -> str:
    return enum_word(calls_pb2.Direction.Name(direction), "DIRECTION_")
