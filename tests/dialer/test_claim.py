from __future__ import annotations

from datetime import timedelta

from dialer.attempts import Ending
from dialer.claim import Claimer, Refusal
from dialer.contacts import NewContact
from dialer.do_not_call import add_numbers, remove_numbers
from dialer.limits import (
    LEFT_BY_MS,
    Limit,
    Line,
    LineLimits,
)
from dialer.moments import now_ms, unix_ms
from dialer.pauses import Pause, PauseKind, hold, lift
from dialer.retries import RetryPolicy
from dialer.tables import ContactState, Source, attempts, contacts, other_calls, reports
from dialer_support.campaign import (
    PLENTY,
    TEHRAN,
    add,
    claimed,
    end,
    file_contact,
    number,
    panel_contact,
    place,
    refused,
    rows_of,
    rules,
    static_contact,
)
from salehi.calls.v1.calls_pb2 import Disposition, Result
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.storage import Storage
from support.timing import HandClock

BUSY = Ending(Result.RESULT_MISSED, "busy", Disposition.DISPOSITION_BUSY)


async def test_a_claim_writes_the_attempt_before_anybody_is_asked(
    storage: Storage, clock: HandClock
) -> None:
    """After a claim the attempt, its line and local day are on record, and the contact is taken."""
    await add(storage, [static_contact(1)], clock)
    claim = await claimed(Claimer(storage, rules(), clock))
    [attempt] = await rows_of(storage, attempts)
    assert attempt["id"] == claim.attempt_id
    assert (attempt["line"], attempt["number"]) == ("1001", number(1))
    assert (attempt["state"], attempt["local_date"]) == ("claimed", "2026-05-04")
    [contact] = await rows_of(storage, contacts)
    assert (contact["state"], contact["attempts_made"]) == (ContactState.CLAIMED, 1)


async def test_contacts_are_taken_in_order_and_once(storage: Storage, clock: HandClock) -> None:
    """First come, first called; nobody twice; then there is nobody left."""
    await add(storage, [static_contact(index) for index in (3, 1, 2)], clock)
    claimer = Claimer(storage, rules(), clock)
    called: list[str] = []
    for _ in range(3):
        claim = await claimed(claimer)
        await place(storage, claim, clock)
        called.append(claim.contact.number)
        clock.advance(1)
    assert called == [number(3), number(1), number(2)]
    assert (await refused(claimer)).why is Refusal.NO_CONTACTS


async def test_a_retry_that_is_due_goes_before_those_never_called(
    storage: Storage, clock: HandClock
) -> None:
    """Who was busy is called again before people who have waited longer for their first call."""
    await add(storage, [file_contact(index) for index in (1, 2, 3)], clock)
    claimer = Claimer(storage, rules(), clock)
    policy = RetryPolicy.parse(("busy:1/10",))
    await end(storage, await claimed(claimer), clock, BUSY, policy)
    called = [(await claimed(claimer)).contact.number]
    clock.advance(11)
    called += [(await claimed(claimer)).contact.number for _ in range(2)]
    assert called == [number(2), number(1), number(3)]


async def test_a_pause_holds_until_its_own_kind_is_lifted(
    storage: Storage, clock: HandClock
) -> None:
    """Two pauses hold dialing back; lifting one of them is not enough."""
    await add(storage, [static_contact(1)], clock)
    claimer = Claimer(storage, rules(), clock)
    async with storage.transaction() as connection:
        for kind in (PauseKind.MANUAL, PauseKind.BREAKER):
            await hold(connection, Pause(kind, "test", "me", now_ms(clock)))
    assert (await refused(claimer)).why is Refusal.PAUSED
    async with storage.transaction() as connection:
        await lift(connection, [PauseKind.MANUAL])
    assert (await refused(claimer)).why is Refusal.BREAKER
    async with storage.transaction() as connection:
        await lift(connection, [PauseKind.BREAKER])
    await claimed(claimer)


async def test_concurrency_counts_inbound_calls_and_frees_at_the_end(
    storage: Storage, clock: HandClock
) -> None:
    """An inbound call takes one of two slots; the second is free again once its call ended."""
    await add(storage, [static_contact(index) for index in range(3)], clock)
    claimer = Claimer(storage, rules(Line("1001", LineLimits(2, 100, 100))), clock)
    async with storage.transaction() as connection:
        await connection.execute(
            other_calls.insert().values(
                id="inbound", line="1001", number="", started_at_ms=now_ms(clock)
            )
        )
    claim = await claimed(claimer)
    await place(storage, claim, clock)
    clock.advance(1)
    full = await refused(claimer)
    assert full.limits == {Limit.CONCURRENT}
    await end(storage, claim, clock, BUSY)
    await claimed(claimer)


