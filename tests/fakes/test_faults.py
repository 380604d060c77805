from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lab.fakes.base import Fake
from lab.fakes.faults import Fault, FaultKind
from lab.fakes.panel import FakePanel
from lab.fakes.vira import FakeVira
from support.ports import free_port

Connect = Callable[[Fake], Awaitable[httpx.AsyncClient]]
BATCH = "/api/dialer/next-batch"


async def _set(client: httpx.AsyncClient, **wanted: Any) -> httpx.Response:
    return await client.post("/_control", json=wanted)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({"kind": "status", "status": 503}, 503, "application/json"),
        ({"kind": "rate_limit", "retry_after_s": 7}, 429, "application/json"),
        ({"kind": "unauthorized"}, 401, "application/json"),
        ({"kind": "html"}, 502, "text/html; charset=utf-8"),
        ({"kind": "html", "status": 200}, 200, "text/html; charset=utf-8"),
        ({"kind": "empty"}, 200, "application/json"),
    ],
)
async def test_fault_sets_status_and_type(
    connect: Connect, fault: dict[str, Any], status: int, kind: str
) -> None:
    """Each fault with a status answers with it and with its content type."""
    client = await connect(FakePanel())
    assert (await _set(client, faults=[fault])).status_code == 200
    answer = await client.get(BATCH)
    assert answer.status_code == status
    assert answer.headers["content-type"] == kind
    assert answer.headers.get("retry-after") == ("7" if "retry_after_s" in fault else None)


async def test_fault_with_times_passes(connect: Connect) -> None:
    """A fault for two requests meets exactly two, and the next fault follows it."""
    client = await connect(FakePanel())
    faults = [{"kind": "status", "status": 500, "times": 2}, {"kind": "empty", "times": 1}]
    await _set(client, faults=faults)
    answers = [await client.get(BATCH) for _ in range(4)]
    assert [a.status_code for a in answers] == [500, 500, 200, 200]
    assert answers[2].content == b""
    assert answers[3].json()["call_allowed"] is True


async def test_malformed_json_does_not_parse(connect: Connect) -> None:
    """A malformed answer claims to be JSON and is not."""
    client = await connect(FakePanel())
    await _set(client, faults=[{"kind": "malformed"}])
    answer = await client.get(BATCH)
    assert answer.headers["content-type"] == "application/json"
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()


async def test_oversized_answer_is_megabytes(connect: Connect) -> None:
    """An oversized answer is valid JSON of more than 8 MiB."""
    client = await connect(FakePanel())
    await _set(client, faults=[{"kind": "oversized"}])
    answer = await client.get(BATCH)
    assert len(answer.content) > 8 * 1024 * 1024
    assert set(answer.json()) == {"data"}


async def test_reset_drops_the_connection_in_mid_body(connect: Connect) -> None:
    """A reset ends the connection before the promised length was sent."""
    client = await connect(FakePanel())
    await _set(client, faults=[{"kind": "reset", "times": 1}])
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(BATCH)
    assert (await client.get(BATCH)).status_code == 200


async def test_slow_answer_is_right_but_late(connect: Connect) -> None:
    """A slow answer comes after its delay, and is the usual one."""
    client = await connect(FakePanel())
    await _set(client, faults=[{"kind": "slow", "seconds": 0.2, "times": 1}])
    began_s = time.monotonic()
    answer = await client.get(BATCH)
    assert time.monotonic() - began_s >= 0.2
    assert answer.json()["call_allowed"] is True


async def test_hang_never_answers(connect: Connect) -> None:
    """A hanging service lets the client run into its own timeout, and serves the next one."""
    client = await connect(FakePanel())
    await _set(client, faults=[{"kind": "hang", "times": 1}])
    with pytest.raises(httpx.ReadTimeout):
        await client.get(BATCH, timeout=0.2)
    assert (await client.get(BATCH)).status_code == 200


async def test_a_closed_fake_keeps_requests_and_counts_them(connect: Connect) -> None:
    """While it is closed requests wait; how many it served at once can be read back."""
    fake = FakePanel()
    client = await connect(fake)
    fake.open.clear()
    waiting = [asyncio.ensure_future(client.get(BATCH)) for _ in range(3)]
    async with asyncio.timeout(10):
        while (await client.get("/_control")).json()["busy"] < 3:
            await asyncio.sleep(0.01)
    assert not any(answer.done() for answer in waiting)
    fake.open.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    load = (await client.get("/_control")).json()
    assert (load["busy"], load["peak"]) == (0, 3)


async def test_received_shows_requests_and_the_fault_that_met_them(connect: Connect) -> None:
    """What came in can be read back: path, query, headers, parsed body, fault; then forgotten."""
    fake = FakePanel()
    client = await connect(fake)
    fake.break_next(Fault(FaultKind.UNAUTHORIZED, times=1))
    await client.get(BATCH, params={"size": 3}, headers={"Authorization": "Bearer t"})
    await client.post("/api/dialer/report-result", json={"number_id": 1})
    first, second = (await client.get("/_received")).json()
    assert first["path"] == BATCH
    assert first["query"] == {"size": "3"}
    assert first["headers"]["authorization"] == "Bearer t"
    assert first["fault"] == "unauthorized"
    assert second["body"] == {"number_id": 1}
    assert second["fault"] == ""
    assert (await client.delete("/_received")).json() == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"faults": [{"kind": "sulk"}]},
        {"faults": [{"kind": "slow", "minutes": 1}]},
        {"faults": [{}]},
        {"call_alowed": False},
        {"reason": "bored"},
    ],
)
async def test_control_refuses_what_it_does_not_know(
    connect: Connect, wanted: dict[str, Any]
) -> None:
    """A misspelt setting or fault is answered 400 and says why."""
    client = await connect(FakePanel())
    answer = await client.post("/_control", json=wanted)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_delete_goes_back_to_the_beginning(connect: Connect) -> None:
    """DELETE on the control endpoint clears faults, settings and the record."""
    client = await connect(FakeVira())
    await _set(client, faults=[{"kind": "hang"}], text="بله", stt_token="s")
    state = (await client.delete("/_control")).json()
    assert state["faults"] == []
    assert state["text"] == ""
    assert (await client.get("/_received")).json() == []


async def test_no_credit_where_the_service_knows_none_is_an_error(connect: Connect) -> None:
    """The panel has no credit to run out of, so that fault is a 500, not a silent success."""
    client = await connect(FakePanel())
    await _set(client, faults=[{"kind": "no_credit"}])
    assert (await client.get(BATCH)).status_code == 500


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab.fakes", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while True:
            try:
                return (await client.get(f"{url}/_control")).status_code == 200
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def test_command_serves_all_and_ends_on_sigterm() -> None:
    """`python -m lab.fakes` serves every fake on its own port and ends when told to."""
    names = ("panel", "vira", "llm", "sms", "stt")
    ports = {name: free_port() for name in names}
    options = [part for name in names for part in (f"--{name}-port", str(ports[name]))]
    process = await _start(*options)
    for name in names:
        assert await _answers(f"http://127.0.0.1:{ports[name]}")
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        await process.wait()


async def test_command_names_a_taken_port() -> None:
    """A taken port is one line on stderr with the port and status 3, no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await _start("panel", "--port", str(port))
        _, stderr = await process.communicate()
    assert process.returncode == 3
    assert stderr.decode().count("\n") == 1
    assert str(port) in stderr.decode()
