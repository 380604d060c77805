"""`make run`: five services as one program."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

NAMES = ("dialer", "ari-gateway", "speech", "intent", "reporter")

SERVICE = """#!{python}
import pathlib, signal, sys, time
log = pathlib.Path(__file__).with_name("log")
name = pathlib.Path(__file__).name
def stop(*_):
    with log.open("a") as out: out.write(f"{{name}} stopped\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
with log.open("a") as out: out.write(f"{{name}} started\\n")
{body}
while True: time.sleep(0.05)
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Make five small programs that write down when they start and stop."""
    (tmp_path / "log").touch()
    for name in NAMES:
        write(tmp_path, name)
    return tmp_path


def write(programs: Path, name: str, body: str = "") -> None:
    """Make one of the programs."""
    path = programs / name
    path.write_text(SERVICE.format(python=sys.executable, body=body), encoding="utf-8")
    path.chmod(0o755)


def log(programs: Path) -> list[str]:
    """Read what the programs wrote."""
    return (programs / "log").read_text(encoding="utf-8").splitlines()


async def supervise(programs: Path) -> asyncio.subprocess.Process:
    """Run the supervisor over the programs."""
    code = (
        "import asyncio, sys, pathlib; from servicekit.supervisor import Supervisor;"
        f"sys.exit(asyncio.run(Supervisor(pathlib.Path({str(programs)!r}), {NAMES!r}).run()))"
    )
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE
    )


async def until(programs: Path, line: str, times: int = 1) -> None:
    """Wait until a line was written."""
    async with asyncio.timeout(20):
        while log(programs).count(line) < times:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_in_order(programs: Path, signum: signal.Signals) -> None:
    """A signal ends the dialer first, then the gateway, then the rest, with status 0."""
    process = await supervise(programs)
    for name in NAMES:
        await until(programs, f"{name} started")
    process.send_signal(signum)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    stopped = [line for line in log(programs) if line.endswith("stopped")]
    assert stopped[:2] == ["dialer stopped", "ari-gateway stopped"]
    assert len(stopped) == 5


async def test_a_killed_service_is_started_again(programs: Path) -> None:
    """A service that dies is started again while the others go on."""
    write(programs, "speech", "if log.read_text().count('speech started') == 1: sys.exit(9)")
    process = await supervise(programs)
    await until(programs, "speech started", times=2)
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_service_that_cannot_start_ends_all(programs: Path) -> None:
    """A service that cannot start ends the others, and the status is its own."""
    write(programs, "intent", "time.sleep(0.5); sys.exit(3)")
    process = await supervise(programs)
    assert await asyncio.wait_for(process.wait(), 15) == 3
    assert sum(line.endswith("stopped") for line in log(programs)) == 4
