"""Starting daemons, and knowing them again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import control, processes
from lab.errors import LabError
from lab.paths import LabPaths
from lab.processes import Part, RunningPart

SLEEPER = Part(name="sleeper", argv=("sleep", "600"), ports=(), configuration={})


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[LabPaths, int]]:
    """Run one part of a lab of its own; give the lab and the process id."""
    paths = LabPaths(tmp_path / ".lab")
    paths.base.mkdir()
    process = processes.start(SLEEPER, paths)
    yield paths, process.pid
    process.kill()
    process.wait()


def test_a_part_is_found_by_its_mark(running: tuple[LabPaths, int]) -> None:
    """No pid file is needed to find what a lab started, and the pid file tells people the same."""
    paths, pid = running
    (paths.run / "sleeper.pid").unlink()
    found = [part for part in processes.running_parts() if part.lab_dir == paths.base]
    assert found == [RunningPart(pid, paths.base, "sleeper", SLEEPER.recipe)]


def test_a_part_does_not_get_the_callers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets of the shell that starts the lab do not reach its daemons."""
    monkeypatch.setenv("GAPGPT_API_KEY", "secret")
    paths = LabPaths(tmp_path)
    process = processes.start(SLEEPER, paths)
    environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    process.kill()
    process.wait()
    assert b"GAPGPT_API_KEY" not in environment
    assert os.fsencode(tmp_path) in environment


def test_stop_ends_the_process(running: tuple[LabPaths, int]) -> None:
    """After stop nothing of the lab runs, and stopping it again is no error."""
    paths, pid = running
    own = [part for part in processes.running_parts() if part.lab_dir == paths.base]
    processes.stop(own)
    assert not processes.is_alive(pid)
    processes.stop(own)


def test_recipe_follows_command_and_configuration() -> None:
    """A part is known to be outdated when its command line or a file it reads has changed."""
    other_file = dataclasses.replace(SLEEPER, configuration={Path("/x"): "a"})
    other_text = dataclasses.replace(SLEEPER, configuration={Path("/x"): "b"})
    other_command = dataclasses.replace(SLEEPER, argv=("sleep", "601"))
    recipes = {part.recipe for part in (SLEEPER, other_file, other_text, other_command)}
    assert len(recipes) == 4


def test_a_part_that_ends_at_once_is_said(tmp_path: Path) -> None:
    """A daemon that cannot start is one line with its status and where its last words are."""
    part = Part(name="broken", argv=("false",), ports=(), configuration={})
    with pytest.raises(LabError, match=r"broken ended at once \(status 1\).*broken\.out"):
        processes.start(part, LabPaths(tmp_path))


def test_configuration_is_written_private(tmp_path: Path) -> None:
    """Files a part reads exist before it starts; they may hold a password."""
    file = tmp_path / "etc/ari.conf"
    part = dataclasses.replace(SLEEPER, configuration={file: "password"})
    process = processes.start(part, LabPaths(tmp_path))
    process.kill()
    process.wait()
    assert file.read_text() == "password"
    assert file.stat().st_mode & 0o777 == 0o600


def test_unmarked_processes_are_strangers() -> None:
    """Only the mark makes a process the lab's; part and recipe come with it."""
    assert processes.parse_marks(b"PATH=/bin\0HOME=/root\0") is None
    marked = b"SALEHI_LAB_DIR=/a/.lab\0SALEHI_LAB_PART=asterisk\0SALEHI_LAB_RECIPE=12\0"
    assert processes.parse_marks(marked) == (Path("/a/.lab"), "asterisk", "12")


def test_a_lab_of_another_checkout_is_said(tmp_path: Path) -> None:
    """The remedy is that checkout's own `make lab-down`, or kill when the checkout is gone."""
    mine = LabPaths(tmp_path / "mine/.lab")
    other = tmp_path / "other/.lab"
    parts = [
        RunningPart(11, mine.base, "asterisk", ""),
        RunningPart(12, other, "asterisk", ""),
        RunningPart(13, other, "customers", ""),
    ]
    with pytest.raises(LabError, match="kill 12 13"):
        control.refuse_other_labs(parts, mine)
    other.mkdir(parents=True)
    with pytest.raises(LabError, match=f"run `make lab-down` in {other.parent}"):
        control.refuse_other_labs(parts, mine)
    control.refuse_other_labs(parts[:1], mine)
