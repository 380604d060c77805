"""The dialer as a process of its own, against a gateway and a reporter that speak the contract."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from dialer import service
from dialer_support import reporter as reporter_support
from dialer_support.gateway import FakeGateway, served
from dialer_support.panel import TOKEN, FakePanel, allowed
from dialer_support.panel import served as panel_served
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc
from servicekit.channel import Peer
from support.ports import free_port
from support.timing import eventually

LIST = "09120000001,09120000002,09120000003"


@contextlib.asynccontextmanager
async def started(
    directory: Path, gateway_port: int, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a dialer in a directory of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "DIALER_PORT": str(free_port()),
        "DIALER_METRICS_PORT": str(free_port()),
        "ARI_GATEWAY_ADDRESS": f"127.0.0.1:{gateway_port}",
        "REPORTER_ADDRESS": "127.0.0.1:1",
        "OUTBOUND_TRUNK": "trunk",
        "OUTBOUND_NUMBERS": "1001,1002",
        "CALL_WINDOW": "00:00-24:00",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dialer",
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_killed_and_restarted_nobody_is_called_twice(tmp_path: Path) -> None:
    """After SIGKILL the next dialer goes on with the rest, and learns what ended meanwhile."""
    fake = FakeGateway()
    async with served(fake) as port:
        async with started(tmp_path, port, STATIC_CONTACTS=LIST, MAX_TOTAL_CALLS="1") as first:
            await eventually(lambda: len(fake.calls) == 1)
            first.kill()
            await first.wait()
        fake.end(next(iter(fake.calls)))
        async with started(tmp_path, port, STATIC_CONTACTS=LIST, MAX_TOTAL_CALLS="2"):
            await eventually(lambda: len(fake.calls) == 3)
        numbers = [request.contact.number for request in fake.requests]
        assert sorted(numbers) == [f"+98912000000{digit}" for digit in (1, 2, 3)]


async def test_sigterm_ends_it_within_two_seconds(tmp_path: Path) -> None:
    """Idle or waiting for everything, the dialer ends with status 0 soon after SIGTERM."""
    fake = FakeGateway()
    async with served(fake) as port, started(tmp_path, port, STATIC_CONTACTS=LIST) as process:
        await eventually(lambda: len(fake.calls) == 3)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
        assert time.monotonic() - began < 2
        assert process.returncode == 0, output.decode()


async def test_no_number_is_written_anywhere_but_the_database(tmp_path: Path) -> None:
    """In a whole run neither stdout nor app.log holds a customer's number in any form."""
    fake = FakeGateway()
    async with served(fake) as port:
        listed = f"{LIST},0912x"
        async with started(tmp_path, port, STATIC_CONTACTS=listed, LOG_LEVEL="DEBUG") as process:
            await eventually(lambda: len(fake.calls) == 3)
            for attempt_id in list(fake.calls):
                fake.end(attempt_id)
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            output, _ = await process.communicate()
    written = output.decode() + (tmp_path / "logs" / "app.log").read_text()
    assert "call placed" in written
    assert "912000000" not in written


async def test_a_missing_trunk_is_one_line(tmp_path: Path) -> None:
    """Without OUTBOUND_TRUNK the process ends with status 3 and a line that names it."""
    async with started(tmp_path, 1, OUTBOUND_TRUNK="", OUTBOUND_NUMBERS="") as process:
        output, _ = await process.communicate()
    lines = output.decode().splitlines()
    assert process.returncode == 3
    assert [line.split()[1] for line in lines] == ["OUTBOUND_TRUNK", "OUTBOUND_NUMBERS"]


async def test_what_nobody_knows_reaches_the_reporter(tmp_path: Path) -> None:
    """A call lost with its gateway is closed and reported once, across a restart."""
    fake, kept = FakeGateway(), reporter_support.fake_reporter()
    async with served(fake) as port, reporter_support.served(kept) as reporter_port:
        one = {"STATIC_CONTACTS": "09120000001", "REPORTER_ADDRESS": f"127.0.0.1:{reporter_port}"}
        async with started(tmp_path, port, **one):
            await eventually(lambda: len(fake.calls) == 1)
            [attempt_id] = fake.calls
            fake.restart(forget=True)
        async with started(tmp_path, port, **one):
            await eventually(lambda: attempt_id in kept.results, within_s=20)
        assert kept.results[attempt_id].outcome.reason == "unknown_outcome"
        assert len(fake.requests) == 1


