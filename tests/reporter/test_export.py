"""Exports are safe to open in a spreadsheet and exact for programs."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporter.archive import KeptResult
from reporter.export import COLUMNS, csv_header, csv_rows, json_lines
from reporter.tables import DeliveryStatus
from reporter_support.reports import report_of
from salehi.calls.v1 import calls_pb2
from servicekit.cli import escape_formula


def _kept(*heard: str, number: str = "+989120000101") -> KeptResult:
    report = report_of(calls_pb2.RESULT_NOT_INTERESTED, heard=heard, number=number)
    return KeptResult(1, report, "not_interested", DeliveryStatus.DELIVERED)


def _read(*kept: KeptResult) -> list[dict[str, str]]:
    text = (csv_header() + csv_rows(kept)).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize(
    "text", ["=1+1", "+98912", "-2", "@SUM(A1)", "\tx", "\rx", "\n=1", "  =1", "＝1+1"]
)
def test_formulas_are_disarmed(text: str) -> None:
    """Whatever a spreadsheet would run starts with a quote instead."""
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "yes", "09120000101", "a=b", "نه", "2026-05-04T00:00:00"])
def test_plain_text_is_left_alone(text: str) -> None:
    """What no spreadsheet would run is written as it is."""
    assert escape_formula(text) == text


@given(st.lists(st.text(max_size=20), max_size=3), st.text(max_size=20))
def test_any_words_survive_csv(heard: list[str], line: str) -> None:
    """Commas, quotes, line ends and foreign scripts come back as they were, formulas disarmed."""
    kept = _kept(*heard)
    kept.report.line = line
    (row,) = _read(kept)
    assert row["heard"] == escape_formula(" | ".join(heard))
    assert row["line"] == escape_formula(line)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row.values())


def test_csv_is_rfc_4180() -> None:
    """Rows end in CR LF, the header names every column, and the file has no byte order mark."""
    text = csv_header() + csv_rows([_kept("yes"), _kept("no")])
    assert text.startswith(b"attempt_id,")
    assert text.count(b"\r\n") == 3
    assert text.endswith(b"\r\n")
    assert csv_header().decode().strip().split(",") == list(COLUMNS)


def test_row_tells_the_result() -> None:
    """A row says what was dialled, heard, meant and reported; moments are ISO 8601."""
    (row,) = _read(_kept("no", "never"))
    assert row["number"] == "'+989120000101"
    assert row["result"] == "not_interested"
    assert row["heard"] == "no | never"
    assert row["intents"] == "yes | yes"
    assert row["attempted_at"] == "2026-05-03T20:45:10.000+00:00"
    assert row["answered_at"] == ""
    assert row["delivery"] == "delivered"


def test_json_is_exact() -> None:
    """JSON lines keep numbers, lists and words as they are."""
    (line,) = json_lines([_kept("=1", "نه")]).decode().splitlines()
    read = json.loads(line)
    assert read["heard"] == ["=1", "نه"]
    assert read["number"] == "+989120000101"
    assert read["panel_number_id"] == 7
    assert read["answered_at"] is None
