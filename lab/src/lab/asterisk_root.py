"""Installs Asterisk into a root directory of its own.

Debian 12 has no asterisk package; Debian's suite *sid* has. Taken from there into the system it
would bring the whole C library along, so it is unpacked, with what it depends on, into a directory
that only Asterisk uses. Nothing is configured in there and no maintainer script runs: Asterisk
needs its files, not a system. Where the machine's own release carries a recent enough Asterisk,
that one is unpacked.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import apt_sources, host
from lab.apt_sources import AptSource
from lab.errors import LabError
from lab.paths import LabPaths

OLDEST_MAJOR = 20
ASTERISK_USER_ID = 5999
"""The user Asterisk runs as; it exists inside the root directory only."""

_RECIPE = 2
"""Raise it when a root directory made by older code must be made anew."""

_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/bin/false\n"
    f"asterisk:x:{ASTERISK_USER_ID}:{ASTERISK_USER_ID}:Asterisk:/srv/asterisk:/bin/false\n",
    "etc/group": f"root:x:0:\nasterisk:x:{ASTERISK_USER_ID}:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}


@dataclass(frozen=True)
class Origin:
    """Where the Asterisk to unpack comes from."""

    suite: str
    sources: tuple[str, ...]


def choose_origin(
    sources: Sequence[AptSource], *, codename: str, own_major: int | None, is_debian: bool
) -> Origin:
    """Choose the machine's own release where its Asterisk is recent enough, else Debian's sid.

    Raises LabError when neither is to be had.
    """
    own = apt_sources.of_release(sources, codename)
    if own and own_major is not None and own_major >= OLDEST_MAJOR:
        return Origin(codename, tuple(line for source in own for line in source.lines()))
    main = [source for source in own if codename in source.suites]
    if is_debian and main:
        return Origin("sid", tuple(main[0].lines(["sid"])))
    raise LabError(
        f"no package source for Asterisk {OLDEST_MAJOR} or newer was found in /etc/apt: "
        "the lab needs Debian, or a release that carries it"
    )


def ensure(paths: LabPaths, say: Callable[[str], None]) -> None:
    """Install Asterisk unless a complete installation is there; a half-finished one is redone."""
    if not is_complete(paths.root):
        _install(paths, say)
    for directory in ("", "etc", "run", "log", "spool", "spool/recording", "db"):
        own = paths.asterisk_dir / directory
        own.mkdir(parents=True, exist_ok=True)
        os.chown(own, ASTERISK_USER_ID, ASTERISK_USER_ID)


def _install(paths: LabPaths, say: Callable[[str], None]) -> None:
    log = paths.log / "install.log"
    origin = choose_origin(
        apt_sources.read_sources(),
        codename=host.codename(),
        own_major=host.candidate_major("asterisk"),
        is_debian=host.is_debian(),
    )
    unfinished = paths.base / "root.unfinished"
    if unfinished.exists() or paths.root.exists():
        say("a half-finished Asterisk installation is here: doing it again")
    for leftover in (unfinished, paths.root):
        if leftover.exists():
            shutil.rmtree(leftover)
    say(f"installing Asterisk from {origin.suite} into {paths.root} (about half a minute, once)")
    _unpack(origin, unfinished, paths.base, log)
    _complete(unfinished, origin)
    unfinished.rename(paths.root)


def is_complete(root: Path) -> bool:
    """Say whether Asterisk is installed there, by this version of the recipe, to the end."""
    marker = root / "lab.json"
    if not marker.exists() or not (root / "usr/sbin/asterisk").exists():
        return False
    recipe: object = json.loads(marker.read_text()).get("recipe")
    return recipe == _RECIPE


def _unpack(origin: Origin, target: Path, base: Path, log: Path) -> None:
    sources = base / "apt-sources.list"
    sources.write_text("\n".join(origin.sources) + "\n")
    options = base / "apt-options.conf"
    options.write_text(machine_apt_options(host.output_of(["apt-config", "dump", "Acquire"])))
    merged_usr = (
        'cd "$1" && for d in bin sbin lib lib64; do mkdir -p usr/$d && ln -s usr/$d $d; done'
    )
    host.run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=extract",
            "--include=asterisk",
            f"--aptopt={options}",
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=Acquire::Languages "none"',
            f"--setup-hook={merged_usr}",
            origin.suite,
            str(target),
            str(sources),
        ],
        log=log,
    )


def machine_apt_options(dump: str) -> str:
    """Keep how this machine reaches and checks archives (proxy, certificates, dates).

    The index targets are left out: they are apt's own defaults spelled out.
    """
    return "".join(
        f"{line}\n"
        for line in dump.splitlines()
        if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")
    )


def _complete(root: Path, origin: Origin) -> None:
    if not (root / "usr/sbin/asterisk").exists():
        raise LabError(f"the asterisk package of {origin.suite} brought no /usr/sbin/asterisk")
    for name, text in _ACCOUNTS.items():
        (root / name).write_text(text)
    for name in ("proc", "sys", "tmp", "usr/local/share/asterisk/sounds"):
        (root / name).mkdir(parents=True, exist_ok=True)
    sounds = root / "usr/share/asterisk/sounds"
    sounds.mkdir(parents=True, exist_ok=True)
    custom = sounds / "custom"
    if not custom.is_symlink():
        custom.symlink_to("../../../local/share/asterisk/sounds")
    marker = {"recipe": _RECIPE, "suite": origin.suite}
    (root / "lab.json").write_text(json.dumps(marker) + "\n")
