"""Reports of results as the gateway sends them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2
from salehi.reporter.v1 import reporter_pb2

ATTEMPTED_AT = datetime(2026, 5, 3, 20, 45, 10, tzinfo=UTC)  # already the 4th in Tehran
NUMBER = "+989120000101"


def report_of(
    result: calls_pb2.Result.ValueType = calls_pb2.RESULT_MISSED,
    *,
    reason: str = "",
    technical: bool = False,
    attempt_id: str | None = None,
    source: str = "panel",
    number: str = NUMBER,
    number_id: int = 7,
    direction: calls_pb2.Direction.ValueType = calls_pb2.DIRECTION_OUTBOUND,
    heard: tuple[str, ...] = (),
    out_of_credit: tuple[str, ...] = (),
    callback_wanted: bool = False,
) -> reporter_pb2.ReportResultRequest:
    """Make one report; a new attempt unless told which."""
    report = reporter_pb2.ReportResultRequest(
        attempt_id=attempt_id or str(uuid.uuid4()),
        direction=direction,
        contact=calls_pb2.Contact(
            source=source,
            number=number,
            panel_number_id=number_id,
            panel_batch_id="b1",
            national_number=number.replace("+98", "0", 1),
        ),
        line="1001",
        outcome=calls_pb2.Outcome(
            result=result,
            out_of_credit=out_of_credit,
            callback_wanted=callback_wanted,
            reason=reason,
            technical=technical,
            disposition=calls_pb2.DISPOSITION_ANSWERED,
            turns=[calls_pb2.Turn(heard=words, intent=intent_pb2.INTENT_YES) for words in heard],
        ),
    )
    report.attempted_at.FromDatetime(ATTEMPTED_AT)
    report.ended_at.FromDatetime(ATTEMPTED_AT)
    return report


def failure(reason: str = "congestion") -> reporter_pb2.ReportResultRequest:
    """Make a technical failure of a contact that is not the panel's."""
    return report_of(calls_pb2.RESULT_FAILED, reason=reason, technical=True, source="file")
