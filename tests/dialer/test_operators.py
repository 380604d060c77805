from __future__ import annotations

import asyncio

from prometheus_client import REGISTRY

from dialer.attempts import Claim, Ending, note_progress
from dialer.claim import Claimer, Refusal
from dialer.limits import Limit, Line
from dialer.moments import now_ms
from dialer.operators import read_operator_load
from dialer.pauses import Pause, PauseKind, grant_trials, hold
from dialer.status import StatusReader
from dialer.tables import Stage, other_calls
from dialer_support.campaign import PLENTY, add, claimed, end, place, refused, rules, static_contact
from salehi.calls.v1.calls_pb2 import Disposition, Result
from servicekit.storage import Storage
from support.timing import HandClock, eventually, running

NO = Ending(
    Result.RESULT_NOT_INTERESTED, "", Disposition.DISPOSITION_ANSWERED, stage=Stage.ANSWERED
)
YES = Ending(
    Result.RESULT_CONNECTED_TO_OPERATOR,
    "",
    Disposition.DISPOSITION_ANSWERED,
    stage=Stage.WITH_OPERATOR,
)
MISSED = Ending(Result.RESULT_MISSED, "", Disposition.DISPOSITION_NO_ANSWER)


async def placed(storage: Storage, claimer: Claimer, clock: HandClock) -> Claim:
    """Claim a call and let the gateway have it."""
    claim = await claimed(claimer)
    await place(storage, claim, clock)
    return claim


async def test_before_anything_is_learned_every_call_needs_an_operator(
    storage: Storage, clock: HandClock
) -> None:
    """With two operators and no experience, two calls are dialled and the third waits."""
    await add(storage, [static_contact(index) for index in range(5)], clock)
    claimer = Claimer(storage, rules(operator_slots=2), clock)
    first = await placed(storage, claimer, clock)
    await placed(storage, claimer, clock)
    full = await refused(claimer)
    assert full.why is Refusal.NO_ROOM
    assert full.limits == {Limit.OPERATORS}
    await end(storage, first, clock, NO)
    await claimed(claimer)


async def test_the_share_of_yes_is_learned_and_lets_more_calls_out(
    storage: Storage, clock: HandClock
) -> None:
    """After 18 calls without a yes an operator carries ten calls that may become one."""
    await add(storage, [static_contact(index) for index in range(40)], clock)
    claimer = Claimer(storage, rules(operator_slots=1), clock)
    for _ in range(18):
        await end(storage, await placed(storage, claimer, clock), clock, MISSED)
    for _ in range(10):
        await placed(storage, claimer, clock)
    assert (await refused(claimer)).limits == {Limit.OPERATORS}


async def test_an_answered_call_weighs_more_than_one_that_rings(
    storage: Storage, clock: HandClock
) -> None:
    """Of those who answer more come to an operator than of those who are dialled."""
    await add(storage, [static_contact(index) for index in range(40)], clock)
    claimer = Claimer(storage, rules(operator_slots=2), clock)
    for ending in (MISSED,) * 14 + (NO,) * 2 + (YES,) * 2:
        await end(storage, await placed(storage, claimer, clock), clock, ending)
    claim = await placed(storage, claimer, clock)

    async def expected() -> float:
        async with storage.transaction() as connection:
            return (await read_operator_load(connection, 2)).expected

    assert round(await expected(), 3) == 0.2  # (2 + 2) of (18 + 2)
    async with storage.transaction() as connection:
        assert await note_progress(connection, claim.attempt_id, Stage.ANSWERED, None)
    assert round(await expected(), 3) == 0.667  # (2 + 2) of (4 + 2)
    async with storage.transaction() as connection:
        assert await note_progress(connection, claim.attempt_id, Stage.WITH_OPERATOR, None)
    assert await expected() == 1


async def test_inbound_calls_take_operators_too(storage: Storage, clock: HandClock) -> None:
    """A caller who talks with the only operator holds outbound calls back."""
    await add(storage, [static_contact(1)], clock)
    claimer = Claimer(storage, rules(operator_slots=1), clock)
    async with storage.transaction() as connection:
        await connection.execute(
            other_calls.insert().values(
                id="inbound",
                line="1001",
                number="",
                started_at_ms=now_ms(clock),
                stage=Stage.WITH_OPERATOR,
            )
        )
    assert (await refused(claimer)).limits == {Limit.OPERATORS}


async def test_claims_at_once_do_not_overlook_each_other(
    storage: Storage, clock: HandClock
) -> None:
    """Eight claims at one moment on eight lines get what two operators can take, not more."""
    await add(storage, [static_contact(index) for index in range(20)], clock)
    lines = [Line(str(1001 + index), PLENTY) for index in range(8)]
    claimers = [Claimer(storage, rules(*lines, operator_slots=2), clock) for _ in range(8)]
    claims = await asyncio.gather(*(claimer.claim() for claimer in claimers))
    assert sum(isinstance(claim, Claim) for claim in claims) == 2


async def test_a_trial_under_the_breakers_pause_is_one_call(
    storage: Storage, clock: HandClock
) -> None:
    """Of eight claims at once one is the trial that was granted; a person's pause forbids it."""
    await add(storage, [static_contact(index) for index in range(20)], clock)
    lines = [Line(str(1001 + index), PLENTY) for index in range(8)]
    claimers = [Claimer(storage, rules(*lines), clock) for _ in range(8)]
    async with storage.transaction() as connection:
        await hold(connection, Pause(PauseKind.BREAKER, "trunk", "breaker", now_ms(clock)))
        assert not await grant_trials(connection, PauseKind.MANUAL, 1)
        assert await grant_trials(connection, PauseKind.BREAKER, 1)
    claims = await asyncio.gather(*(claimer.claim() for claimer in claimers))
    assert sum(isinstance(claim, Claim) for claim in claims) == 1
    async with storage.transaction() as connection:
        await grant_trials(connection, PauseKind.BREAKER, 1)
        await hold(connection, Pause(PauseKind.MANUAL, "lunch", "me", now_ms(clock)))
    assert (await refused(claimers[0])).why is Refusal.PAUSED


async def test_the_load_of_operators_is_a_metric(storage: Storage, clock: HandClock) -> None:
    """The gauges say how many operators there are, and how many are expected to be needed."""
    await add(storage, [static_contact(1)], clock)
    used = rules(operator_slots=3)
    await placed(storage, Claimer(storage, used, clock), clock)

    def shown(what: str) -> float | None:
        return REGISTRY.get_sample_value("salehi_dialer_operators", {"what": what})

    async with running(StatusReader(storage, used, clock).run()):
        await eventually(lambda: shown("expected") == 1)
    assert (shown("slots"), shown("busy")) == (3, 0)
