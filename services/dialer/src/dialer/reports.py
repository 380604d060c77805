"""Results the gateway never had, on their way to the reporter: an outbox that survives crashes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.storage import insert_new
from dialer.tables import attempts, reports
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest

_PAGE = 50


@dataclass(frozen=True)
class WaitingReport:
    """A report not yet acknowledged; `traceparent` is its attempt's, empty where none was made."""

    attempt_id: str
    request: ReportResultRequest
    traceparent: str


async def queue_report(
    connection: AsyncConnection, request: ReportResultRequest, at_ms: int
) -> None:
    """Keep a report until it is acknowledged; one attempt has one."""
    row = {
        "attempt_id": request.attempt_id,
        "body": request.SerializeToString(),
        "created_at_ms": at_ms,
        "refusal": "",
    }
    await insert_new(connection, reports, reports.c.attempt_id, [row])


async def waiting_reports(connection: AsyncConnection) -> list[WaitingReport]:
    """Give the oldest reports that wait."""
    statement = (
        select(reports.c.attempt_id, reports.c.body, attempts.c.traceparent)
        .outerjoin(attempts, attempts.c.id == reports.c.attempt_id)
        .where(reports.c.refusal == "")
        .order_by(reports.c.created_at_ms)
        .limit(_PAGE)
    )
    rows = (await connection.execute(statement)).all()
    return [
        WaitingReport(
            row.attempt_id, ReportResultRequest.FromString(row.body), row.traceparent or ""
        )
        for row in rows
    ]


async def acknowledged(connection: AsyncConnection, attempt_id: str) -> None:
    """Forget a report the reporter has."""
    await connection.execute(delete(reports).where(reports.c.attempt_id == attempt_id))


async def refused(connection: AsyncConnection, attempt_id: str, reason: str) -> None:
    """Keep a report the reporter will never take, for a person to look at."""
    await connection.execute(
        update(reports).where(reports.c.attempt_id == attempt_id).values(refusal=reason[:200])
    )
