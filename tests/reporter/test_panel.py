"""What the panel is told, and what its answers mean."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import httpx
import pytest

from reporter.errors import PanelRefused, PanelUnavailable
from reporter.panel import HttpPanel, panel_body
from reporter_support.reports import report_of
from reporter_support.web import Answer, Request, WebServer
from salehi.calls.v1 import calls_pb2

TEHRAN = ZoneInfo("Asia/Tehran")


def _panel(http: httpx.AsyncClient, url: str) -> HttpPanel:
    return HttpPanel(http, url, "token-1", TEHRAN)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (calls_pb2.RESULT_CONNECTED_TO_OPERATOR, "CONNECTED"),
        (calls_pb2.RESULT_NOT_INTERESTED, "NOT_INTERESTED"),
        (calls_pb2.RESULT_MISSED, "MISSED"),
        (calls_pb2.RESULT_HANGUP, "HANGUP"),
        (calls_pb2.RESULT_DISCONNECTED, "DISCONNECTED"),
        (calls_pb2.RESULT_FAILED, "FAILED"),
    ],
)
def test_status_of_each_result(result: calls_pb2.Result.ValueType, status: str) -> None:
    """Each result has the panel's own word."""
    assert panel_body(report_of(result), TEHRAN, switches_off=False)["status"] == status


def test_body_in_the_panels_words() -> None:
    """The number is national, the time carries Tehran's offset, the reason the rest."""
    report = report_of(calls_pb2.RESULT_FAILED, reason="congestion", number_id=42)
    assert panel_body(report, TEHRAN, switches_off=False) == {
        "number_id": 42,
        "phone_number": "09120000101",
        "status": "FAILED",
        "reason": "congestion",
        "attempted_at": "2026-05-04T00:15:10+03:30",
        "batch_id": "b1",
    }


def test_switching_off_only_when_told() -> None:
    """`call_allowed` is false when the breaker opened, and is not sent otherwise."""
    report = report_of()
    assert panel_body(report, TEHRAN, switches_off=True)["call_allowed"] is False
    assert "call_allowed" not in panel_body(report, TEHRAN, switches_off=False)


def test_contact_without_panel_id_is_refused_here() -> None:
    """A contact the panel cannot know becomes a dead letter without asking the panel."""
    with pytest.raises(PanelRefused):
        panel_body(report_of(number_id=0), TEHRAN, switches_off=False)


async def test_request_on_the_wire(http: httpx.AsyncClient) -> None:
    """The report is posted with the bearer token and the attempt as Idempotency-Key."""
    async with WebServer(lambda _: Answer()) as server:
        report = report_of()
        await _panel(http, server.url).report(report, switches_off=False)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/dialer/report-result")
    assert request.headers["authorization"] == "Bearer token-1"
    assert request.headers["idempotency-key"] == report.attempt_id
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "answer",
    [Answer(200), Answer(201), Answer(204, b""), Answer(200, b""), Answer(200, b'{"new": [1]}')],
)
async def test_accepted(http: httpx.AsyncClient, answer: Answer) -> None:
    """Any 2xx with JSON or nothing in it is an acceptance, unknown fields included."""
    async with WebServer(lambda _: answer) as server:
        await _panel(http, server.url).report(report_of(), switches_off=False)


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 413, 422])
async def test_refused_for_good(http: httpx.AsyncClient, status: int) -> None:
    """Answers about the result itself end its delivery; the number they repeat is masked."""
    body = b'{"error": "09120000101 does not match"}'
    async with WebServer(lambda _: Answer(status, body)) as server:
        with pytest.raises(PanelRefused) as refusal:
            await _panel(http, server.url).report(report_of(), switches_off=False)
    assert refusal.value.reason == f"HTTP {status}"
    assert "does not match" in refusal.value.detail
    assert "09120000101" not in refusal.value.detail


@pytest.mark.parametrize("status", [301, 401, 402, 403, 408, 425, 429, 500, 502, 503, 504])
async def test_passing_troubles(http: httpx.AsyncClient, status: int) -> None:
    """Answers about the moment, the pace or our token never end a delivery."""
    async with WebServer(lambda _: Answer(status, b"<html>")) as server:
        with pytest.raises(PanelUnavailable) as problem:
            await _panel(http, server.url).report(report_of(), switches_off=False)
    assert (problem.value.retry_after_s >= 60) is (status in {401, 402, 403})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("-3", 0.0), ("nan", 0.0), ("inf", 0.0), ("1e9", 3600.0), ("Mon, 4 May", 0.0)],
)
async def test_retry_after(http: httpx.AsyncClient, value: str, seconds: float) -> None:
    """Retry-After is honoured in seconds within reason, and nonsense in it does no harm."""
    answer = Answer(503, headers={"Retry-After": value})
    async with WebServer(lambda _: answer) as server:
        with pytest.raises(PanelUnavailable) as problem:
            await _panel(http, server.url).report(report_of(), switches_off=False)
    assert problem.value.retry_after_s == seconds


@pytest.mark.parametrize("body", [b"<html>login</html>", b'{"ok": tr', b"\xff\xfe\x00"])
async def test_malformed_acceptance(http: httpx.AsyncClient, body: bytes) -> None:
    """A 200 that is not JSON (a proxy's page, half an answer) is no acceptance."""
    async with WebServer(lambda _: Answer(200, body)) as server:
        with pytest.raises(PanelUnavailable):
            await _panel(http, server.url).report(report_of(), switches_off=False)


async def test_nobody_there(http: httpx.AsyncClient) -> None:
    """A refused connection and a lost answer are both tried again."""
    async with WebServer(lambda _: Answer(lost=True)) as server:
        panel = _panel(http, server.url)
        with pytest.raises(PanelUnavailable):
            await panel.report(report_of(), switches_off=False)
    with pytest.raises(PanelUnavailable):
        await panel.report(report_of(), switches_off=False)


async def test_redirect_is_not_followed(http: httpx.AsyncClient) -> None:
    """A redirect never turns the report into something else at another address."""

    def elsewhere(request: Request) -> Answer:
        return Answer(302, headers={"Location": f"{request.path}/x"})

    async with WebServer(elsewhere) as server:
        with pytest.raises(PanelUnavailable):
            await _panel(http, server.url).report(report_of(), switches_off=False)
    assert len(server.requests) == 1
