"""A real Redis for tests: a server of its own on a free port, gone with the block."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from support.ports import free_port

_STARTS_WITHIN_S = 20.0


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis that keeps its log on disk; give its address, without the number."""
    # One program under two names: which server or tool it is, its first argument says.
    program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    assert program, "redis-server is missing: run scripts/redis.sh"
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [
                "redis-server",
                *("--bind", "127.0.0.1", "--port", str(port), "--dir", directory),
                *("--appendonly", "yes", "--save", "", "--databases", "1000"),
            ],
            executable=program,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    deadline_s = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline_s, "redis-server does not answer"
            time.sleep(0.02)
        else:
            return