async def test_the_switch_works_from_outside(tmp_path: Path) -> None:
    """A pause by RPC is in force for a dialer started later on the same database, until lifted."""
    fake = FakeGateway()
    async with served(fake) as port:
        address = free_port()
        settings = {"DIALER_PORT": str(address), "STATIC_CONTACTS": LIST}
        async with Peer(f"127.0.0.1:{address}", service.SERVICE) as peer:
            stub = dialer_pb2_grpc.DialerServiceStub(peer.channel)
            async with started(tmp_path, port, DIALER_PORT=str(address)):
                await peer.wait_ready()
                await stub.Pause(dialer_pb2.PauseRequest(reason="test"), timeout=5)
            async with started(tmp_path, port, **settings):
                await peer.wait_ready()
                await asyncio.sleep(1)
                status = await stub.GetStatus(
                    dialer_pb2.GetStatusRequest(), timeout=5, wait_for_ready=True
                )
                assert status.paused
                assert fake.requests == []
                await stub.Resume(dialer_pb2.ResumeRequest(), timeout=5)
                await eventually(lambda: len(fake.calls) == 3)


async def test_a_batch_outlives_the_dialer_that_fetched_it(tmp_path: Path) -> None:
    """Killed after the first number of a batch, the dialer goes on with the others, each once."""
    fake, panel = FakeGateway(), FakePanel()
    panel.will_answer(allowed("b7", *enumerate(LIST.split(","), start=1)))
    async with served(fake) as port:
        with panel_served(panel) as url:
            settings = {"PANEL_BASE_URL": url, "PANEL_API_TOKEN": TOKEN, "PANEL_COMPANY": "academy"}
            async with started(tmp_path, port, MAX_TOTAL_CALLS="1", **settings) as first:
                await eventually(lambda: len(fake.calls) == 1)
                first.kill()
                await first.wait()
            fake.end(next(iter(fake.calls)))
            async with started(tmp_path, port, **settings):
                await eventually(lambda: len(fake.calls) == 3)
                await eventually(lambda: len(panel.queries) == 2)  # only when nobody is left
    asked = [(request.contact.panel_batch_id, request.contact.number) for request in fake.requests]
    assert sorted(asked) == [("b7", f"+98912000000{digit}") for digit in (1, 2, 3)]
    query = {"size": ["10"], "company": ["academy"], "active_lines_count": ["2"]}
    assert panel.queries == [query] * 2


async def run_command(directory: Path, port: int, *words: str) -> tuple[int | None, str]:
    """Run a command of the dialer's in a process of its own; give its status and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dialer",
        *words,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "DIALER_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_all_is_stopped_from_the_command_line(tmp_path: Path) -> None:
    """`dialer stop` ends what rings, and what a killed dialer had still on its way."""
    fake, port = FakeGateway(), free_port()
    async with served(fake) as gateway_port:
        settings = {"DIALER_PORT": str(port), "STATIC_CONTACTS": LIST, "MAX_TOTAL_CALLS": "2"}
        async with started(tmp_path, gateway_port, **settings) as process:
            await eventually(lambda: len(fake.calls) == 2)
            status, output = await run_command(tmp_path, port, "stop", "--reason", "wrong prompt")
            assert (status, output) == (0, "stopped: no new calls; calls ended: 2\n")
            process.kill()
            await process.wait()
        assert set(fake.hung_up) == set(fake.calls)
        for attempt_id in fake.calls:
            fake.end(attempt_id)
        late = "11111111-2222-4333-8444-555555555555"
        fake.calls[late] = calls_pb2.Call(
            attempt_id=late,
            direction=calls_pb2.DIRECTION_OUTBOUND,
            state=calls_pb2.CALL_STATE_RINGING,
            line="1001",
        )
        async with started(tmp_path, gateway_port, **settings):
            await eventually(lambda: late in fake.hung_up)
            status, output = await run_command(tmp_path, port, "status")
        assert (status, output.splitlines()[0]) == (0, "paused")
        assert len(fake.requests) == 2
