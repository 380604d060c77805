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

PROMPTS = ("hello", "goodby", "yes", "number", "onhold")


async def up(language: str = "en") -> None:
    """Start what is not running; the people wait as long as the prompts of a language are.

    Prompts that are not there are rendered first, as a user does it.
    """
    await _start(language)
    paths = LabPaths(REPOSITORY / ".lab")
    folder = paths.sound_dir / language
    if not all((folder / f"{name}.wav").is_file() for name in PROMPTS):
        await sync_prompts(prepare(paths, {**SETTINGS, "CALL_LANGUAGE": language}))
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
