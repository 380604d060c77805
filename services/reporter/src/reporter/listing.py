"""Results and dead letters as tables to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo

from google.protobuf.timestamp_pb2 import Timestamp

from reporter.words import enum_word
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from servicekit.pii import mask_number

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


def results_table(
    records: Iterable[reporter_pb2.ResultRecord], zone: tzinfo, *, show_numbers: bool
) -> str:
    """Lay out results, times in `zone`; numbers are masked unless asked for."""
    rows = [
        (
            _moment(record.report.attempted_at, zone),
            enum_word(calls_pb2.Direction.Name(record.report.direction), "DIRECTION_"),
            record.report.contact.source,
            record.report.line,
            _number(record.report.contact.number, show=show_numbers),
            record.result,
            enum_word(reporter_pb2.DeliveryState.Name(record.delivery), "DELIVERY_STATE_"),
            record.report.attempt_id,
        )
        for record in records
    ]
    return _table(_RESULT_HEADER, rows)


def letters_table(letters: Iterable[reporter_pb2.DeadLetter], zone: tzinfo) -> str:
    """Lay out dead letters, times in `zone`."""
    rows = [
        (_moment(letter.since, zone), str(letter.tries), letter.attempt_id, letter.reason)
        for letter in letters
    ]
    return _table(_LETTER_HEADER, rows)


def _number(number: str, *, show: bool) -> str:
    return number if show or not number else mask_number(number)


def _moment(stamp: Timestamp, zone: tzinfo) -> str:
    if not stamp.seconds:
        return "-"
    return stamp.ToDatetime(tzinfo=UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align cells in columns; what could move the terminal's cursor is left out."""
    cells = [header, *([_printable(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
    return "".join(f"{line}\n" for line in lines)


def _printable(cell: str) -> str:
    return "".join(char for char in cell if char.isprintable())
