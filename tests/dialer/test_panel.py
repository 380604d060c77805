from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from dialer.claim import Claimer, Refusal
from dialer.errors import PanelUnavailable
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.panel import Batch, Blocked, Panel, PanelNumber
from dialer.panel_feed import LOCK_MS, Asking, PanelFeed
from dialer.storage import Storage
from dialer.tables import batches, contacts, pauses, reports
from dialer.waking import Bells
from dialer_support.campaign import add, claimed, file_contact, number, refused, rows_of, rules
from dialer_support.panel import TOKEN, FakePanel, allowed, blocked, served
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from support.timing import HandClock, eventually, running


@pytest.fixture
def fake() -> Iterator[FakePanel]:
    """Give a panel on loopback."""
    panel = FakePanel()
    with served(panel):
        yield panel


@pytest.fixture
async def client(fake: FakePanel) -> AsyncIterator[httpx.AsyncClient]:
    """Give the connection to it, as the engine makes it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=fake.url, headers=headers) as http:
        yield http


@pytest.fixture
def panel(client: httpx.AsyncClient) -> Panel:
    """Give the dialer's view of the panel."""
    return Panel(client, timeout_s=2)


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


class Feeding:
    """A panel feed at work, and what tests ask about it."""

    def __init__(self, panel: Panel, storage: Storage, clock: HandClock) -> None:
        self.storage = storage
        self.bells = Bells()
        self.feed = PanelFeed(
            panel,
            storage,
            NumberPlan(),
            asking=Asking(batch_size=10, default_retry_s=0.2, active_lines=1),
            bells=self.bells,
            clock=clock,
        )

    async def has_contacts(self) -> bool:
        """Whether any contact is on record."""
        return bool(await rows_of(self.storage, contacts))


@pytest.fixture
def feeding(panel: Panel, storage: Storage, clock: HandClock) -> Feeding:
    """Give a feed that asks again after 0.2 s."""
    return Feeding(panel, storage, clock)


async def test_a_batch_is_stored_whole_before_it_is_dialled(
    fake: FakePanel, feeding: Feeding, storage: Storage, clock: HandClock
) -> None:
    """Numbers, batch, lock and the reports of numbers that are none are on record at once."""
    fake.will_answer(allowed("b7", (1, "09120000001"), (2, "0912"), (3, "۰۹۱۲۰۰۰۰۰۰۳")))
    async with running(feeding.feed.run()):
        feeding.bells.hungry.ring()
        await eventually(feeding.has_contacts)
    stored = await rows_of(storage, contacts)
    assert [row["number"] for row in stored] == [number(1), number(3)]
    assert [row["panel_number_id"] for row in stored] == [1, 3]
    assert {row["expires_at_ms"] for row in stored} == {now_ms(clock) + LOCK_MS}
    [batch] = await rows_of(storage, batches)
    assert (batch["id"], batch["accepted"], batch["rejected"]) == ("panel:b7", 2, 1)
    [kept] = await rows_of(storage, reports)
    report = ReportResultRequest.FromString(kept["body"])
    assert (report.contact.panel_number_id, report.contact.number) == (2, "0912")
    assert report.contact.national_number == ""
    assert report.outcome.result == calls_pb2.RESULT_FAILED
    assert report.outcome.reason == "invalid_number"
    assert not report.outcome.technical


async def test_the_panel_is_not_asked_while_its_numbers_wait(
    fake: FakePanel, feeding: Feeding, storage: Storage
) -> None:
    """Numbers are locked for us, so no second batch is fetched before the first is used up."""
    fake.will_answer(allowed("b7", (1, "09120000001")))
    async with running(feeding.feed.run()):
        feeding.bells.hungry.ring()
        await eventually(feeding.has_contacts)
        for _ in range(5):
            feeding.bells.hungry.ring()
            async with storage.transaction():
                pass  # lets the feed look
    assert len(fake.queries) == 1


async def test_a_no_of_the_panel_holds_everything_until_its_yes(
    fake: FakePanel, feeding: Feeding, storage: Storage, clock: HandClock
) -> None:
    """Blocked, contacts of files wait too; the panel is asked again and lifts its own hold."""
    await add(storage, [file_contact(5)], clock)
    claimer = Claimer(storage, rules(), clock)
    fake.will_answer(blocked("insufficient_funds", None))
    fake.will_answer(allowed("b7", (1, "09120000001")))

    async def is_held() -> bool:
        return bool(await rows_of(storage, pauses))

    async with running(feeding.feed.run()):
        feeding.bells.hungry.ring()
        await eventually(is_held)
        held = await refused(claimer)
        assert held.why is Refusal.PANEL
        assert "insufficient_funds" in held.detail
        feeding.bells.hungry.ring()
        await eventually(lambda: len(fake.queries) == 2)
        await eventually(feeding.has_contacts)

        async def is_free() -> bool:
            return not await is_held()

        await eventually(is_free)
    await claimed(claimer)


async def test_an_error_of_the_panel_is_asked_again_later(
    fake: FakePanel, feeding: Feeding
) -> None:
    """A 500 brings no numbers and no hold; after the default wait the panel is asked again."""
    fake.will_answer({"detail": "oops"}, 500)
    fake.will_answer(allowed("b7", (1, "09120000001")))
    async with running(feeding.feed.run()):
        feeding.bells.hungry.ring()
        await eventually(lambda: "HTTP 500" in feeding.feed.waiting_for)
        feeding.bells.hungry.ring()
        await eventually(feeding.has_contacts)
    assert feeding.feed.waiting_for == ""


async def test_the_same_hand_out_again_is_one(
    fake: FakePanel, feeding: Feeding, storage: Storage
) -> None:
    """A batch that comes twice (its first answer was lost) is stored and reported once."""
    fake.will_answer(allowed("b7", (2, "0912")))
    fake.will_answer(allowed("b7", (2, "0912"), (1, "09120000001")))
    async with running(feeding.feed.run()):
        feeding.bells.hungry.ring()
        await eventually(lambda: len(fake.queries) == 1)
        feeding.bells.hungry.ring()
        await eventually(feeding.has_contacts)
    assert len(await rows_of(storage, contacts)) == len(await rows_of(storage, reports)) == 1
