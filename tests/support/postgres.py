"""A real PostgreSQL in a temporary directory, on loopback, for as long as somebody needs it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.ports import free_port

_OWNER = "salehi"
_START_S = 30.0
# Tests kill clients, never the server: it need not survive a power cut.
_CARELESS = ("fsync=off", "full_page_writes=off")


class PostgresMissing(RuntimeError):  # noqa: N818 - named as the state it reports
    """No PostgreSQL server on this machine."""


@dataclass
class PostgresServer:
    """A server in a directory of its own. Anybody on this machine may connect as its owner."""

    programs: Path
    port: int
    directory: Path
    command: Sequence[str]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _process: subprocess.Popen[bytes] | None = None

    def new_database(self) -> str:
        """Make an empty database; give its URL."""
        name = f"test_{next(self._numbers)}"
        command = [f"{self.programs}/createdb", "-h", "127.0.0.1", "-p", str(self.port)]
        _run([*command, "-U", _OWNER, "-T", "template0", name])
        return f"postgresql://{_OWNER}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it, for the first time or again; what was committed is still there."""
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(self.command, stdout=output, stderr=output)
        _wait_until_ready(self, self._process, log)

    def stop(self) -> None:
        """Stop it, however many clients it has."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # SIGTERM would wait for every client to leave
            self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still during the block: connections stay, nobody answers."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        server = self._process.pid
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        frozen = [server, *map(int, children)]
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in frozen:
                os.kill(process, signal.SIGCONT)


@contextmanager
def postgres_server(*, careless: bool = True) -> Iterator[PostgresServer]:
    """Run a server during the block; it dies with this process.

    Args:
        careless: skip what only a crash of the machine needs; false measures a real one's speed.

    Raises:
        PostgresMissing: it is not installed.
    """
    programs = find_programs()
    directory = Path(tempfile.mkdtemp(prefix="salehi-postgres-"))
    try:
        as_owner = _as_owner(directory)
        data = directory / "data"
        initdb = [f"{programs}/initdb", "-D", str(data), "-U", _OWNER, "--auth=trust", "--no-sync"]
        _run([*as_owner, *initdb, "--encoding=UTF8", "--locale=C.UTF-8"])
        port = free_port()
        settings = (
            "listen_addresses=127.0.0.1",
            f"port={port}",
            f"unix_socket_directories={directory}",
            *(_CARELESS if careless else ()),
        )
        options = [part for setting in settings for part in ("-c", setting)]
        command = [*as_owner, f"{programs}/postgres", "-D", str(data), *options]
        server = PostgresServer(programs, port, directory, command)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


def find_programs() -> Path:
    """Give the directory of the newest installed server's programs.

    Raises:
        PostgresMissing: there is none.
    """
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: int(path.parent.parent.name),
    )
    if debian:
        return debian[-1].parent
    found = shutil.which("postgres")
    if found is None:
        raise PostgresMissing("the tests need PostgreSQL: apt-get install postgresql")
    return Path(found).resolve().parent


def _as_owner(directory: Path) -> list[str]:
    """How to run the server's programs: they refuse root, and end with whoever started them."""
    command = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        command += [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return command


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    ready = [f"{server.programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(server.port)]
    give_up_at = time.monotonic() + _START_S
    while subprocess.run(ready, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")
        time.sleep(0.05)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr}")
