"""Where the lab keeps its things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
"""The checkout this package is installed from (an editable install)."""

ASTERISK_DIR_INSIDE = "/srv/asterisk"
"""Asterisk's configuration and everything it writes, as Asterisk itself sees it."""


@dataclass(frozen=True)
class LabPaths:
    """The tree below one lab directory (by default `.lab` in the checkout)."""

    base: Path

    @property
    def root(self) -> Path:
        """The root directory of its own in which Asterisk is installed and runs."""
        return self.base / "root"

    @property
    def asterisk_dir(self) -> Path:
        """`ASTERISK_DIR_INSIDE`, seen from outside."""
        return self.root / ASTERISK_DIR_INSIDE.lstrip("/")

    @property
    def sound_dir(self) -> Path:
        """What Asterisk plays as `sound:custom/...` (AST_SOUND_DIR)."""
        return self.root / "usr/local/share/asterisk/sounds"

    @property
    def audio(self) -> Path:
        """What the simulated people say."""
        return self.base / "audio"

    @property
    def sipp(self) -> Path:
        """The rendered SIPp scenarios."""
        return self.base / "sipp"

    @property
    def run(self) -> Path:
        """Process ids and the lock that lets one `up` or `down` run at a time."""
        return self.base / "run"

    @property
    def log(self) -> Path:
        """Output of everything the lab starts."""
        return self.base / "log"

    @property
    def env_file(self) -> Path:
        """The settings of the running lab, in the syntax of `.env`."""
        return self.base / "lab.env"

    @property
    def password_file(self) -> Path:
        """The ARI password, made once for each lab."""
        return self.base / "ari_password"
