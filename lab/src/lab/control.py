"""Brings the lab up, takes it down, says how it is."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from lab import (
    addresses,
    ari_probe,
    asterisk_config,
    asterisk_root,
    env_file,
    host,
    network,
    ports,
    processes,
    prompts,
)
from lab.addresses import Port
from lab.behaviours import PromptLengths
from lab.errors import LabError
from lab.paths import ASTERISK_DIR_INSIDE, REPOSITORY, LabPaths
from lab.processes import Part, RunningPart

Network = Literal["sipp", "none"]
Say = Callable[[str], None]

ASTERISK_NAME = "asterisk"

_READY_S = 20.0
_LISTEN_S = 5.0
_LOCK_S = 120.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Wanted:
    """What the user asks for."""

    network: Network = "sipp"
    language: str = "en"
    hello_ms: int | None = None
    number_ms: int | None = None
    yes_ms: int | None = None
    """Prompt lengths the simulated people wait for; None = as long as the prompts there are."""


def up(paths: LabPaths, wanted: Wanted, say: Say) -> None:
    """Start what is not running, and return when calls work.

    Raises LabError with one line that says what is in the way.
    """
    needed = _needed_commands(paths, wanted.network)
    host.require_root(needed)
    with _alone(paths):
        refuse_other_labs(processes.running_parts(), paths)
        refuse_taken_ports(_wanted_ports(wanted.network), _own(paths))
        host.ensure_commands(needed, log=paths.log / "install.log", say=say)
        asterisk_root.ensure(paths, say)
        password = asterisk_config.ari_password(paths)
        parts = [
            *_network_parts(paths, wanted),
            _asterisk_part(paths, password, wanted.network),
        ]
        started = _start_missing(paths, parts, password, say)
        _wait_ready(paths, password, wanted.network)
        env_file.write(paths.env_file, env_file.lab_settings(paths, password))
        if not started:
            say("everything was already running")


def down(paths: LabPaths, say: Say) -> None:
    """End every process this lab ever started and that still runs."""
    with _alone(paths):
        own = _own(paths)
        processes.stop(own)
        for name in sorted({part.name for part in own}):
            say(f"stopped {name}")
        if not own:
            say("nothing was running")
        for pid_file in paths.run.glob("*.pid"):
            pid_file.unlink()
        paths.env_file.unlink(missing_ok=True)


def status(paths: LabPaths, say: Say) -> bool:
    """Say what runs where; True when Asterisk runs and answers."""
    own = {part.name: part for part in _own(paths)}
    for name, listens in (
        (ASTERISK_NAME, (addresses.SIP, addresses.ARI)),
        (network.CUSTOMERS_NAME, (addresses.TRUNK,)),
        (network.OPERATORS_NAME, (addresses.OPERATORS,)),
    ):
        where = ", ".join(f"{port.purpose} {port.address}" for port in listens)
        state = f"pid {own[name].pid}" if name in own else "not running"
        say(f"{name:10} {state:12} {where}")
    answer = ari_probe.probe(asterisk_config.ari_password(paths))
    if answer is None:
        say("Asterisk does not answer on ARI: `make lab` starts it")
        return False
    peers = "nobody asks whether its peers are there"
    if network.CUSTOMERS_NAME in own:
        peers = f"reachable: {', '.join(sorted(answer.reachable)) or 'none'}"
    say(f"Asterisk {answer.version.partition('+')[0]}, {peers}")
    say(f"settings   {paths.env_file}")
    say(f"logs       {paths.log}, {paths.asterisk_dir / 'log'}")
    return True


def refuse_other_labs(running: list[RunningPart], paths: LabPaths) -> None:
    """Raise LabError when a lab of another directory runs: the ports are the same."""
    others = [part for part in running if part.lab_dir != paths.base]
    if not others:
        return
    lab_dir = others[0].lab_dir
    pids = " ".join(str(part.pid) for part in others)
    remedy = f"run `make lab-down` in {lab_dir.parent}" if lab_dir.exists() else f"kill {pids}"
    raise LabError(f"another lab is still running, from {lab_dir} (pid {pids}): {remedy}")


def _own(paths: LabPaths) -> list[RunningPart]:
    return [part for part in processes.running_parts() if part.lab_dir == paths.base]


def _needed_commands(paths: LabPaths, wanted: Network) -> list[str]:
    commands = [] if asterisk_root.is_complete(paths.root) else ["mmdebstrap"]
    return [*commands, "sipp", "espeak-ng", "ffmpeg"] if wanted == "sipp" else commands


def _wanted_ports(wanted: Network) -> tuple[Port, ...]:
    asterisk = (addresses.ARI, addresses.SIP)
    return (*asterisk, addresses.TRUNK, addresses.OPERATORS) if wanted == "sipp" else asterisk


def refuse_taken_ports(wanted: Iterable[Port], own: Iterable[RunningPart]) -> None:
    """Raise LabError naming the first port that a program other than this lab's listens on."""
    own_pids = {part.pid for part in own}
    for port in wanted:
        owner = ports.owner_of(port)
        if owner is not None and owner.pid not in own_pids:
            raise LabError(
                f"port {port} is taken by {owner}: stop that program, the lab needs the port"
            )


