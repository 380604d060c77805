"""The lab's daemons: started detached, found again by a mark in their environment.

A pid file can be stale, lost with its checkout, or name a stranger who got the same number. The
environment a process was started with cannot, so that is what tells the lab's processes from all
others, including those of a lab in another checkout.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.addresses import Port
from lab.errors import LabError
from lab.paths import LabPaths

_LAB_KEY = "SALEHI_LAB_DIR"
_PART_KEY = "SALEHI_LAB_PART"
_RECIPE_KEY = "SALEHI_LAB_RECIPE"

_STOP_S = 5.0
"""How long a part may take to end by itself before it is killed."""


@dataclass(frozen=True)
class Part:
    """A daemon of the lab: what to run, and the ports by which it is known to be up."""

    name: str
    argv: tuple[str, ...]
    ports: tuple[Port, ...]
    configuration: Mapping[Path, str]
    """The files it reads at its start; when they change it is restarted."""
    file_owner: int | None = None
    """The user id the files are given to; None leaves them with this user."""

    @property
    def recipe(self) -> str:
        """A digest that changes when the part has to be restarted."""
        text = "\0".join((*self.argv, *self.configuration.values()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RunningPart:
    """A process that some lab on this machine started."""

    pid: int
    lab_dir: Path
    name: str
    recipe: str


def running_parts(proc: Path = Path("/proc")) -> list[RunningPart]:
    """Find the processes of every lab on this machine that this user may see."""
    found = []
    for directory in proc.iterdir():
        if not directory.name.isdigit():
            continue
        try:
            environment = (directory / "environ").read_bytes()
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue  # another user's process, or one that just ended
        marks = parse_marks(environment)
        if marks is not None:
            found.append(RunningPart(int(directory.name), *marks))
    return found


def parse_marks(environment: bytes) -> tuple[Path, str, str] | None:
    """Read lab directory, part and recipe out of a /proc environ block; None when unmarked."""
    pairs = (entry.partition("=") for entry in environment.decode(errors="replace").split("\0"))
    values = {key: value for key, _, value in pairs}
    if _LAB_KEY not in values:
        return None
    return Path(values[_LAB_KEY]), values.get(_PART_KEY, ""), values.get(_RECIPE_KEY, "")


def start(part: Part, paths: LabPaths) -> subprocess.Popen[bytes]:
    """Start the part in a session of its own, so that it outlives the caller.

    Raises LabError when it ends at once.
    """
    marks = {_LAB_KEY: str(paths.base), _PART_KEY: part.name, _RECIPE_KEY: part.recipe}
    paths.run.mkdir(parents=True, exist_ok=True)
    paths.log.mkdir(parents=True, exist_ok=True)
    _write_configuration(part)
    log_file = paths.log / f"{part.name}.out"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            part.argv,
            cwd=paths.base,
            env={"PATH": os.environ.get("PATH", os.defpath), "TERM": "dumb", **marks},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    (paths.run / f"{part.name}.pid").write_text(f"{process.pid}\n")
    time.sleep(0.05)  # a program that cannot even begin has ended by now
    if process.poll() is not None:
        raise LabError(
            f"{part.name} ended at once (status {process.returncode}); "
            f"its last words are in {log_file}"
        )
    return process


def _write_configuration(part: Part) -> None:
    for file, text in part.configuration.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(text)
        if part.file_owner is not None:
            os.chown(file, part.file_owner, part.file_owner)


def stop(parts: Sequence[RunningPart]) -> None:
    """End the processes: politely, and after a few seconds not.

    Raises LabError when a process cannot be ended by this user.
    """
    for part in parts:
        _signal(part, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while any(is_alive(part.pid) for part in parts) and time.monotonic() < deadline:
        time.sleep(0.05)
    for part in parts:
        if is_alive(part.pid):
            _signal(part, signal.SIGKILL)
            _wait_gone(part.pid)


def is_alive(pid: int) -> bool:
    """Say whether the process exists and is not just a zombie waiting for its parent."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _signal(part: RunningPart, number: signal.Signals) -> None:
    try:
        os.kill(part.pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise LabError(
            f"{part.name} (pid {part.pid}) belongs to another user: run this as that user"
        ) from error


def _wait_gone(pid: int) -> None:
    deadline = time.monotonic() + _STOP_S
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
