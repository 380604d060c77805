"""A killed gateway is a pause in a conversation, not the end of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from ari_gateway.ari import events as ev
from ari_gateway.sessions.adoption import clear_strays, take_over
from ari_gateway.sessions.journal import Journal, ScenarioChanged, Step
from ari_gateway.sessions.ledger import Entry
from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.saved import NotReadable, SavedCall
from gateway_support.asterisk import Asterisk, FarEnd
from gateway_support.house import House, MemoryLedger, house, plan_of
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2

RESULT = calls_pb2.Result


@asynccontextmanager
async def successor(old: House, *replies: Intent, away_s: float = 3.0) -> AsyncIterator[House]:
    """Kill a gateway, wait, and open the house of another one on the same ledger and Asterisk."""
    await old.dies()
    await asyncio.sleep(away_s)
    customer = next(iter(old.asterisk.far_ends.values()))
    async with house(customer, *replies, ledger=old.ledger, asterisk=old.asterisk) as new:
        async with new.rest() as ari:
            await take_over(new.manager, ari, new.ledger)
            await clear_strays(new.manager, ari)
        yield new


def result_of(call: calls_pb2.Call) -> str:
    """Give a call's result in short."""
    name = RESULT.Name(call.outcome.result).removeprefix("RESULT_").lower()
    return f"{name}:{call.outcome.reason}" if call.outcome.reason else name


# Moments of one call, seconds after it was placed: rings 1 s, hello 3 s, says yes after 1 s and is
# understood, yes 3 s, onhold while the operator rings 6 s, then they talk.
@pytest.mark.parametrize(
    ("killed_after_s", "verb"),
    [
        (0.5, "dial"),
        (2.5, "hello"),
        (4.4, "listening"),
        (6.5, "speaking"),
        (7.0, "understanding"),
        (8.5, "yes"),
        (12.0, "ringing the operator"),
        (20.0, "talking"),
    ],
)
async def test_a_call_goes_on_wherever_its_gateway_dies(killed_after_s: float, verb: str) -> None:
    """A call whose gateway dies in any verb ends as it would have, dialled once, nothing left."""
    ledger = MemoryLedger()
    operator = FarEnd(rings_s=6, leaves_s=30)
    customer = FarEnd(rings_s=5 if verb == "dial" else 1, says=[1.0, 1.0])
    async with house(customer, Intent.YES, operator=operator, ledger=ledger) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(killed_after_s)
        async with successor(old, Intent.YES) as new:
            new.asterisk.far_ends["PJSIP/200@operators"] = operator
            call = await new.ended(attempt_id)
            assert result_of(call) == "connected_to_operator"
            assert call.outcome.operator_extension == "200"
            originated = [request["channelId"] for request in new.asterisk.originated]
            assert originated.count(attempt_id) == 1
            assert new.asterisk.most_together["PJSIP/200@operators"] == 1
            assert [turn.intent for turn in call.outcome.turns] == [intent_pb2.INTENT_YES]
            await asyncio.sleep(60)
            assert new.asterisk.is_empty


async def test_two_who_talk_are_not_disturbed() -> None:
    """Customer and operator who talk when the gateway dies hear nothing of it."""
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=FarEnd(leaves_s=60)) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(20)
        before = len(old.asterisk.requests)
        async with successor(old) as new:
            await asyncio.sleep(0.1)
            assert new.rota.take("somebody else") is None
            call = await new.ended(attempt_id)
            touched = [path for method, path in new.asterisk.requests[before:] if method == "POST"]
            assert not [path for path in touched if "addChannel" in path or "/play" in path]
            assert result_of(call) == "connected_to_operator"


async def test_what_was_said_meanwhile_is_heard() -> None:
    """A reply given while no gateway was there is understood; nobody has to say it again."""
    async with house(FarEnd(says=[2.0])) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(4.5)  # listening, nothing said yet
        async with successor(old, Intent.NO, away_s=5) as new:
            assert result_of(await new.ended(attempt_id)) == "not_interested"
            assert new.ears.asked == 1
            assert new.asterisk.played == ["hello", "goodby"]


async def test_silence_meanwhile_is_listened_to_again() -> None:
    """Where nothing usable was said meanwhile, the caller is listened to once more."""
    async with house(FarEnd(says=[None, 1.0])) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(4.5)
        async with successor(old, Intent.UNKNOWN, Intent.NO) as new:
            call = await new.ended(attempt_id)
            assert result_of(call) == "not_interested"
            assert len(call.outcome.turns) == 1


