from __future__ import annotations

from typing import Any

import httpx
import pytest

from dialer.errors import PanelUnavailable
from dialer.panel import Batch, Blocked, Panel, PanelNumber
from dialer_support.panel import TOKEN, FakePanel, allowed, blocked


async def test_a_batch_is_asked_for_by_the_contract(fake: FakePanel, panel: Panel) -> None:
    """The request has path, size and token; unknown fields of the answer are ignored."""
    fake.will_answer(allowed("b7", (1, "09120000001"), (2, "x"), colour="blue"))
    answer = await panel.next_batch(10, active_lines=2)
    assert answer == Batch("b7", (PanelNumber(1, "09120000001"), PanelNumber(2, "x")), 0, None)
    assert fake.paths == ["/api/dialer/next-batch"]
    assert fake.queries == [{"size": ["10"]}]
    assert fake.tokens == [f"Bearer {TOKEN}"]


async def test_a_newer_panel_is_told_company_and_lines(
    fake: FakePanel, client: httpx.AsyncClient
) -> None:
    """With a company set, company and the number of lines go along."""
    fake.will_answer(allowed("b7"))
    await Panel(client, timeout_s=2, company="academy").next_batch(5, active_lines=3)
    assert fake.queries == [{"size": ["5"], "company": ["academy"], "active_lines_count": ["3"]}]


async def test_a_refusal_names_reason_and_time(fake: FakePanel, panel: Panel) -> None:
    """call_allowed=false is an answer, with its reason and when to ask again."""
    fake.will_answer(blocked("holiday", 900))
    assert await panel.next_batch(10, active_lines=1) == Blocked("holiday", 900.0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 200),
        ([], 200),
        ({}, 200),
        ({"call_allowed": "yes"}, 200),
        ({"call_allowed": True, "batch": []}, 200),
        ({"call_allowed": True, "batch": {"batch_id": "b", "numbers": {}}}, 200),
        ({"call_allowed": True, "batch": {"numbers": [{"id": 1, "phone_number": "0"}]}}, 200),
        ({"detail": "server error"}, 500),
        ({"detail": "unauthorised"}, 401),
        ({"call_allowed": True}, 302),
    ],
)
async def test_anything_else_is_no_answer(
    fake: FakePanel, panel: Panel, body: Any, status: int
) -> None:
    """Errors and answers that make no sense never count as permission."""
    fake.will_answer(body, status)
    with pytest.raises(PanelUnavailable):
        await panel.next_batch(10, active_lines=1)


async def test_an_unreachable_panel_is_no_answer() -> None:
    """A panel that is away is an error of ours, without the library's."""
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1") as http:
        with pytest.raises(PanelUnavailable):
            await Panel(http, timeout_s=1).next_batch(10, active_lines=1)
