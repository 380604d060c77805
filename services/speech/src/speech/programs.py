"""Runs ffmpeg and espeak-ng: argument vectors only, a time limit, killed when no longer wanted."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from typing import BinaryIO

from servicekit.errors import StartupError

from speech.errors import ProgramFailed

_PROGRAMS = ("ffmpeg", "espeak-ng")


def require_programs() -> None:
    """Check that the programs this service runs are installed.

    Raises:
        StartupError: one is not; says how to install it.
    """
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise StartupError(
            f"{' and '.join(missing)} not found: run apt-get install {' '.join(_PROGRAMS)}"
        )


async def run_program(argv: Sequence[str], stdin: bytes, timeout_s: float) -> bytes:
    """Feed a program and give what it writes.

    Raises:
        ProgramFailed: it is missing, ends with a status other than 0, or not in time.
    """
    # A file of memory, not a pipe: a program that ends before it has read everything is then its
    # own matter (its status tells), and nothing is left half written.
    with open(os.memfd_create("stdin"), "w+b") as source:  # noqa: ASYNC230, PTH123 - memory
        source.write(stdin)
        source.seek(0)
        process = await _start(argv, source)
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise ProgramFailed(f"{argv[0]} took longer than {timeout_s:.1f} s") from error
    finally:
        await _end(process)
    if process.returncode != 0:
        raise ProgramFailed(f"{argv[0]} ended with status {process.returncode}")
    return output


async def _start(argv: Sequence[str], source: BinaryIO) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=source,
            stdout=PIPE,
            stderr=DEVNULL,  # may quote what was said
            start_new_session=True,  # Ctrl-C is for the service, which lets work finish
        )
    except OSError as error:
        raise ProgramFailed(f"{argv[0]} cannot be started: {error.strerror}") from error


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
