"""The lab, started as a user starts it: its processes outlive the one that starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from lab import control, processes
from lab.demo.campaign import prepare, sync_prompts
from lab.demo.cast import SETTINGS
from lab.paths import REPOSITORY, LabPaths

_SYNCED: set[str] = set()


async def up(language: str = "en") -> None:
    """Start what is not running; the people wait as long as the prompts of a language are.

    Once per run the prompts are brought up to date first, as a user does it.
    """
    await _start(language)
    if language not in _SYNCED:
        paths = LabPaths(REPOSITORY / ".lab")
        await sync_prompts(prepare(paths, {**SETTINGS, "CALL_LANGUAGE": language}))
        _SYNCED.add(language)
        await _start(language)


async def _start(language: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lab",
        "up",
        "--language",
        language,
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
