"""The lab, started as a user starts it: its processes outlive the one that starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from lab.paths import REPOSITORY

from lab import control, processes


async def up() -> None:
    """Start what is not running of the lab."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lab",
        "up",
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def kill_asterisk() -> None:
    """End the lab's Asterisk without a word."""
    for part in processes.running_parts():
        if part.name == control.ASTERISK_NAME:
            os.kill(part.pid, signal.SIGKILL)