async def test_sixty_seconds_slide(storage: Storage, clock: HandClock) -> None:
    """With two a minute, the third call leaves when the first is a minute old, not before."""
    await add(storage, [static_contact(index) for index in range(3)], clock)
    claimer = Claimer(storage, rules(Line("1001", LineLimits(9, 2, 100))), clock)
    first = clock.now()
    for wait_s in (50, 5):
        await place(storage, await claimed(claimer), clock)
        clock.advance(wait_s)
    full = await refused(claimer)
    leaves = first + timedelta(seconds=60, milliseconds=LEFT_BY_MS)
    assert (full.limits, full.until_ms) == (frozenset({Limit.MINUTE}), unix_ms(leaves))
    clock.jump(leaves - timedelta(milliseconds=1))
    await refused(claimer)
    clock.jump(leaves)
    await claimed(claimer)


async def test_the_day_is_the_local_day_of_the_claim(storage: Storage, clock: HandClock) -> None:
    """The daily limit frees at Tehran's midnight, and the refusal says so."""
    await add(storage, [static_contact(index) for index in range(3)], clock)
    claimer = Claimer(storage, rules(Line("1001", LineLimits(9, 9, 1))), clock)
    midnight = clock.now().astimezone(TEHRAN).replace(hour=0, minute=0) + timedelta(days=1)
    clock.jump(midnight - timedelta(seconds=2))
    claim = await claimed(claimer)
    await place(storage, claim, clock)
    clock.advance(1.5)
    full = await refused(claimer)
    assert (full.limits, full.until_ms) == (frozenset({Limit.DAY}), unix_ms(midnight))
    clock.jump(midnight)
    await claimed(claimer)


async def test_originates_on_one_line_keep_their_distance(
    storage: Storage, clock: HandClock
) -> None:
    """A line rests for a second after the moment by which its last call has left, if it did."""
    await add(storage, [static_contact(index) for index in range(3)], clock)
    claimer = Claimer(storage, rules(Line("1001", PLENTY), spacing_ms=1000), clock)
    unanswered = await claimed(claimer)
    close = await refused(claimer)
    rested_ms = unanswered.claimed_at_ms + LEFT_BY_MS + 1000
    assert (close.limits, close.until_ms) == (frozenset({Limit.SPACING}), rested_ms)
    clock.advance(2)
    await place(storage, await claimed(claimer), clock)
    clock.advance(1.09)
    assert (await refused(claimer)).limits == {Limit.SPACING}
    clock.advance(0.01)
    await claimed(claimer)


async def test_the_total_cap_holds_over_all_lines(storage: Storage, clock: HandClock) -> None:
    """With a cap of one call, a second line stays unused while the first has a call."""
    await add(storage, [static_contact(index) for index in range(2)], clock)
    lines = (Line("1001", PLENTY), Line("1002", PLENTY))
    claimer = Claimer(storage, rules(*lines, max_total=1), clock)
    claim = await claimed(claimer)
    assert (await refused(claimer)).limits == {Limit.TOTAL}
    await end(storage, claim, clock, BUSY)
    assert (await claimed(claimer)).line == "1002"


async def test_do_not_call_is_checked_in_the_claim(storage: Storage, clock: HandClock) -> None:
    """Whoever got onto the list while waiting is never dialled, and comes back for nothing."""
    await add(storage, [static_contact(1), static_contact(2)], clock)
    async with storage.transaction() as connection:
        assert await add_numbers(connection, [number(1)], "asked", now_ms(clock)) == 1
    claimer = Claimer(storage, rules(), clock)
    assert (await claimed(claimer)).contact.number == number(2)
    async with storage.transaction() as connection:
        await remove_numbers(connection, [number(1)])
    dropped = {row["number"]: row["state"] for row in await rows_of(storage, contacts)}
    assert dropped[number(1)] == ContactState.DROPPED


