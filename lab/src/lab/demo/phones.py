"""The simulated phone network as a program in the foreground, for a container of its own.

python -m lab.demo.phones /sounds

People wait as long as the prompts in /sounds/<language> are.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab import addresses, network, prompts
from lab.behaviours import PromptLengths
from lab.paths import LabPaths
from lab.processes import Part


def phones(
    sounds: Annotated[Path, typer.Argument(help="Where the prompts are.")],
    language: Annotated[str, typer.Option(help="Prompts whose lengths are measured.")] = "en",
) -> None:
    """Answer as customers and as operators until told to stop; status 1 when SIPp ends before."""
    with tempfile.TemporaryDirectory(prefix="lab-") as directory:
        paths = LabPaths(Path(directory))
        paths.log.mkdir()
        lengths = prompts.measure(sounds / language, PromptLengths())
        network_ = network.prepare(paths, lengths)
        sys.exit(asyncio.run(_run([network_.customers, network_.operators], paths)))


async def _run(parts: list[Part], paths: LabPaths) -> int:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    processes = [await _start(part, paths) for part in parts]
    ends = [asyncio.create_task(process.wait()) for process in processes]
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait([told, *ends], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    for process in processes:
        if process.returncode is None:
            process.kill()
    await asyncio.wait(ends)
    return 0 if stopping.is_set() else 1


async def _start(part: Part, paths: LabPaths) -> asyncio.subprocess.Process:
    for file, text in part.configuration.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    # In a container the way to the others is not loopback.
    own = socket.gethostbyname(socket.gethostname())
    argv = [own if word == addresses.LOOPBACK else word for word in part.argv]
    # One line for each message: who was called how often is for a test to see.
    messages = ("-trace_shortmsg", "-shortmessage_file", f"/tmp/{part.name}.messages")  # noqa: S108
    return await asyncio.create_subprocess_exec(
        *argv,
        *messages,
        cwd=paths.base,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )


if __name__ == "__main__":
    typer.run(phones)
