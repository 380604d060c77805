from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lab.fakes.base import Fake
from lab.fakes.panel import FakePanel

Connect = Callable[[Fake], Awaitable[httpx.AsyncClient]]
BATCH = "/api/dialer/next-batch"
REPORT = "/api/dialer/report-result"
PHONES = {1: "09121110001", 2: "09121110002", 3: "09121110003"}


async def _panel(connect: Connect, **wanted: Any) -> httpx.AsyncClient:
    client = await connect(FakePanel())
    numbers = [{"id": key, "phone_number": phone} for key, phone in PHONES.items()]
    answer = await client.post("/_control", json={"numbers": numbers, **wanted})
    assert answer.status_code == 200
    return client


def _report(number_id: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "number_id": number_id,
        "phone_number": PHONES.get(number_id, "09120000000"),
        "status": "CONNECTED",
        "attempted_at": "2026-01-02T10:00:00+03:30",
        **changes,
    }


def _ids(answer: httpx.Response) -> list[int]:
    return [number["id"] for number in answer.json()["batch"]["numbers"]]


async def test_batch_has_the_shape_of_the_real_one(connect: Connect) -> None:
    """An allowed batch carries exactly the documented fields."""
    client = await _panel(connect)
    body = (await client.get(BATCH, params={"size": 2})).json()
    assert set(body) == {
        *("call_allowed", "timezone", "server_time", "schedule_version"),
        *("reason", "retry_after_seconds", "batch"),
    }
    assert body["call_allowed"] is True
    assert body["timezone"] == "Asia/Tehran"
    assert body["server_time"].endswith("+03:30")
    assert body["reason"] is None
    assert body["retry_after_seconds"] is None
    assert body["batch"]["size_requested"] == body["batch"]["size_returned"] == 2
    assert body["batch"]["numbers"][0] == {"id": 1, "phone_number": PHONES[1]}


async def test_numbers_are_locked_for_an_hour(connect: Connect) -> None:
    """A number is not handed out twice within 60 minutes, and is again afterwards."""
    client = await _panel(connect)
    assert _ids(await client.get(BATCH, params={"size": 2})) == [1, 2]
    assert _ids(await client.get(BATCH)) == [3]
    await client.post("/_control", json={"advance_s": 3590})
    assert _ids(await client.get(BATCH)) == []
    await client.post("/_control", json={"advance_s": 20})
    assert _ids(await client.get(BATCH)) == [1, 2, 3]


async def test_lock_length_is_settable(connect: Connect) -> None:
    """A shorter lock returns numbers sooner."""
    client = await _panel(connect, lock_s=10)
    assert _ids(await client.get(BATCH)) == [1, 2, 3]
    await client.post("/_control", json={"advance_s": 11})
    assert _ids(await client.get(BATCH)) == [1, 2, 3]


async def test_reported_numbers_do_not_come_back(connect: Connect) -> None:
    """A number with a report is not handed out again after its lock."""
    client = await _panel(connect)
    await client.get(BATCH)
    assert (await client.post(REPORT, json=_report(2))).status_code == 200
    await client.post("/_control", json={"advance_s": 3601})
    assert _ids(await client.get(BATCH)) == [1, 3]


async def test_batches_are_capped_at_500(connect: Connect) -> None:
    """More than 500 numbers are never handed out at once."""
    client = await connect(FakePanel())
    numbers = [{"id": i, "phone_number": f"0912{i:07}"} for i in range(600)]
    await client.post("/_control", json={"numbers": numbers})
    batch = (await client.get(BATCH, params={"size": 600})).json()["batch"]
    assert batch["size_requested"] == batch["size_returned"] == 500


@pytest.mark.parametrize(
    "reason",
    ["disabled", "holiday", "no_window", "outside_allowed_time_window", "insufficient_funds"],
)
async def test_blocked_panel_says_why_and_when(connect: Connect, reason: str) -> None:
    """A blocked panel hands out nothing and names reason and seconds to wait."""
    client = await _panel(connect, call_allowed=False, reason=reason, retry_after_seconds=90)
    body = (await client.get(BATCH)).json()
    assert body["call_allowed"] is False
    assert body["reason"] == reason
    assert body["retry_after_seconds"] == 90
    assert "batch" not in body


@pytest.mark.parametrize("path", [BATCH, REPORT])
async def test_token_is_checked(connect: Connect, path: str) -> None:
    """Both calls want the right bearer token."""
    client = await _panel(connect, token="right")
    method, body = ("GET", None) if path == BATCH else ("POST", _report())
    for header, status in (("Bearer wrong", 401), ("right", 401), ("Bearer right", 200)):
        answer = await client.request(method, path, json=body, headers={"Authorization": header})
        assert answer.status_code == status


@pytest.mark.parametrize(
    "report", [_report(1, phone_number="09129999999"), _report(99), _report(number_id=99)]
)
async def test_mismatch_is_404_and_not_counted(connect: Connect, report: dict[str, Any]) -> None:
    """A report whose id and number do not belong together is 404 and leaves no trace."""
    client = await _panel(connect)
    assert (await client.post(REPORT, json=report)).status_code == 404
    assert (await client.get("/_control")).json()["reports"] == []


async def test_every_report_counts(connect: Connect) -> None:
    """The panel counts a repeated report again, whatever its key, and records the key."""
    client = await _panel(connect)
    for _ in range(2):
        await client.post(REPORT, json=_report(), headers={"Idempotency-Key": "attempt-1"})
    state = (await client.get("/_control")).json()
    assert state["numbers"][0]["reports"] == 2
    received = (await client.get("/_received")).json()
    assert [r["headers"]["idempotency-key"] for r in received] == ["attempt-1"] * 2


async def test_report_can_switch_the_panel_off(connect: Connect) -> None:
    """`call_allowed: false` in a report blocks the whole panel; `true` or none leaves it on."""
    client = await _panel(connect)
    await client.post(REPORT, json=_report(1, call_allowed=True))
    assert (await client.get(BATCH)).json()["call_allowed"] is True
    await client.post(REPORT, json=_report(2, call_allowed=False))
    body = (await client.get(BATCH)).json()
    assert (body["call_allowed"], body["reason"]) == (False, "disabled")


@pytest.mark.parametrize(
    "report",
    [
        _report(status="HAPPY"),
        _report(status="BUSY"),
        _report(attempted_at="yesterday"),
        _report(attempted_at="2026-01-02T10:00:00"),
        {"number_id": 1},
    ],
)
async def test_bad_reports_are_refused(connect: Connect, report: dict[str, Any]) -> None:
    """An unknown status, a time without zone or a missing field is 422 and not counted."""
    client = await _panel(connect)
    assert (await client.post(REPORT, json=report)).status_code == 422
    assert (await client.get("/_control")).json()["reports"] == []


async def test_newer_panel_wants_a_company(connect: Connect) -> None:
    """The newer panel refuses calls without `company` and knows more statuses."""
    client = await _panel(connect, require_company=True)
    assert (await client.get(BATCH)).status_code == 422
    assert _ids(await client.get(BATCH, params={"company": "salehi"})) == [1, 2, 3]
    assert (await client.post(REPORT, json=_report(status="BUSY"))).status_code == 422
    newer = _report(status="BUSY", company="salehi")
    assert (await client.post(REPORT, json=newer)).status_code == 200
