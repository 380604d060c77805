"""The panel's report-result, and what its answers mean."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

import httpx

from reporter.errors import PanelRefused, PanelUnavailable
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from servicekit.pii import mask_text

_STATUSES = {
    calls_pb2.RESULT_CONNECTED_TO_OPERATOR: "CONNECTED",
    calls_pb2.RESULT_NOT_INTERESTED: "NOT_INTERESTED",
    calls_pb2.RESULT_DISCONNECTED: "DISCONNECTED",
    calls_pb2.RESULT_HANGUP: "HANGUP",
    calls_pb2.RESULT_MISSED: "MISSED",
    calls_pb2.RESULT_FAILED: "FAILED",
}

# These refuse the request of now, not the result: our token, our pace, or a proxy's mood. The
# token and account ones pass once somebody mends them, so they are asked rarely.
_PASSING = frozenset({408, 423, 425, 429})
_ACCOUNT = frozenset({401, 402, 403, 407})
_ACCOUNT_RETRY_S = 60.0
_LONGEST_RETRY_AFTER_S = 3600.0
_BODY_EXCERPT = 200


class Panel(Protocol):
    """Where results of panel contacts go."""

    async def report(self, report: reporter_pb2.ReportResultRequest, *, switches_off: bool) -> None:
        """Report one result; with `switches_off` the panel also stops giving out numbers.

        Raises:
            PanelRefused: it will never take this result.
            PanelUnavailable: it did not take it now, or nobody knows.
        """
        ...


@dataclass(frozen=True)
class HttpPanel:
    """The panel behind its HTTP address.

    Attributes:
        http: pooled client; its timeout bounds every step of a request.
        base_url: without a trailing slash.
        token: bearer token.
        zone: time zone of `attempted_at`.
        longest_s: what a request may take in all, seconds; a delivery's lease outlasts it.
    """

    http: httpx.AsyncClient
    base_url: str
    token: str
    zone: tzinfo
    longest_s: float = 30.0

    async def report(self, report: reporter_pb2.ReportResultRequest, *, switches_off: bool) -> None:
        """Post one result. The same attempt always carries the same Idempotency-Key."""
        body = panel_body(report, self.zone, switches_off=switches_off)
        try:
            async with asyncio.timeout(self.longest_s):
                response = await self.http.post(
                    f"{self.base_url}/api/dialer/report-result",
                    json=body,
                    headers={
                        "Authorization": f"Bearer {self.token}",
                        "Idempotency-Key": report.attempt_id,
                    },
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise PanelUnavailable(type(error).__name__) from error
        _judge(response)


def panel_body(
    report: reporter_pb2.ReportResultRequest, zone: tzinfo, *, switches_off: bool
) -> dict[str, object]:
    """Word a result as the panel reads it.

    Raises:
        PanelRefused: the contact carries no panel number id, so the panel cannot know it.
    """
    contact = report.contact
    if contact.panel_number_id <= 0:
        raise PanelRefused("the contact has no panel number id")
    body: dict[str, object] = {
        "number_id": contact.panel_number_id,
        "phone_number": contact.national_number or contact.number,
        "status": _STATUSES[report.outcome.result],
        "attempted_at": _attempted_at(report).astimezone(zone).isoformat(timespec="seconds"),
    }
    if report.outcome.reason:
        body["reason"] = report.outcome.reason
    if contact.panel_batch_id:
        body["batch_id"] = contact.panel_batch_id
    if switches_off:
        body["call_allowed"] = False
    return body


def _attempted_at(report: reporter_pb2.ReportResultRequest) -> datetime:
    field = "attempted_at" if report.HasField("attempted_at") else "ended_at"
    moment: datetime = getattr(report, field).ToDatetime(tzinfo=UTC)
    return moment


def _judge(response: httpx.Response) -> None:
    status = response.status_code
    if response.is_success:
        _expect_json(response)
        return
    if status in _ACCOUNT:
        raise PanelUnavailable(
            f"HTTP {status}, is PANEL_API_TOKEN right?", retry_after_s=_ACCOUNT_RETRY_S
        )
    if status in _PASSING or not response.is_client_error:
        raise PanelUnavailable(f"HTTP {status}", retry_after_s=_retry_after_s(response))
    raise PanelRefused(f"HTTP {status}", detail=mask_text(response.text[:_BODY_EXCERPT]))


def _expect_json(response: httpx.Response) -> None:
    """Take no stranger's 200 (a proxy's page, half an answer) for the panel's; empty will do."""
    if not response.content:
        return
    try:
        response.json()
    except ValueError as error:
        raise PanelUnavailable(f"HTTP {response.status_code}, the answer is not JSON") from error


def _retry_after_s(response: httpx.Response) -> float:
    try:
        wait_s = float(response.headers.get("Retry-After", "0"))
    except ValueError:  # the header's date form: our own pacing will do
        return 0.0
    return min(max(wait_s, 0.0), _LONGEST_RETRY_AFTER_S) if math.isfinite(wait_s) else 0.0
