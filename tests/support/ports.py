"""Ports for the servers of tests, which no other test and no outgoing connection takes."""

from __future__ import annotations

import itertools
import os
import socket

# Below the range from which Linux takes the ports of outgoing connections (32768 and up), and
# apart from those of the lab: a port found free there stays free until its server binds it.
FIRST, PER_WORKER = 21000, 1000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_block = range(FIRST + _worker * PER_WORKER, FIRST + (_worker + 1) * PER_WORKER)
_first = os.getpid() % PER_WORKER
_candidates = itertools.cycle([*_block[_first:], *_block[:_first]])


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody uses, and that is not given again for a long while."""
    port: int
    for port in itertools.islice(_candidates, PER_WORKER):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no port between {_block.start} and {_block.stop - 1} is free")
