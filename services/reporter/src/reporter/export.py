"""Results as a file: CSV for spreadsheets, JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from reporter.archive import KeptResult
from reporter.words import enum_word
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2
from servicekit.cli import escape_formula

COLUMNS = (
    "attempt_id",
    "direction",
    "source",
    "number",
    "line",
    "attempted_at",
    "answered_at",
    "ended_at",
    "result",
    "reason",
    "disposition",
    "technical",
    "heard",
    "intents",
    "operator_extension",
    "talk_s",
    "panel_number_id",
    "panel_batch_id",
    "delivery",
)


def csv_header() -> bytes:
    """Give the header row."""
    return _csv_bytes([COLUMNS])


def csv_rows(kept: Iterable[KeptResult]) -> bytes:
    """Give results as CSV rows; a list in one cell is separated by " | "."""
    return _csv_bytes([_csv_cell(value) for value in _fields(result).values()] for result in kept)


def json_lines(kept: Iterable[KeptResult]) -> bytes:
    """Give results as JSON, one object per line, numbers and words as they are."""
    lines = (json.dumps(_fields(result), ensure_ascii=False) + "\n" for result in kept)
    return "".join(lines).encode()


def _csv_bytes(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return escape_formula(" | ".join(value))
    return escape_formula(str(value))


def _fields(kept: KeptResult) -> dict[str, Any]:
    report, outcome = kept.report, kept.report.outcome
    direction = calls_pb2.Direction.Name(report.direction)
    disposition = calls_pb2.Disposition.Name(outcome.disposition)
    values = (
        report.attempt_id,
        enum_word(direction, "DIRECTION_"),
        report.contact.source,
        report.contact.number,
        report.line,
        _moment(report.attempted_at),
        _moment(report.answered_at),
        _moment(report.ended_at),
        kept.result,
        outcome.reason,
        enum_word(disposition, "DISPOSITION_"),
        outcome.technical,
        [turn.heard for turn in outcome.turns],
        [enum_word(intent_pb2.Intent.Name(turn.intent), "INTENT_") for turn in outcome.turns],
        outcome.operator_extension,
        round(outcome.talk_s, 3),
        report.contact.panel_number_id or None,
        report.contact.panel_batch_id or None,
        kept.delivery.value if kept.delivery else None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _moment(stamp: Timestamp) -> str | None:
    """ISO 8601 in UTC; nothing for a moment that never came."""
    if not (stamp.seconds or stamp.nanos):
        return None
    return stamp.ToDatetime(tzinfo=UTC).isoformat(timespec="milliseconds")
