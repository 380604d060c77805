"""Runs the five services of this machine in the foreground, as one program.

For a machine without containers. A service that ends by itself is started again; one that cannot
start at all (status 3: a setting, a port, Asterisk) ends the whole, with its line on the screen.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from servicekit.errors import EXIT_CANNOT_START

# Those who dial stop first: the others must be there until the last result is handed over.
STOP_ORDER: tuple[tuple[str, ...], ...] = (
    ("dialer",),
    ("ari-gateway",),
    ("speech", "intent", "reporter"),
)
_RESTART_AFTER_S = 2.0
_LAST_WAIT_S = 5.0


class Supervisor:
    """Starts, watches and stops the services."""

    def __init__(self, programs: Path, names: Sequence[str]) -> None:
        self._programs = programs
        self._names = names
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Run until a signal arrives or a service cannot start; give the exit status."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._signalled)
        async with asyncio.TaskGroup() as tasks:
            for name in self._names:
                tasks.create_task(self._keep(name))
            await self._stopping.wait()
            await self._stop()
        return self._status

    def _signalled(self) -> None:
        """Stop in order; on a second signal, at once."""
        if self._stopping.is_set():
            for process in self._processes.values():
                process.kill()
        self._stopping.set()

    async def _keep(self, name: str) -> None:
        """Run one service, again and again until all are stopped."""
        started_before = False
        while not self._stopping.is_set():
            # A session of its own: Ctrl-C reaches this program only, which then stops in order.
            process = await asyncio.create_subprocess_exec(
                self._programs / name, start_new_session=True
            )
            self._processes[name] = process
            status = await process.wait()
            del self._processes[name]
            if self._stopping.is_set():
                return
            if status == EXIT_CANNOT_START and not started_before:
                self._status = status
                self._stopping.set()
                return
            started_before = True
            _say(f"{name} ended with status {status}; starting it again")
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_RESTART_AFTER_S):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _stop(self) -> None:
        for names in STOP_ORDER:
            ending = [self._processes[name] for name in names if name in self._processes]
            for process in ending:
                process.terminate()
            last = names == STOP_ORDER[-1]
            await self._wait_for(ending, _LAST_WAIT_S if last else None)

    async def _wait_for(
        self, ending: Sequence[asyncio.subprocess.Process], limit_s: float | None
    ) -> None:
        if not ending:
            return
        waits = [asyncio.ensure_future(process.wait()) for process in ending]
        _, late = await asyncio.wait(waits, timeout=limit_s)
        if late:
            for process in ending:
                if process.returncode is None:
                    process.kill()
            await asyncio.wait(late)


def _say(text: str) -> None:
    print(f"salehi: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the user's line


def main() -> None:
    """Run all five services."""
    names = [name for group in STOP_ORDER for name in group]
    programs = Path(sys.executable).parent
    sys.exit(asyncio.run(Supervisor(programs, names).run()))


if __name__ == "__main__":
    main()
