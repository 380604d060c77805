from __future__ import annotations

import pytest

from dialer.claim import Claimer, Refusal
from dialer.identities import panel_attempt_id
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.panel import Panel
from dialer.panel_feed import LOCK_MS, Asking, PanelFeed
from dialer.pauses import Pause, PauseKind, hold, in_force, lift
from dialer.reports import acknowledged
from dialer.tables import batches, contacts, pauses, reports
from dialer.waking import Bells
from dialer_support.campaign import add, claimed, file_contact, number, refused, rows_of, rules
from dialer_support.panel import FakePanel, allowed, blocked
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.storage import Storage
from support.timing import HandClock, eventually, running


class Feeding:
    """A panel feed at work, and what tests ask about it."""

    def __init__(self, panel: Panel, storage: Storage, clock: HandClock) -> None:
        self.panel = panel
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

    async def has_report() -> bool:
        return bool(await rows_of(storage, reports))

    async with running(feeding.feed.run()):
        feeding.bells.hungry.ring()
        await eventually(has_report)
        async with storage.transaction() as connection:  # the reporter has it by now
            await acknowledged(connection, panel_attempt_id("b7", 2))
        feeding.bells.hungry.ring()
        await eventually(feeding.has_contacts)
    assert len(await rows_of(storage, contacts)) == 1
    assert await rows_of(storage, reports) == []


class Switch:
    """A breaker and a panel that has a switch, and a feed that asks at once when rung."""

    def __init__(self, feeding: Feeding, fake: FakePanel, clock: HandClock) -> None:
        self._feeding = feeding
        self._fake = fake
        self._clock = clock
        self._batches = 0

    async def hold(self, kind: PauseKind) -> None:
        """Hold dialing back from now on."""
        self._clock.advance(1)
        async with self._feeding.storage.transaction() as connection:
            await hold(connection, Pause(kind, "technical failures", "x", now_ms(self._clock)))

    async def lift(self, kind: PauseKind) -> None:
        """Let go by hand."""
        async with self._feeding.storage.transaction() as connection:
            await lift(connection, [kind])

    async def held(self) -> set[PauseKind]:
        """Who holds dialing back."""
        async with self._feeding.storage.transaction() as connection:
            return {pause.kind for pause in await in_force(connection)}

    async def ask(self, answer: str) -> set[PauseKind]:
        """Let a feed, as after a restart, hear an answer; give who holds dialing back then."""
        self._clock.advance(60)
        self._batches += 1
        yes = allowed(f"b{self._batches}", (self._batches, f"0912{self._batches:07}"))
        self._fake.will_answer(yes if answer == "yes" else blocked(answer, None))
        feeding = Feeding(self._feeding.panel, self._feeding.storage, self._clock)

        async def is_heard() -> bool:
            if answer == "yes":
                taken = await rows_of(self._feeding.storage, batches)
                return f"panel:b{self._batches}" in {row["id"] for row in taken}
            held = await rows_of(self._feeding.storage, pauses)
            return answer in {row["reason"] for row in held if row["kind"] == PauseKind.PANEL}

        async with running(feeding.feed.run()):
            feeding.bells.hungry.ring()
            await eventually(is_heard)
        return await self.held()


@pytest.fixture
def switch(feeding: Feeding, fake: FakePanel, clock: HandClock) -> Switch:
    """Give a breaker and a panel with a switch."""
    return Switch(feeding, fake, clock)


async def test_a_person_at_the_panel_lifts_the_breaker(
    switch: Switch, fake: FakePanel, storage: Storage, clock: HandClock
) -> None:
    """Switched off by an open breaker and on again by a person, the panel lifts both pauses."""
    await switch.hold(PauseKind.BREAKER)
    assert await switch.ask("disabled") == {PauseKind.BREAKER, PauseKind.PANEL}
    assert await switch.ask("outside_allowed_time_window") == {PauseKind.BREAKER, PauseKind.PANEL}
    assert await switch.ask("yes") == set()
    assert [query["size"] for query in fake.queries] == [["1"]] * 3
    await claimed(Claimer(storage, rules(), clock))


async def test_a_yes_alone_lifts_no_breaker(switch: Switch) -> None:
    """A panel that was not yet switched off, or off for another reason, only lifts its own hold."""
    await switch.hold(PauseKind.BREAKER)
    assert await switch.ask("yes") == {PauseKind.BREAKER}
    assert await switch.ask("insufficient_funds") == {PauseKind.BREAKER, PauseKind.PANEL}
    assert await switch.ask("yes") == {PauseKind.BREAKER}


async def test_what_was_said_before_the_breaker_opened_does_not_count(switch: Switch) -> None:
    """Switched off and on for an earlier breaker, the panel says nothing about the next one."""
    await switch.hold(PauseKind.BREAKER)
    await switch.ask("disabled")
    await switch.lift(PauseKind.BREAKER)
    await switch.hold(PauseKind.BREAKER)
    assert await switch.ask("yes") == {PauseKind.BREAKER}
    await switch.ask("disabled")
    assert await switch.ask("yes") == set()


async def test_the_panel_is_not_asked_while_a_person_holds(
    switch: Switch, feeding: Feeding, fake: FakePanel, storage: Storage
) -> None:
    """A person's pause is not the panel's to know of: no number is taken from it meanwhile."""
    await switch.hold(PauseKind.BREAKER)
    await switch.hold(PauseKind.MANUAL)
    async with running(feeding.feed.run()):
        for _ in range(5):
            feeding.bells.hungry.ring()
            async with storage.transaction():
                pass  # lets the feed look
    assert fake.queries == []


async def test_an_open_breaker_is_asked_for_at_an_even_pace(
    switch: Switch, feeding: Feeding, fake: FakePanel
) -> None:
    """Each answer, a yes or a no that wants to be left alone for long, is followed by the next."""
    await switch.hold(PauseKind.BREAKER)
    fake.will_answer(allowed("b1", (1, "09120000001")))
    fake.will_answer(blocked("disabled", 3600))
    fake.will_answer(allowed("b2", (2, "09120000002")))
    async with running(feeding.feed.run()):

        async def is_free() -> bool:
            feeding.bells.hungry.ring()
            return not await switch.held()

        await eventually(is_free)
    assert [query["size"] for query in fake.queries] == [["1"]] * 3
