"""Brings prompts to another machine, by ssh."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from speech.forms import Form
from speech.prompts.catalogue import OPTIONAL_NAMES, PROMPT_NAMES
from speech.prompts.sound_dir import other_forms
from speech.prompts.sync import SyncFailed

_REMOTE = re.compile(r"(?P<host>(?:[\w.-]+@)?[\w.-]+):(?P<path>/[^\0]*)")


def is_remote(destination: str) -> bool:
    """Whether a destination is on another machine: `user@host:/directory`."""
    return _REMOTE.fullmatch(destination) is not None


def commands(
    directory: Path, destination: str, forms: Sequence[Form], *, rsync: bool
) -> list[list[str]]:
    """Give the commands that copy a directory's prompts and remove other forms of them there.

    The directory is named for its language, here and there.
    """
    found = _REMOTE.fullmatch(destination)
    if found is None or found["host"].startswith("-"):
        raise SyncFailed(f"{destination} is no user@host:/directory")
    target = f"{found['path'].rstrip('/')}/{directory.name}"
    files = [
        f"{directory}/{name}.{form}"
        for name in (*PROMPT_NAMES, *OPTIONAL_NAMES)
        for form in forms
        if name in PROMPT_NAMES or (directory / f"{name}.{form}").exists()
    ]
    stale = [f"{target}/{name}.{form}" for name in PROMPT_NAMES for form in other_forms(forms)]
    make = ["ssh", found["host"], f"mkdir -p -- {shlex.quote(target)}"]
    tidy = ["ssh", found["host"], f"rm -f -- {shlex.join(stale)}"]
    there = f"{found['host']}:{target}/"
    if rsync:
        # Each file arrives under another name and is renamed: Asterisk never plays half of one.
        copy = ["rsync", "--times", "--chmod=F644", "--protect-args", "--", *files, there]
    else:
        copy = ["scp", "-p", "--", *files, there]
    return [make, copy, tidy]


async def send(directory: Path, destination: str, forms: Sequence[Form]) -> None:
    """Copy a language's directory of prompts to `user@host:/directory`.

    Raises:
        SyncFailed: ssh, rsync or scp failed; their own words are on stderr.
    """
    rsync = shutil.which("rsync") is not None
    for command in commands(directory, destination, forms, rsync=rsync):
        await _run(command, destination)


async def _run(command: Sequence[str], destination: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except OSError as error:
        raise SyncFailed(
            f"{command[0]} cannot be started ({error.strerror}): "
            "run apt-get install openssh-client rsync"
        ) from error
    status = await process.wait()
    if status != 0:
        raise SyncFailed(f"{command[0]} to {destination} ended with status {status}, see above")
