"""The recogniser's processes: warmed, restarted, never in the event loop's way."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from speech.stt.base import Outcome, Utterance
from speech.stt.embedded import EmbeddedStt
from speech.stt.workers import WorkerPool
from speech_support.phone import hiss, reply


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    """One worker, ready."""
    workers = WorkerPool("en", 1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(workers.run())
        await workers.wait_ready()
        yield workers
        running.cancel()


async def test_a_reply_comes_back_as_words(pool: WorkerPool) -> None:
    """A recording goes to the process and its sentence comes back; noise is not understood."""
    engine = EmbeddedStt(pool)
    heard = await engine.recognise(Utterance(reply("where did you get my number"), "en"))
    assert (heard.outcome, heard.text) == (Outcome.RECOGNISED, "where did you get my number")
    noise = await engine.recognise(Utterance(hiss(1, 800), "en"))
    assert noise.outcome is Outcome.NOT_UNDERSTOOD


async def test_a_killed_worker_costs_no_reply(pool: WorkerPool) -> None:
    """A worker killed in the middle of a recording is replaced, and the recording is served."""
    (before,) = pool.pids
    asked = asyncio.create_task(pool.recognise(reply("where did you get my number", wait_s=4)))
    await asyncio.sleep(0.05)
    os.kill(before, signal.SIGKILL)
    assert await asked == "where did you get my number"
    assert pool.pids
    assert before not in pool.pids


async def test_the_event_loop_goes_on_while_a_worker_computes(pool: WorkerPool) -> None:
    """The loop turns many times while 10 s of audio are decoded; blocked, it would turn once."""
    asked = asyncio.create_task(pool.recognise(reply("no thank you", wait_s=8)))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 20


async def test_who_gave_up_is_not_served(pool: WorkerPool) -> None:
    """A recording whose caller has left is dropped, and the next one is served."""
    first = asyncio.create_task(pool.recognise(reply("yes please")))
    second = asyncio.create_task(pool.recognise(reply("yes please", wait_s=20)))
    await asyncio.sleep(0)
    second.cancel()
    assert await first
    async with asyncio.timeout(2.0):
        assert await pool.recognise(reply("where did you get my number"))


async def test_a_caller_who_left_occupies_no_worker(pool: WorkerPool) -> None:
    """A worker busy with 30 s nobody waits for is replaced; the next recording is served."""
    (before,) = pool.pids
    asked = asyncio.create_task(pool.recognise(reply("no thank you", wait_s=30)))
    await asyncio.sleep(0.1)
    asked.cancel()
    assert await pool.recognise(reply("where did you get my number"))
    assert before not in pool.pids


async def test_workers_end_with_their_pool() -> None:
    """When the pool is cancelled its processes are gone, none is left behind."""
    workers = WorkerPool("en", 2)
    running = asyncio.create_task(workers.run())
    await workers.wait_ready()
    pids = set(workers.pids)
    assert len(pids) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
