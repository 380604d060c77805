"""A wall clock that jumps under running services, while seconds go on as they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e_support import lab
from lab import host
from lab.errors import LabError

_LIBRARIES = "usr/lib/*/faketime/libfaketimeMT.so.1"


@dataclass(frozen=True)
class JumpingClock:
    """What the time is for the services that are started with its settings."""

    library: Path
    offset: Path

    @property
    def settings(self) -> dict[str, str]:
        """Have a service live by this clock; what never jumps on a real machine does not here."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset_s: int) -> None:
        """Set the clock that much ahead of the true time, or behind it."""
        # In one step: a half-written file would be another time.
        unfinished = self.offset.with_suffix(".new")
        unfinished.write_text(f"{offset_s:+d}\n", encoding="utf-8")
        unfinished.rename(self.offset)


@contextmanager
def jumping_clock(directory: Path) -> Iterator[JumpingClock]:
    """Give a clock that is right at first; skips where libfaketime cannot be installed."""
    try:
        host.ensure_commands(["faketime"], log=lab.PATHS.log / "install.log", say=print)
    except LabError as error:
        pytest.skip(f"the clock of a process cannot be set here: {error}")
    library = next(Path("/").glob(_LIBRARIES))
    clock = JumpingClock(library, directory / "offset")
    clock.set(0)
    yield clock
