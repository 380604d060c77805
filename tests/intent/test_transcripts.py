from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY

from intent.meaning import Language, Meaning, Verdict
from intent.rules import Rules
from intent.strategy import DecidedBy, Decision, ProviderState
from intent.transcripts import Line, TranscriptFiles, TranscriptLog, transcript_log
from servicekit.errors import StartupError

TEHRAN = ZoneInfo("Asia/Tehran")
LATE = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)  # half past midnight of the 23rd in Tehran
RULES = Rules()


def _decision(text: str, language: Language = "fa") -> Decision:
    reply = RULES.read(text, language)
    return Decision(reply, reply.verdict, DecidedBy.RULES, ProviderState.NOT_ASKED)


def _line(text: str, attempt_id: str = "a-1", at: datetime = LATE) -> Line:
    return Line(at, attempt_id, _decision(text))


def _files(folder: Path, days: int = 14) -> TranscriptFiles:
    files = TranscriptFiles(folder / "transcripts", TEHRAN, days)
    files.prepare()
    return files


def _lost(reason: str) -> float:
    name = "salehi_intent_transcripts_lost_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_each_kind_of_reply_has_its_file_of_the_day(tmp_path: Path) -> None:
    """Yes is positive; no and opt-outs are negative; the rest unknown; days are local days."""
    said = ["بله", "نه", "دیگه زنگ نزنید", "شماره منو از کجا آوردید", "الو"]
    _files(tmp_path).append([_line(text) for text in said])
    files = sorted((tmp_path / "transcripts").iterdir())
    assert {path.name: [line["text"] for line in _read(path)] for path in files} == {
        "negative-2026-11-23.jsonl": said[1:3],
        "positive-2026-11-23.jsonl": said[:1],
        "unknown-2026-11-23.jsonl": said[3:],
    }


def test_a_line_tells_the_reply_and_what_was_made_of_it(tmp_path: Path) -> None:
    """A line holds time, attempt, language, text, intent, confidence, who decided and evidence."""
    files = _files(tmp_path)
    files.append([_line('نه "ممنون"\n۰۹۱۲', attempt_id="b" * 1000)])
    (line,) = _read(tmp_path / "transcripts" / "negative-2026-11-23.jsonl")
    assert line.pop("confidence") > 0.5
    assert line == {
        "time": "2026-11-23T00:30:00.000+03:30",
        "attempt_id": "b" * 100,
        "language": "fa",
        "text": 'نه "ممنون"\n۰۹۱۲',
        "intent": "no",
        "decided_by": "rules",
        "evidence": "fa.no.not_so",
    }


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    """The directory is 0700 and each file 0600, whatever the umask lets through."""
    before = os.umask(0)
    try:
        _files(tmp_path).append([_line("بله")])
    finally:
        os.umask(before)
    folder = tmp_path / "transcripts"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """Nothing is written through a symbolic link."""
    files = _files(tmp_path)
    target = tmp_path / "elsewhere"
    target.write_text("")
    (tmp_path / "transcripts" / "positive-2026-11-23.jsonl").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        files.append([_line("بله")])
    assert target.read_text() == ""


def test_days_whose_time_is_over_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    """With 2 days kept, today and yesterday stay; foreign files stay whatever their name."""
    files = _files(tmp_path, days=2)
    folder = tmp_path / "transcripts"
    names = [f"{kind}-2026-11-{day}.jsonl" for kind in ("positive", "unknown") for day in (21, 22)]
    for name in [*names, "negative-2025-01-01.jsonl", "notes.txt", "positive-9999-99-99.jsonl"]:
        (folder / name).write_text("{}\n")
    files.sweep(LATE)
    assert {path.name for path in folder.iterdir()} == {
        "positive-2026-11-22.jsonl",
        "unknown-2026-11-22.jsonl",
        "notes.txt",
        "positive-9999-99-99.jsonl",
    }


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A place that cannot be written is refused at start, naming setting and remedy."""
    (tmp_path / "transcripts").write_text("a file")
    with pytest.raises(StartupError, match=r"TRANSCRIPT_LOG_DIR=.*name a directory") as caught:
        _files(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


async def test_what_was_taken_is_written_before_the_end(tmp_path: Path) -> None:
    """All replies taken are on disk, in order, when the log is closed; old days are gone."""
    files = TranscriptFiles(tmp_path / "transcripts", TEHRAN, 14)
    files.prepare()
    old = tmp_path / "transcripts" / "positive-2001-01-01.jsonl"
    old.write_text("{}\n")
    async with transcript_log(files) as log:
        for number in range(300):
            log.add(str(number), _decision("بله"))
    (path,) = (tmp_path / "transcripts").iterdir()
    assert [line["attempt_id"] for line in _read(path)] == [str(n) for n in range(300)]
    assert not old.exists()


class _SlowDisk(TranscriptFiles):
    """A disk that writes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), TEHRAN, 14)
        self.let = threading.Event()
        self.writing = threading.Event()
        self.written: list[str] = []

    def sweep(self, now: datetime) -> None:
        """Finds nothing to delete."""

    def append(self, lines: Sequence[Line]) -> None:
        """Writes once let."""
        self.writing.set()
        assert self.let.wait(30)
        self.written += [line.attempt_id for line in lines]


async def test_a_slow_disk_delays_nobody_and_memory_is_bounded() -> None:
    """While the disk hangs, replies are taken at once; beyond 1,000 they are counted as lost."""
    disk = _SlowDisk()
    log = TranscriptLog(disk)
    decision = _decision("بله")
    before = _lost("queue")
    async with asyncio.TaskGroup() as group:
        group.create_task(log.run())
        log.add("first", decision)
        while not disk.writing.is_set():
            await asyncio.sleep(0.01)
        for number in range(1200):
            log.add(str(number), decision)
        assert _lost("queue") == before + 200
        disk.let.set()
        log.close()
    assert disk.written == ["first", *(str(number) for number in range(1000))]


class _FullDisk(TranscriptFiles):
    """A disk that is full until there is room."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), TEHRAN, 14)
        self.full = True
        self.tried = 0

    def sweep(self, now: datetime) -> None:
        """Cannot even look."""
        raise PermissionError(13, f"Permission denied at {now}")

    def append(self, lines: Sequence[Line]) -> None:
        """Fails while full."""
        self.tried += len(lines)
        if self.full:
            raise OSError(28, "No space left on device")


async def test_a_full_disk_is_told_once_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Disk errors end nothing: one warning until it works again, and every lost line counted."""
    disk = _FullDisk()
    log = TranscriptLog(disk)
    before = _lost("disk")
    async with asyncio.TaskGroup() as group:
        group.create_task(log.run())
        for full in (True, True, False, True):
            disk.full = full
            tried = disk.tried
            log.add("x", _decision("بله"))
            while disk.tried == tried:
                await asyncio.sleep(0.005)
        log.close()
    assert _lost("disk") == before + 3
    assert capsys.readouterr().out.count("transcript log cannot be written") == 2


def test_every_meaning_has_a_file(tmp_path: Path) -> None:
    """No meaning is left without a place in the log."""
    reply = RULES.read("x", "en")
    for meaning in Meaning:
        verdict = Verdict(meaning, 0.9, "m-1")
        decision = Decision(reply, verdict, DecidedBy.LLM, ProviderState.OK)
        _files(tmp_path).append([Line(LATE, "a", decision)])
    written = [line for path in (tmp_path / "transcripts").iterdir() for line in _read(path)]
    assert sorted(line["intent"] for line in written) == sorted(Meaning)
