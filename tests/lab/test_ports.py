"""Telling who listens on a port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lab import control, ports
from lab.addresses import Port
from lab.errors import LabError
from lab.processes import RunningPart

TCP_TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:1F98 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: 0100007F:1F99 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1
"""


def test_only_listening_sockets_count() -> None:
    """An established connection on the port is not somebody listening there."""
    assert ports.listening_inodes(TCP_TABLE, 8088, "0A") == {"4711"}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_owner_of_a_taken_port_is_this_process(transport: str) -> None:
    """The program behind a port is found by name and process id."""
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = Port(taken.getsockname()[1], "tcp" if transport == "tcp" else "udp", "test")
        owner = ports.owner_of(port)
        assert owner is not None
        assert owner.pid == os.getpid()
    assert ports.owner_of(port) is None
    assert not ports.is_taken(port)


def test_stranger_on_a_port_is_one_line_that_says_what_to_do() -> None:
    """The message names port, purpose and program; the lab's own process is no stranger."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = Port(taken.getsockname()[1], "udp", "SIP")
        with pytest.raises(LabError) as refused:
            control.refuse_taken_ports([port], [])
        assert f"port {port.number}/udp (SIP) is taken by" in str(refused.value)
        assert f"(pid {os.getpid()}): stop that program" in str(refused.value)
        own = RunningPart(os.getpid(), Path("/lab"), "asterisk", "")
        control.refuse_taken_ports([port], [own])
