"""Programs under measurement: started, and their CPU time and memory read from /proc."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOP_S = 20.0


def cpu_s(pid: int) -> float:
    """Give the CPU time a process and its ended children have used, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_S


def tree_cpu_s(pid: int) -> float:
    """Give the CPU time of a process and of all that it started, seconds."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid) + sum(tree_cpu_s(int(child)) for child in children)


def memory_mib(pid: int) -> float:
    """Give how much memory of a process is resident, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = next(line for line in lines if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024


@asynccontextmanager
async def program(
    *argv: str | Path, env: Mapping[str, str], output: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the block ends; what it prints goes to a file."""
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *argv, env=dict(env), stdout=sink, stderr=asyncio.subprocess.STDOUT
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