async def test_the_panel_learns_of_its_numbers_on_the_list(
    storage: Storage, clock: HandClock
) -> None:
    """A panel's number on the do-not-call list is reported as not interested, once."""
    await add(storage, [panel_contact(7)], clock)
    async with storage.transaction() as connection:
        await add_numbers(connection, [number(7)], "asked", now_ms(clock))
    claimer = Claimer(storage, rules(), clock)
    await refused(claimer)
    await refused(claimer)
    [kept] = await rows_of(storage, reports)
    report = ReportResultRequest.FromString(kept["body"])
    assert report.contact.panel_number_id == 7
    assert report.outcome.result == Result.RESULT_NOT_INTERESTED
    assert report.outcome.reason == "do_not_call"


async def test_a_panels_number_is_not_dialled_after_its_lock(
    storage: Storage, clock: HandClock
) -> None:
    """After the panel's hour the number is dropped, unreported: the panel hands it out again."""
    expires_ms = now_ms(clock) + 3_600_000
    await add(storage, [panel_contact(7, expires_at_ms=expires_ms)], clock)
    clock.advance(3600)
    assert (await refused(Claimer(storage, rules(), clock))).why is Refusal.NO_CONTACTS
    [contact] = await rows_of(storage, contacts)
    assert contact["state"] == ContactState.DROPPED
    assert await rows_of(storage, reports) == []


async def test_one_person_has_one_live_call(storage: Storage, clock: HandClock) -> None:
    """A person in an attempt, or on the phone with us by themselves, is left alone meanwhile."""
    twice = [static_contact(1), NewContact(Source.FILE, "file:again", number(1), "test")]
    await add(storage, twice, clock)
    claimer = Claimer(storage, rules(), clock)
    claim = await claimed(claimer)
    await place(storage, claim, clock)
    assert (await refused(claimer)).why is Refusal.NO_CONTACTS
    await end(storage, claim, clock, BUSY)
    async with storage.transaction() as connection:
        await connection.execute(
            other_calls.insert().values(
                id="inbound", line="1001", number=number(1), started_at_ms=now_ms(clock)
            )
        )
    clock.advance(31)
    assert (await refused(claimer)).why is Refusal.NO_CONTACTS
    async with storage.transaction() as connection:
        await connection.execute(other_calls.delete())
    clock.advance(31)
    assert (await claimed(claimer)).contact.source is Source.FILE


async def test_the_gap_keeps_calls_to_one_person_apart_but_not_retries(
    storage: Storage, clock: HandClock
) -> None:
    """Another contact of the same person waits for the gap; a retry follows its own policy."""
    await add(storage, [file_contact(1)], clock)
    claimer = Claimer(storage, rules(min_gap_ms=3_600_000), clock)
    began = clock.now()
    first = await claimed(claimer)
    await place(storage, first, clock)
    await end(storage, first, clock, BUSY, RetryPolicy.parse(("busy:1/60",)))
    await add(storage, [panel_contact(1)], clock)
    clock.advance(60)
    retry = await claimed(claimer)
    assert (retry.contact.id, retry.contact.attempts_made) == (first.contact.id, 2)
    await place(storage, retry, clock)
    await end(storage, retry, clock, BUSY)
    assert (await refused(claimer)).why is Refusal.NO_CONTACTS
    clock.jump(began + timedelta(seconds=3659))
    await refused(claimer)
    clock.jump(began + timedelta(seconds=3661))
    assert (await claimed(claimer)).contact.source is Source.PANEL


async def test_contacts_that_must_wait_do_not_hide_those_behind_them(
    storage: Storage, clock: HandClock
) -> None:
    """However many contacts at the head may not be called, the first who may is found."""
    await add(storage, [static_contact(index) for index in range(60)], clock)
    async with storage.transaction() as connection:
        await add_numbers(connection, [number(index) for index in range(59)], "", now_ms(clock))
    assert (await claimed(Claimer(storage, rules(), clock))).contact.number == number(59)


async def test_a_refusal_says_when_the_next_retry_is_due(
    storage: Storage, clock: HandClock
) -> None:
    """With only a retry waiting, the refusal names its moment, so that nobody has to poll."""
    await add(storage, [file_contact(1)], clock)
    claimer = Claimer(storage, rules(), clock)
    claim = await claimed(claimer)
    await end(storage, claim, clock, BUSY, RetryPolicy.parse(("busy:1/60",)))
    assert (await refused(claimer)).until_ms == now_ms(clock) + 60_000