async def test_a_prompt_that_plays_on_is_not_begun_again() -> None:
    """A prompt still playing when the successor comes is waited for, not played twice."""
    async with house(FarEnd(says=[None])) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(1.5)
        async with successor(old, away_s=1) as new:
            await new.ended(attempt_id)
            assert new.asterisk.played == ["hello", "goodby"]


@pytest.mark.parametrize(
    ("replies", "killed_after_s", "result"),
    [
        ((), 2.5, "failed:gateway_restart"),
        ((Intent.YES,), 9.0, "failed:gateway_restart"),
        ((Intent.NO,), 8.5, "not_interested"),
        ((Intent.DO_NOT_CALL,), 8.5, "not_interested"),
        ((Intent.YES,), 20.0, "connected_to_operator"),
    ],
)
async def test_who_left_meanwhile_has_the_result_that_was_reached(
    replies: tuple[Intent, ...], killed_after_s: float, result: str
) -> None:
    """A caller gone when the successor comes: what was decided stands, the rest was our fault."""
    operator = FarEnd(rings_s=2, leaves_s=60)
    async with house(FarEnd(says=[1.0]), *replies, operator=operator) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(killed_after_s)
        await old.dies()
        old.asterisk.vanish(attempt_id)
        async with house(FarEnd(), ledger=old.ledger, asterisk=old.asterisk) as new:
            async with new.rest() as ari:
                await take_over(new.manager, ari, new.ledger)
                await clear_strays(new.manager, ari)
            call = await new.ended(attempt_id)
            assert result_of(call) == result
            assert call.HasField("ended_at")
            assert new.asterisk.is_empty


async def test_an_operator_who_answered_nobody_is_rung_again() -> None:
    """Whoever picks up while no gateway is there is hung up on, and rung again by the next."""
    operator = FarEnd(rings_s=3, leaves_s=20)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(11.0)
        async with successor(old, away_s=6) as new:
            new.asterisk.far_ends["PJSIP/200@operators"] = operator
            assert result_of(await new.ended(attempt_id)) == "connected_to_operator"


async def test_an_operator_hung_up_on_as_the_successor_comes_is_rung_again() -> None:
    """An answer in the last moment without a gateway ends a leg the successor still saw ring."""
    operator = FarEnd(rings_s=5, leaves_s=20)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(10.0)
        async with successor(old, away_s=0.2) as new:
            new.asterisk.far_ends["PJSIP/200@operators"] = operator
            (leg,) = (name for name in new.asterisk.channels if "-operator-" in name)
            await asyncio.sleep(0.1)
            new.asterisk.vanish(leg)
            new.asterisk.tell(ev.ChannelDestroyed(leg, cause=16, sip_status=0, state="Up"))
            assert result_of(await new.ended(attempt_id)) == "connected_to_operator"


async def test_an_operators_leg_that_was_not_on_record_yet_is_no_obstacle() -> None:
    """A gateway killed before it wrote that an operator rings: he is rung anew, one leg at most."""
    operator = FarEnd(rings_s=3, leaves_s=20)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(11.0)
        entry = old.ledger.entries[attempt_id]
        saved = SavedCall.from_bytes(entry.saved)
        assert saved.record.operator_rings == 1
        saved.record.operator_rings, saved.record.operator_extension = 0, ""
        saved.record.operators_tried.clear()
        old.ledger.entries[attempt_id] = replace(entry, saved=saved.to_bytes())
        async with successor(old, away_s=0.5) as new:
            new.asterisk.far_ends["PJSIP/200@operators"] = operator
            assert result_of(await new.ended(attempt_id)) == "connected_to_operator"
            assert new.asterisk.most_together["PJSIP/200@operators"] == 1
            assert new.asterisk.is_empty


async def test_an_inbound_call_goes_on(ledger: MemoryLedger) -> None:
    """A caller who called us is led on like one we called."""
    async with house(FarEnd(), ledger=ledger) as old:
        caller = FarEnd(says=[1.0])
        old.asterisk.arrive("17.4", "09123334455", "02191001001", caller)
        await asyncio.sleep(1.5)
        async with successor(old, Intent.NO) as new:
            (attempt_id,) = ledger.calls
            call = await new.ended(attempt_id)
            assert result_of(call) == "not_interested"
            assert call.direction == calls_pb2.DIRECTION_INBOUND