def _network_parts(paths: LabPaths, wanted: Wanted) -> list[Part]:
    if wanted.network == "none":
        return []
    measured = prompts.measure(paths.sound_dir / wanted.language, PromptLengths())
    lengths = PromptLengths(
        hello_ms=measured.hello_ms if wanted.hello_ms is None else wanted.hello_ms,
        number_ms=measured.number_ms if wanted.number_ms is None else wanted.number_ms,
        yes_ms=measured.yes_ms if wanted.yes_ms is None else wanted.yes_ms,
    )
    phones = network.prepare(paths, lengths)
    return [phones.customers, phones.operators]


def _asterisk_part(paths: LabPaths, password: str, wanted: Network) -> Part:
    values = asterisk_config.placeholders(ari_password=password, qualify=wanted == "sipp")
    files = asterisk_config.render_all(REPOSITORY / "deploy/asterisk", values)
    argv = (
        *("chroot", str(paths.root), "/usr/sbin/asterisk", "-f", "-U", "asterisk"),
        *("-G", "asterisk", "-C", f"{ASTERISK_DIR_INSIDE}/etc/asterisk.conf"),
    )
    return Part(
        name=ASTERISK_NAME,
        argv=argv,
        ports=(addresses.ARI, addresses.SIP),
        configuration={paths.asterisk_dir / "etc" / name: text for name, text in files.items()},
        file_owner=asterisk_root.ASTERISK_USER_ID,
    )


def _start_missing(paths: LabPaths, parts: list[Part], password: str, say: Say) -> bool:
    """Start the parts that are missing, outdated or half-started; True when there was one."""
    own = _own(paths)
    wanted_names = {part.name for part in parts}
    unwanted = [part for part in own if part.name not in wanted_names]
    for name in sorted({part.name for part in unwanted}):
        say(f"stopping {name}: not part of the network asked for")
    processes.stop(unwanted)
    started = False
    for part in parts:
        mine = [running for running in own if running.name == part.name]
        reason = _reason_to_start(part, mine, password)
        if reason is None:
            continue
        say(f"starting {part.name}: {reason}" if reason else f"starting {part.name}")
        processes.stop(mine)
        processes.start(part, paths)
        _wait_listening(part, paths)
        started = True
    return started


def _reason_to_start(part: Part, mine: list[RunningPart], password: str) -> str | None:
    """Say why the part must be (re)started: None = it need not, empty = it is not there."""
    if not mine:
        return ""
    if len(mine) > 1:
        return f"{len(mine)} of them were left over"
    if mine[0].recipe != part.recipe:
        return "its settings changed"
    if not _within(_LISTEN_S, lambda: _works(part, password)):
        return f"the one running (pid {mine[0].pid}) is half-started or hangs"
    return None


def _works(part: Part, password: str) -> bool:
    if part.name == ASTERISK_NAME:
        return ari_probe.probe(password) is not None
    return _listens(part)


def _listens(part: Part) -> bool:
    return all(ports.is_taken(port) for port in part.ports)


def _within(limit_s: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _wait_listening(part: Part, paths: LabPaths) -> None:
    if not _within(_LISTEN_S, lambda: _listens(part)):
        missing = [str(port) for port in part.ports if not ports.is_taken(port)]
        raise LabError(
            f"{part.name} does not listen on {', '.join(missing)} after {_LISTEN_S:.0f} s; "
            f"see {paths.log} and, for Asterisk, {paths.asterisk_dir / 'log/messages'}"
        )


def _wait_ready(paths: LabPaths, password: str, wanted: Network) -> None:
    """Wait until a call would go through: ARI answers and, with SIPp, both peers are reachable."""
    needed = {asterisk_config.TRUNK_NAME, asterisk_config.OPERATORS_NAME}
    needed = needed if wanted == "sipp" else set()
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        state = ari_probe.probe(password)
        if state is not None and needed <= state.reachable:
            return
        time.sleep(_POLL_S)
    what = "its peers are not reachable" if state else "ARI does not answer"
    raise LabError(
        f"Asterisk is not ready after {_READY_S:.0f} s ({what}): `make lab-down`, then `make lab`; "
        f"its log is {paths.asterisk_dir / 'log/messages'}"
    )


@contextmanager
def _alone(paths: LabPaths) -> Iterator[None]:
    """Let one `up` or `down` work on this lab at a time."""
    try:
        paths.run.mkdir(parents=True, exist_ok=True)
        file = (paths.run / "lock").open("w")
    except PermissionError as error:
        raise LabError(f"{paths.base} belongs to another user: run this as that user") from error
    with file as lock:
        deadline = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise LabError(
                        f"another `make lab` has held {lock.name} for {_LOCK_S:.0f} s: end it first"
                    ) from error
            time.sleep(_POLL_S)
        yield
