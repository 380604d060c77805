"""Child processes: ffmpeg, espeak-ng and the recognisers. Argument vectors only.

Children are started by the standard library's Popen and not by the event loop: uvloop forks, and a
fork runs gRPC's fork handlers, which crashed 4 of 20 children here once gRPC had threads. Popen
uses vfork, which runs none.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Child:
    """A running child process.

    Attributes:
        pid: its process id.
        stdout: what it writes.
        stdin: where it reads.
    """

    pid: int
    stdout: StreamReader
    stdin: StreamWriter
    _process: subprocess.Popen[bytes]

    async def status(self) -> int:
        """Wait for its end; give the exit status, negative for a signal."""
        return await asyncio.to_thread(self._process.wait)


@asynccontextmanager
async def running(argv: Sequence[str]) -> AsyncIterator[Child]:
    """Start a child; it is killed, if need be, when the block is left.

    Its stderr is discarded (it may quote what was said), and Ctrl-C does not reach it: that is for
    the service, which lets work finish.

    Raises:
        ProgramFailed: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220 - see the module's heading; takes 1 ms
                argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
    except OSError as error:
        ours.close()
        raise ProgramFailed(f"{argv[0]} cannot be started: {error.strerror}") from error
    try:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            yield Child(process.pid, reader, writer, process)
        finally:
            writer.close()
    finally:
        process.kill()  # no effect on one that has ended and been waited for
        process.wait()


async def run_program(argv: Sequence[str], stdin: bytes, timeout_s: float) -> bytes:
    """Feed a program and give what it writes.

    Raises:
        ProgramFailed: it is missing, ends with a status other than 0, or not in time.
    """
    try:
        async with asyncio.timeout(timeout_s), running(argv) as child:
            output, _ = await asyncio.gather(_drain(child.stdout), _feed(child.stdin, stdin))
            status = await child.status()
    except TimeoutError as error:
        raise ProgramFailed(f"{argv[0]} took longer than {timeout_s:.1f} s") from error
    if status != 0 or output is None:
        raise ProgramFailed(f"{argv[0]} ended with status {status}")
    return output


async def _drain(stdout: StreamReader) -> bytes | None:
    """Read to the end; None when the program ended without reading all its input."""
    try:
        return await stdout.read()
    except ConnectionError:
        return None


async def _feed(stdin: StreamWriter, content: bytes) -> None:
    """Write it all; a program that has read enough may close its end."""
    with suppress(ConnectionError):
        stdin.write(content)
        await stdin.drain()
        stdin.write_eof()