async def test_only_what_is_ours_is_cleared_away() -> None:
    """Channels, bridges and recordings of our application without a call go; others' stay."""
    live_attempt = str(uuid.uuid4())
    async with house(FarEnd()) as here:
        await here.placed(live_attempt)
        await asyncio.sleep(2)
        asterisk = here.asterisk
        stray = str(uuid.uuid4())
        for name in (stray, f"{stray}-operator-0", "1764.9"):
            asterisk.channels[name] = FarEnd()
        asterisk.foreign.add("1764.9")
        asterisk.bridges |= {f"{stray}-bridge": set(), "conference": set()}
        asterisk.foreign.add("conference")
        asterisk.stored |= {f"{stray}-r1", "voicemail/100/msg0001", f"{live_attempt}-r1"}
        async with here.rest() as ari:
            await clear_strays(here.manager, ari)
        assert set(asterisk.channels) == {live_attempt, "1764.9"}
        assert set(asterisk.bridges) == {"conference"}
        assert asterisk.stored == {"voicemail/100/msg0001", f"{live_attempt}-r1"}
        asterisk.channels.pop("1764.9")
        asterisk.stored.clear()


async def test_a_call_of_another_version_is_ended_not_guessed() -> None:
    """What this version cannot read is ended as gateway_restart, channel and empty bridge go."""
    ledger, attempt_id = MemoryLedger(), str(uuid.uuid4())
    asterisk = Asterisk({})
    asterisk.bridges[f"{attempt_id}-bridge"] = set()
    asterisk.foreign.add(f"{attempt_id}-bridge")  # nobody was in it: it belongs to no application
    asterisk.channels[attempt_id] = FarEnd()
    await ledger.begin(Entry(calls_pb2.Call(attempt_id=attempt_id), attempt_id, b'{"plan": 7}'))
    async with house(FarEnd(), ledger=ledger, asterisk=asterisk) as here, here.rest() as ari:
        await take_over(here.manager, ari, ledger)  # type: ignore[arg-type]
        await clear_strays(here.manager, ari)
        assert result_of(ledger.calls[attempt_id]) == "failed:gateway_restart"
        assert asterisk.is_empty


async def test_a_changed_scenario_ends_the_call_politely_named() -> None:
    """A journal that tells of other verbs than the scenario has ends the call as such."""
    async with house(FarEnd(says=[1.0]), Intent.NO) as old:
        attempt_id = await old.placed()
        await asyncio.sleep(4.4)
        await old.dies()
        entry = old.ledger.entries[attempt_id]
        saved = SavedCall.from_bytes(entry.saved)
        changed = SavedCall(saved.plan, saved.record, (Step("play", "welcome"),))
        old.ledger.entries[attempt_id] = Entry(entry.call, entry.channel_id, changed.to_bytes())
        async with successor(old) as new:
            assert result_of(await new.ended(attempt_id)) == "failed:scenario_changed"
            assert new.asterisk.is_empty


def test_a_journal_answers_what_was_done_and_no_more() -> None:
    """Finished verbs answer in order; the next one is to be done, and is then known."""
    told: list[int] = []
    journal = Journal(
        [Step("play", "hello"), Step("ask", "number", "yes")], kept=lambda: told.append(1)
    )
    assert (journal.result_of("play", "hello"), journal.result_of("ask", "number")) == ("", "yes")
    assert journal.result_of("play", "yes") is None
    journal.done("play", "yes")
    assert (journal.position, len(told)) == (3, 1)
    again = Journal(journal.steps, kept=lambda: None)
    with pytest.raises(ScenarioChanged):
        again.result_of("ask", "hello")


def test_a_saved_call_is_read_as_it_was() -> None:
    """Plan, record and steps survive being written; anything else is not readable."""
    saved = SavedCall(plan_of("a"), steps=(Step("play", "hello"),))
    assert SavedCall.from_bytes(saved.to_bytes()) == saved
    for broken in (b"", b"{}", b'{"plan": {}}', b"\xff"):
        with pytest.raises(NotReadable):
            SavedCall.from_bytes(broken)


@pytest.fixture
def ledger() -> MemoryLedger:
    """Give an empty ledger."""
    return MemoryLedger()
