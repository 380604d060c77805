"""What the lab asks of the machine it runs on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab import host
from lab.errors import LabError


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no program is found."""
    monkeypatch.setattr(shutil, "which", lambda _name: None)


def test_without_root_one_line_says_what_to_install(
    bare_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who is not root learns the packages and that root is needed, at once."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError) as refused:
        host.require_root(["mmdebstrap", "sipp"])
    assert "`apt-get install mmdebstrap sip-tester`" in str(refused.value)
    assert "as root" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_apt_one_line_says_what_is_missing(bare_machine: None, tmp_path: Path) -> None:
    """Where apt-get is missing nothing is tried; the packages are named."""
    log = tmp_path / "install.log"
    with pytest.raises(LabError, match="no apt-get here: sip-tester espeak-ng ffmpeg"):
        host.ensure_commands(["sipp", "espeak-ng", "ffmpeg"], log=log, say=print)
    assert not log.exists()


def test_nothing_is_installed_that_is_there(tmp_path: Path) -> None:
    """A machine that has every command is left alone."""
    said: list[str] = []
    log = tmp_path / "install.log"
    present = {name for name in host.COMMAND_PACKAGES if shutil.which(name) is not None}
    host.ensure_commands(sorted(present), log=log, say=said.append)
    assert said == []
    assert not log.exists()


def test_a_failing_command_names_its_log(tmp_path: Path) -> None:
    """What went wrong stands in the log that the line names."""
    log = tmp_path / "install.log"
    with pytest.raises(LabError, match=f"sh -c echo .* failed; see the end of {log}"):
        host.run(["sh", "-c", "echo no such package; exit 100"], log=log)
    assert "no such package" in log.read_text()
