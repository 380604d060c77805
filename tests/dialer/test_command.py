"""The command line, against the real service over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dialer.attempts import Ending
from dialer.claim import Claimer
from dialer.command import run_command
from dialer.gateway import IDEMPOTENT, SERVICE, Gateway
from dialer.pauses import Pause, PauseKind, hold
from dialer_support.campaign import add, claimed, end, file_contact, place, static_contact
from dialer_support.gateway import FakeGateway
from dialer_support.served import RULES, Doors
from salehi.calls.v1 import calls_pb2
from servicekit.channel import Peer
from servicekit.storage import Storage
from support.timing import HandClock


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    status: int
    output: str
    complaint: str


class Terminal:
    """Types commands to the service at an address."""

    def __init__(self, address: str, capfd: pytest.CaptureFixture[str]) -> None:
        self._address = address
        self._capfd = capfd

    async def type(self, *words: str) -> Said:
        """Run a command, as `dialer` would; the service goes on beside it."""
        self._capfd.readouterr()
        status = await asyncio.to_thread(run_command, [*words, "--address", self._address])
        return Said(status, *self._capfd.readouterr())

    async def tell(self, *words: str) -> list[str]:
        """Run a command that succeeds; give its lines."""
        said = await self.type(*words)
        assert (said.status, said.complaint) == (0, "")
        return said.output.splitlines()


@pytest.fixture
async def terminal(
    storage: Storage,
    gateway: Gateway,
    clock: HandClock,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> AsyncIterator[Terminal]:
    """Give a terminal to a served dialer, whose own log goes elsewhere."""
    doors = Doors(storage, gateway, clock, tmp_path / "imports")
    with capture_logs():
        async with doors.served() as address:
            yield Terminal(address, capfd)


async def test_the_status_is_read_at_a_glance(
    terminal: Terminal, storage: Storage, clock: HandClock
) -> None:
    """Lines and figures stand in columns; pauses tell who, since when (Tehran) and why."""
    await add(storage, [static_contact(1), static_contact(2)], clock)
    await place(storage, await claimed(Claimer(storage, RULES, clock)), clock)
    assert await terminal.tell("status") == [
        "not dialing: no contact is due",
        "",
        "LINE  NOW  LAST MINUTE  TODAY",
        "1001  1/2  1/10         1/200",
        "",
        "contacts waiting  1",
        "attempts open     1",
        "attempts done     0",
    ]
    async with storage.transaction() as connection:
        since_ms = round(clock.now().timestamp() * 1000)
        breaker = Pause(PauseKind.BREAKER, "5 failures\x1b[2J", "reporter", since_ms)
        await hold(connection, breaker)
    await terminal.tell("pause", "--reason", "lunch", "--by", "Sara")
    assert (await terminal.tell("status"))[:5] == [
        "paused",
        "",
        "PAUSE    SINCE                BY        REASON",
        "breaker  2026-05-04 12:00:00  reporter  5 failures[2J",
        "manual   2026-05-04 12:00:00  Sara      lunch",
    ]


async def test_pauses_are_lifted_one_by_one_or_all(terminal: Terminal, storage: Storage) -> None:
    """Resume says what still holds; trial calls are for the breaker's pause."""
    no_breaker = await terminal.tell("resume", "--trial-calls", "2")
    assert no_breaker[0] == "the breaker does not hold dialing back: no trial calls are needed"
    async with storage.transaction() as connection:
        await hold(connection, Pause(PauseKind.BREAKER, "5 failures", "reporter", 0))
    await terminal.tell("pause", "--reason", "lunch", "--by", "Sara")
    left = await terminal.tell("resume", "--kind", "manual")
    assert left[0] == "still paused"
    assert left[-1].endswith("5 failures")
    trials = await terminal.tell("resume", "--trial-calls", "2")
    assert trials[-1].endswith("5 failures (2 trial calls allowed)")
    wrong = await terminal.type("resume", "--kind", "manual", "--trial-calls", "2")
    complaint = "dialer: trial calls are for the breaker's pause alone\n"
    assert (wrong.status, wrong.complaint) == (3, complaint)
    assert await terminal.tell("resume") == ["no pause is left"]


async def test_a_stop_tells_what_it_ended(terminal: Terminal, fake_gateway: FakeGateway) -> None:
    """The number of calls that are ended is told."""
    direction, state = calls_pb2.DIRECTION_OUTBOUND, calls_pb2.CALL_STATE_RINGING
    fake_gateway.calls["a"] = calls_pb2.Call(attempt_id="a", direction=direction, state=state)
    stopped = await terminal.tell("stop", "--reason", "fire")
    assert stopped == ["stopped: no new calls; calls ended: 1"]
    assert fake_gateway.hung_up == ["a"]


