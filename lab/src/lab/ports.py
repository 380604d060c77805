"""Who listens on a port of this machine, read from /proc."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.addresses import Port, Transport

_PROC = Path("/proc")
_TCP_LISTEN = "0A"
_UDP_BOUND = "07"


@dataclass(frozen=True)
class Owner:
    """The process behind a port; `pid` is None where this user may not see it."""

    pid: int | None
    name: str

    def __str__(self) -> str:
        """Name the process as an error message should."""
        return self.name if self.pid is None else f"{self.name} (pid {self.pid})"


def listening_inodes(table: str, port: int, state: str) -> set[str]:
    """Give the socket inodes of a /proc/net table that are bound to `port` in `state`."""
    inodes = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        local_port = int(fields[1].rpartition(":")[2], 16)
        if local_port == port and fields[3] == state:
            inodes.add(fields[9])
    return inodes


def is_taken(port: Port, proc: Path = _PROC) -> bool:
    """Say whether anything listens on `port`."""
    return bool(_inodes(port, proc))


def owner_of(port: Port, proc: Path = _PROC) -> Owner | None:
    """Say who listens on `port`, or None when it is free."""
    inodes = _inodes(port, proc)
    if not inodes:
        return None
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for pid, name, target in _open_files(proc):
        if target in sockets:
            return Owner(pid, name)
    return Owner(None, "a process of another user")


def _inodes(port: Port, proc: Path) -> set[str]:
    inodes: set[str] = set()
    for table, state in _tables(port.transport):
        path = proc / "net" / table
        if path.exists():
            inodes |= listening_inodes(path.read_text(), port.number, state)
    return inodes


def _tables(transport: Transport) -> tuple[tuple[str, str], ...]:
    state = _TCP_LISTEN if transport == "tcp" else _UDP_BOUND
    return ((transport, state), (f"{transport}6", state))


def _open_files(proc: Path) -> Iterator[tuple[int, str, str]]:
    for directory in proc.iterdir():
        if not directory.name.isdigit():
            continue
        try:
            name = (directory / "comm").read_text().strip()
            descriptors = list((directory / "fd").iterdir())
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue  # another user's process, or one that ends just now
        for descriptor in descriptors:
            try:
                target = str(descriptor.readlink())
            except (PermissionError, FileNotFoundError, ProcessLookupError):
                continue  # closed since it was listed
            yield int(directory.name), name, target
