"""What engines in their order may take of a caller's time and of an account's money."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from speech.errors import (
    AtCapacity,
    OutOfCredit,
    ProviderError,
    ProviderTooSlow,
    ProviderUnavailable,
)
from speech.stt.base import Utterance
from speech.stt.transcriber import Transcriber
from speech_support.engines import asked_of, chain_of, engine_of
from speech_support.phone import hiss
from speech_support.time import in_virtual_time

SAID = Utterance(hiss(1, 100), "en")
AWAY = ProviderUnavailable("answered 500", retryable=True)
UNREACHED = ProviderUnavailable("cannot be reached", retryable=True, billed=False)


@in_virtual_time
async def test_who_hangs_leaves_time_for_the_next() -> None:
    """Of 8 s a hanging engine takes 4, the next one 2 of the rest, and the last is asked then."""
    loop = asyncio.get_running_loop()
    engines = engine_of("first"), engine_of("second"), engine_of("free", paid=False)
    engines[0].open.clear()
    engines[1].open.clear()
    began_s = loop.time()
    done = await chain_of(*engines).transcribe(SAID, 8.0)
    assert done.engine == "free"
    assert loop.time() - began_s == pytest.approx(6.0)


@in_virtual_time
async def test_the_last_engine_has_all_the_time_there_is() -> None:
    """With nobody to follow, or only one that is passed over, an engine is not cut short."""
    loop = asyncio.get_running_loop()
    first, second = engine_of("first", AWAY), engine_of("second", OutOfCredit("empty"))
    transcriber = chain_of(first, second)
    with pytest.raises(ProviderUnavailable):
        await transcriber.transcribe(SAID, 8.0)
    first.open.clear()
    began_s = loop.time()
    with pytest.raises(ProviderTooSlow):
        await transcriber.transcribe(SAID, 8.0)
    assert loop.time() - began_s == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("errors", "asked"),
    [
        # A paid engine that can follow is likelier to answer than the one that just failed.
        ([[AWAY], [], None], [1, 1, 0]),
        ([[AWAY], [AWAY, AWAY], None], [1, 1, 1]),
        # With none to follow, the request is repeated once, then what costs nothing is asked.
        ([[AWAY, AWAY, AWAY], None], [2, 1]),
        ([[ProviderTooSlow("slow")], None], [1, 1]),
        # What never reached a provider is on nobody's bill.
        ([[UNREACHED], [AWAY, AWAY], None], [1, 2, 1]),
        ([[UNREACHED], [UNREACHED], [AWAY, AWAY, AWAY]], [1, 1, 2]),
        # Two requests were sent that may be billed: the third paid engine is not asked.
        ([[AWAY], [AWAY], [], None], [1, 1, 0, 1]),
        ([[AWAY], [ProviderTooSlow("slow")], []], [1, 1, 0]),
    ],
)
def test_two_requests_at_most_may_be_billed(
    errors: Sequence[Sequence[ProviderError] | None], asked: Sequence[int]
) -> None:
    """Over all engines together; None stands for an engine that costs nothing."""
    engines = [
        engine_of(f"engine {place}", *(own or ()), paid=own is not None)
        for place, own in enumerate(errors)
    ]

    async def run() -> None:
        try:
            await chain_of(*engines).transcribe(SAID, 20.0)
        except ProviderError:
            assert all(engine.paid for engine in engines)

    in_virtual_time(run)()
    assert asked_of(*engines) == asked


@in_virtual_time
async def test_what_costs_nothing_is_repeated_whatever_was_spent() -> None:
    """The engine on board is sent its request again when both billed requests are used up."""
    paid, free = engine_of("paid", AWAY, AWAY), engine_of("free", AWAY, paid=False)
    assert (await chain_of(paid, free).transcribe(SAID, 20.0)).engine == "free"
    assert asked_of(paid, free) == [2, 2]


@in_virtual_time
async def test_retry_after_is_waited_for_where_it_fits() -> None:
    """A single engine that wants 3 s is asked again after 3 s, and not at all if that is late."""
    loop = asyncio.get_running_loop()
    busy = ProviderUnavailable("429", retryable=True, billed=False, retry_after_s=3.0)
    for budget_s, requests, took_s in ((10.0, 2, 3.0), (2.0, 1, 0.0)):
        engine = engine_of("first", busy)
        began_s = loop.time()
        try:
            await chain_of(engine).transcribe(SAID, budget_s)
        except ProviderUnavailable:
            assert requests == 1
        assert len(engine.heard) == requests
        assert loop.time() - began_s == pytest.approx(took_s)


@in_virtual_time
async def test_a_full_engine_gives_way_to_the_next() -> None:
    """Where the first engine has no place in time, the second answers at once."""
    first, second = engine_of("first"), engine_of("second", paid=False)
    transcriber = chain_of(first, second, places=1)
    first.open.clear()
    holder = asyncio.ensure_future(transcriber.transcribe(SAID, 20.0))
    await asyncio.sleep(0.1)
    began_s = asyncio.get_running_loop().time()
    assert (await transcriber.transcribe(SAID, 1.0)).engine == "second"
    assert asyncio.get_running_loop().time() == began_s
    first.open.set()
    assert (await holder).engine == "first"


@in_virtual_time
async def test_a_full_house_is_at_capacity() -> None:
    """With every engine full the request is refused, before any work as well as after it."""
    engine = engine_of("first")
    transcriber = chain_of(engine, places=1)
    engine.open.clear()
    holder = asyncio.ensure_future(transcriber.transcribe(SAID, 20.0))
    await asyncio.sleep(0.1)
    for call in (transcriber.transcribe(SAID, 1.0), _expect_within(transcriber, 1.0)):
        with pytest.raises(AtCapacity):
            await call
    engine.open.set()
    await holder


async def _expect_within(transcriber: Transcriber, budget_s: float) -> None:
    transcriber.expect_answer("en", budget_s)