async def test_a_stop_without_the_gateway_is_not_all_done(
    storage: Storage, clock: HandClock, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Status 1 and a line say that calls may still ring; the pause holds all the same."""
    async with Peer("127.0.0.1:1", SERVICE, idempotent=IDEMPOTENT) as nobody:
        doors = Doors(storage, Gateway(nobody), clock, tmp_path)
        with capture_logs():
            async with doors.served() as address:
                terminal = Terminal(address, capfd)
                alone = await terminal.type("stop", "--reason", "fire")
                status = await terminal.tell("status")
    assert alone.status == 1
    assert "calls may still ring" in alone.output
    assert "emergency stop: fire" in status[3]


async def test_a_file_is_imported_and_its_bad_rows_are_named(
    terminal: Terminal, tmp_path: Path
) -> None:
    """Counts come first, then the first bad rows, then where all of them are listed."""
    path = tmp_path / "people.csv"
    path.write_text("number,consent\n09120000001,form\n" + "x,form\n" * 25)
    lines = await terminal.tell("import", str(path))
    assert lines[:4] == ["accepted 1, rejected 25", "", "ROW  REASON", "3    no phone number"]
    assert len(lines) == 24
    assert lines[-1].startswith("and 5 more")
    missing = await terminal.type("import", str(tmp_path / "nobody.csv"))
    assert missing.status == 3
    assert missing.complaint == (
        f"dialer: {tmp_path / 'nobody.csv'} cannot be read (No such file or directory)\n"
    )
    path.write_bytes(b"\xff\xfe")
    unreadable = await terminal.type("import", str(path))
    assert (unreadable.status, unreadable.complaint.count("\n")) == (3, 1)


async def test_attempts_are_shown_without_numbers_unless_asked_for(
    terminal: Terminal, storage: Storage, clock: HandClock
) -> None:
    """Each attempt is one row of time, line, masked number, source, result and length."""
    assert await terminal.tell("attempts") == ["no attempts"]
    await add(storage, [file_contact(1), file_contact(2)], clock)
    first = await claimed(Claimer(storage, RULES, clock))
    await place(storage, first, clock)
    clock.advance(12.5)
    await end(storage, first, clock, Ending(calls_pb2.RESULT_FAILED, "congestion"))
    second = await claimed(Claimer(storage, RULES, clock))
    shown = await terminal.tell("attempts")
    newest = f"2026-05-04 12:00:12 1001 +989***0002 file open - {second.attempt_id}"
    ended = f"1001 +989***0001 file failed:congestion 12.5 {first.attempt_id}"
    assert [line.split() for line in shown[1:]] == [
        newest.split(),
        ["2026-05-04", "12:00:00", *ended.split()],
    ]
    under_way = await terminal.tell("attempts", "--open", "--show-numbers")
    assert "+989120000002" in under_way[1]
    assert len(under_way) == 2
    limited = await terminal.tell("attempts", "--limit", "1")
    assert limited[-1] == "the newest 1 are shown, there are more: --limit"


async def test_the_do_not_call_list_goes_out_and_comes_back(
    terminal: Terminal, tmp_path: Path
) -> None:
    """What is exported can be imported again; a reason is never run by a spreadsheet."""
    assert await terminal.tell("do-not-call", "add", "09120000001", "--reason", "=1+1") == [
        "1 added"
    ]
    path = tmp_path / "numbers.csv"
    path.write_text("021-88888888\n09120000001\n0912\n")
    imported = await terminal.tell("do-not-call", "import", str(path), "--reason", "register")
    assert imported[0] == "added 1, known 1, rejected 1"
    listed = await terminal.tell("do-not-call", "list")
    assert [line.split()[0] for line in listed] == ["NUMBER", "+982***8888", "+989***0001"]
    out = tmp_path / "list.csv"
    await terminal.tell("do-not-call", "export", "--output", str(out))
    assert out.read_text().splitlines() == [
        "number,reason,since",
        "+982188888888,register,2026-05-04T08:30:00+00:00",
        "+989120000001,'=1+1,2026-05-04T08:30:00+00:00",
    ]
    assert await terminal.tell("do-not-call", "export") == out.read_text().splitlines()
    both = ("02188888888", "۰۹۱۲۰۰۰۰۰۰۱")
    assert await terminal.tell("do-not-call", "remove", *both) == ["2 removed"]
    again = await terminal.tell("do-not-call", "import", str(out))
    assert again == ["added 2, known 0, rejected 0"]


async def test_a_file_that_cannot_be_written_is_one_line(
    terminal: Terminal, tmp_path: Path
) -> None:
    """An export to a directory that is not there ends with status 3 and leaves nothing."""
    out = tmp_path / "nowhere" / "list.csv"
    said = await terminal.type("do-not-call", "export", "--output", str(out))
    assert (said.status, said.output) == (3, "")
    assert said.complaint == f"dialer: {out} cannot be written (No such file or directory)\n"


async def test_a_person_is_erased(terminal: Terminal, storage: Storage, clock: HandClock) -> None:
    """The command tells what went, and what keeps the person from being called."""
    await add(storage, [file_contact(1)], clock)
    await terminal.tell("do-not-call", "add", "09120000001")
    said = await terminal.tell("erase", "09120000001")
    assert said[0] == "contacts erased: 1, attempts: 0; the number is on the do-not-call list"
    forgotten = await terminal.tell("erase", "09120000001", "--forget-do-not-call")
    assert forgotten[0].endswith("the number is not on the do-not-call list")
    nobody = await terminal.type("erase", "nobody")
    assert (nobody.status, nobody.complaint) == (3, "dialer: number 1: no phone number\n")


def test_without_a_dialer_there_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The address comes from BIND_HOST and DIALER_PORT alone; who is not there is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.delenv("OUTBOUND_TRUNK", raising=False)
    monkeypatch.setenv("BIND_HOST", "0.0.0.0")
    monkeypatch.setenv("CALL_WINDOW", "nonsense")
    monkeypatch.setenv("DIALER_PORT", "1")
    assert run_command(["stop", "--reason", "fire"]) == 3
    assert capfd.readouterr().err == (
        "dialer: no dialer answers at 127.0.0.1:1 (UNAVAILABLE): start it, or name its --address\n"
    )
    monkeypatch.setenv("DIALER_PORT", "70000")
    assert run_command(["status"]) == 3
    assert capfd.readouterr().err.startswith("dialer: DIALER_PORT=70000 is not allowed")
