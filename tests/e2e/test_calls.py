"""Calls through the real Asterisk: every ending, one result each, nothing left behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

from e2e_support import lab, short_prompts
from e2e_support.clean import clean
from e2e_support.stack import PROGRAMS, ROOM, MakeStack
from lab.demo.campaign import environment
from lab.paths import REPOSITORY
from salehi.calls.v1 import calls_pb2


async def test_an_inbound_call_is_answered_like_an_outbound_one(make_stack: MakeStack) -> None:
    """Who calls a line of ours gets the same conversation, and a result marked inbound."""
    async with make_stack("speech", "intent", "reporter", "ari-gateway") as running:
        await running.ready()
        caller = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lab",
            "call",
            "--to",
            "02191001001",
            "--behaviour",
            "yes",
            stdout=subprocess.DEVNULL,
            cwd=REPOSITORY,
        )
        assert await running.have_results(1, within_s=60) == ["connected_to_operator"]
        await caller.wait()
        report = (await running.results())[0].report
        assert report.direction == calls_pb2.DIRECTION_INBOUND
        assert report.line == "02191001001"
        assert report.outcome.talk_s > 2


async def test_a_killed_dialer_dials_nobody_twice(make_stack: MakeStack) -> None:
    """After a SIGKILL in mid-call the dialer goes on where it was: one result per contact."""
    contacts = "09120000102,09120000202,09120000302"
    async with make_stack(STATIC_CONTACTS=contacts, **ROOM) as running:
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
        await running.end("dialer", signal.SIGKILL)
        await running.start("dialer")
        assert await running.have_results(3, within_s=90) == ["not_interested"] * 3
        await clean(running)
        assert len(await running.results()) == 4


async def test_dialer_and_reporter_share_one_postgresql(
    make_stack: MakeStack, postgres_url: str
) -> None:
    """With DATABASE_URL both keep their tables in one PostgreSQL, through a SIGKILL of each."""
    contacts = "09120000102,09120000202"
    async with make_stack(
        STATIC_CONTACTS=contacts, MAX_TOTAL_CALLS="1", DATABASE_URL=postgres_url, **ROOM
    ) as running:
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
        for service in ("dialer", "reporter"):
            await running.end(service, signal.SIGKILL)
            await running.start(service)
        assert await running.have_results(2, within_s=90) == ["not_interested"] * 2
        await clean(running)
        assert not list(running.home.rglob("dialer.db"))


async def test_sigterm_to_make_run_ends_live_calls_and_reports_them(
    make_stack: MakeStack, tmp_path: object
) -> None:
    """SIGTERM ends `make run` with status 0; the live call is ended and has its result."""
    async with make_stack("reporter", STATIC_CONTACTS="09120000105") as running:
        await running.end("reporter")  # the stack only lends its settings here
        process = await asyncio.create_subprocess_exec(
            "make",
            "run",
            env=environment(running.env_file),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED, within_s=60)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            await process.wait()
        await running.start("reporter")
        assert await running.have_results(1, within_s=15) == ["failed:gateway_stopped"]


async def test_idle_services_end_within_five_seconds(make_stack: MakeStack) -> None:
    """SIGTERM to an idle `make run` ends all five services within 5 s, with status 0."""
    async with make_stack("reporter") as running:
        await running.end("reporter")
        process = await asyncio.create_subprocess_exec(
            PROGRAMS / "python",
            "-m",
            "servicekit.supervisor",
            env=environment(running.env_file),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )

        await running.ready()
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert time.monotonic() - began_s < 5


async def test_a_restarted_asterisk_ends_its_calls_and_dialing_goes_on(
    make_stack: MakeStack,
) -> None:
    """When Asterisk dies, its call ends as asterisk_restart; the next one works by itself."""
    contacts = "09120000105,09120000205"
    async with make_stack(
        STATIC_CONTACTS=contacts, MAX_TOTAL_CALLS="1", **ROOM, **short_prompts.settings()
    ) as running:
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
        lab.kill_asterisk()
        await lab.up()
        results = await running.have_results(2, within_s=60)
        assert results == ["failed:asterisk_restart", "hangup"]
        assert running.processes["ari-gateway"].returncode is None
        await clean(running)
