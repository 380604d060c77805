"""The machine the lab runs on: its release, its packages, and commands run on it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

COMMAND_PACKAGES: Mapping[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "sipp": "sip-tester",
    "espeak-ng": "espeak-ng",
    "ffmpeg": "ffmpeg",
    "faketime": "faketime",
}
"""The Debian (and Ubuntu) package that brings each command the lab, or a test of it, runs."""

_APT_TIMEOUT_S = 600


def codename() -> str:
    """Give the release's code name, such as `bookworm`; empty where there is none."""
    return _os_release().get("VERSION_CODENAME", "")


def is_debian() -> bool:
    """Say whether this is Debian itself, whose archive also carries the suite sid."""
    return _os_release().get("ID") == "debian"


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def run(argv: Sequence[str], *, log: Path, timeout_s: float = _APT_TIMEOUT_S) -> None:
    """Run a command with its output appended to `log`.

    Raises LabError, naming the log, when the command fails or takes longer than `timeout_s`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            subprocess.run(
                argv,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            reason = "failed" if isinstance(error, subprocess.CalledProcessError) else "hung"
            raise LabError(f"{' '.join(argv[:3])} {reason}; see the end of {log}") from error


def output_of(argv: Sequence[str]) -> str:
    """Run a quick command and give what it printed; empty when it is missing or fails."""
    if shutil.which(argv[0]) is None:
        return ""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else ""


def missing_packages(commands: Sequence[str]) -> list[str]:
    """Give the packages whose commands are not on this machine."""
    return [COMMAND_PACKAGES[name] for name in commands if shutil.which(name) is None]


def require_root(commands: Sequence[str]) -> None:
    """Raise LabError with one line that says what to do, unless this user is root."""
    if os.geteuid() == 0:
        return
    missing = missing_packages(commands)
    install = f"`apt-get install {' '.join(missing)}`, then " if missing else ""
    raise LabError(
        "the lab runs Asterisk in a root directory of its own, which takes root: "
        f"{install}run this again as root (sudo)"
    )


def ensure_commands(commands: Sequence[str], *, log: Path, say: Callable[[str], None]) -> None:
    """Install the packages whose commands are missing; takes root.

    Raises LabError with one line that says what to install, where apt is missing.
    """
    missing = missing_packages(commands)
    if not missing:
        return
    names = " ".join(missing)
    if shutil.which("apt-get") is None:
        raise LabError(f"the lab needs these programs, and there is no apt-get here: {names}")
    say(f"installing packages: {names}")
    run(["apt-get", "update", "-q"], log=log)
    run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing], log=log)


def candidate_major(package: str) -> int | None:
    """Give the major version of the package in the machine's own release; None if not in it."""
    match = re.search(r"Candidate: (?:\d+:)?(\d+)\.", output_of(["apt-cache", "policy", package]))
    return int(match[1]) if match else None
