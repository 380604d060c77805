"""Review copies: where they lie, that nothing waits for them, and that they go in time."""

from __future__ import annotations

import functools
import os
import resource
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from salehi.speech.v1 import speech_pb2 as pb
from servicekit.errors import StartupError
from speech.audio import Recording, read_wav, write_wav
from speech.capacity import Capacity
from speech.hearing import Hearing
from speech.review import ReviewCopies
from speech.settings import SpeechSettings
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, ScriptedTts, synthesizer_of, transcriber_of
from speech_support.phone import hiss, reply_wav
from speech_support.service import served
from support.timing import HandClock, eventually, running

REPLY = hiss(0.1, 500)
SILENCE = write_wav(bytes(32000), 16000)
ATTEMPT = "2f5b7a1e-9c3d-4e8f-a6b1-0d2c4e6f8a90"
DAY_S = 86_400.0


def _count(outcome: str) -> float:
    value = REGISTRY.get_sample_value("salehi_review_copies_total", {"outcome": outcome})
    return value or 0.0


def _tree(directory: Path) -> list[str]:
    """Give all that is below a directory, as paths from there."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


class Shelf:
    """A directory of copies, with what is around it."""

    def __init__(self, around: Path) -> None:
        self.around = around
        self.directory = around / "review"
        self.clock = HandClock()
        self.copies = self.reopened()

    def reopened(self) -> ReviewCopies:
        """Give the copies as a service that starts anew finds them; it keeps them for 14 days."""
        return ReviewCopies(self.directory, 14, self.clock, sweep_every_s=0.02)

    async def keep(self, *attempts: str) -> None:
        """Keep a reply of each attempt, and wait until that is done."""
        for attempt in attempts:
            self.copies.keep(attempt, REPLY)
        await self.copies.settled()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    """An empty shelf that is being looked after."""
    shelf = Shelf(tmp_path)
    async with running(shelf.copies.run()):
        yield shelf


async def test_replies_lie_under_their_attempt(shelf: Shelf) -> None:
    """Each reply is a WAV file with its number and time, which no other user can read."""
    await shelf.keep(ATTEMPT)
    shelf.clock.advance(5)
    await shelf.keep(ATTEMPT)
    names = [f"{ATTEMPT}/1-20260504T083000Z.wav", f"{ATTEMPT}/2-20260504T083005Z.wav"]
    assert _tree(shelf.directory) == [ATTEMPT, *names]
    for name in names:
        file = shelf.directory / name
        assert read_wav(file.read_bytes()) == REPLY
        assert file.stat().st_mode & 0o777 == 0o600
    for directory in (shelf.directory, shelf.directory / ATTEMPT):
        assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "written",
    [ATTEMPT.upper(), f"{{{ATTEMPT}}}", f"urn:uuid:{ATTEMPT}", ATTEMPT.replace("-", "")],
)
async def test_an_attempt_has_one_name(shelf: Shelf, written: str) -> None:
    """However a UUID is written, its directory has the canonical name."""
    await shelf.keep(written)
    assert [path.name for path in shelf.directory.iterdir()] == [ATTEMPT]


@pytest.mark.parametrize(
    "attempt",
    [
        "",
        "../evil",
        "/tmp/evil",  # noqa: S108 - a name, not a file
        "..",
        f"../{ATTEMPT}",
        f"{ATTEMPT}/../../evil",
        f"{ATTEMPT}\0",
        f"{ATTEMPT}\n",
        "a" * 100_000,
        "{" * 32,
        "شماره",
    ],
)
async def test_what_is_no_uuid_names_nothing(shelf: Shelf, attempt: str) -> None:
    """No name that comes from outside becomes a path, and no copy is kept under another."""
    before = _count("unnamed")
    await shelf.keep(attempt)
    assert _count("unnamed") == before + 1
    assert _tree(shelf.around) == []


async def test_links_are_not_followed(shelf: Shelf) -> None:
    """Where an attempt's directory is a link elsewhere, nothing is written or deleted there."""
    elsewhere = shelf.around / "elsewhere"
    elsewhere.mkdir()
    old = elsewhere / "1-20200101T000000Z.wav"
    old.write_bytes(b"somebody else's")
    shelf.directory.mkdir()
    (shelf.directory / ATTEMPT).symlink_to(elsewhere)
    before = _count("failed")
    await shelf.keep(ATTEMPT)
    assert _count("failed") == before + 1
    await _swept(shelf)
    assert list(elsewhere.iterdir()) == [old]


async def test_a_link_in_the_place_of_a_copy_is_not_written_through(shelf: Shelf) -> None:
    """A link that waits under the next name, wherever it leads, stays what it is."""
    target = shelf.around / "target"
    target.write_bytes(b"somebody else's")
    attempt = shelf.directory / ATTEMPT
    attempt.mkdir(parents=True)
    (attempt / "1-20260504T083000Z.wav").symlink_to(target)
    await shelf.keep(ATTEMPT)
    assert target.read_bytes() == b"somebody else's"


def _is_gone(path: Path) -> bool:
    return not path.exists()


async def _swept(shelf: Shelf) -> None:
    """Let the shelf be looked through at least once, to the end."""
    for _ in range(2):
        old = shelf.directory / str(uuid.uuid4()) / "1-20200101T000000Z.wav"
        old.parent.mkdir(parents=True)
        old.write_bytes(b"old")
        await eventually(functools.partial(_is_gone, old.parent))


async def test_copies_go_when_their_time_is_over(shelf: Shelf) -> None:
    """After 14 days, not before, a copy is deleted, and its directory with the last one."""
    await shelf.keep(ATTEMPT)
    shelf.clock.advance(10 * DAY_S)
    later = str(uuid.uuid4())
    await shelf.keep(ATTEMPT, later)
    shelf.clock.advance(4 * DAY_S)
    await _swept(shelf)
    assert len(_tree(shelf.directory)) == 5
    shelf.clock.advance(1)
    await eventually(lambda: len(_tree(shelf.directory)) == 4)
    assert (shelf.directory / ATTEMPT / "2-20260514T083000Z.wav").is_file()
    shelf.clock.advance(10 * DAY_S)
    await eventually(lambda: _tree(shelf.directory) == [])


async def test_copies_of_an_earlier_run_go_too(shelf: Shelf) -> None:
    """What lay there when the service started is deleted at once if its time is over."""
    await shelf.keep(ATTEMPT)
    shelf.clock.advance(30 * DAY_S)
    again = ReviewCopies(shelf.directory, 14, shelf.clock)
    async with running(again.run()):
        await eventually(lambda: _tree(shelf.directory) == [])


async def test_only_our_copies_are_deleted(shelf: Shelf) -> None:
    """Whatever else lies there, however old, stays, and so does the directory that holds it."""
    attempt = str(uuid.uuid4())
    others = [
        f"{attempt}/notes.txt",
        f"{attempt}/1-20200101T000000Z.wav.bak",
        f"{attempt}/x1-20200101T000000Z.wav",
        f"{attempt}/1-20200199T000000Z.wav",
        "not-an-attempt/1-20200101T000000Z.wav",
        f"{attempt.upper()}x/1-20200101T000000Z.wav",
        "1-20200101T000000Z.wav",
        str(uuid.uuid4()),  # a file named like a directory of ours
    ]
    for name in others:
        path = shelf.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    outside = shelf.around / "1-20200101T000000Z.wav"
    outside.write_bytes(b"x")
    ours = shelf.directory / attempt / "2-20200101T000000Z.wav"
    ours.write_bytes(b"old")
    await eventually(lambda: not ours.exists())
    await _swept(shelf)
    assert all((shelf.directory / name).is_file() for name in others)
    assert outside.is_file()


async def test_a_copy_that_cannot_be_deleted_stops_no_other(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory where deleting fails is passed over; the rest goes."""
    stuck = "7-20200101T000000Z.wav"
    delete = os.unlink

    def fail(name: str, *, dir_fd: int) -> None:
        if name == stuck:
            raise PermissionError(1, "not permitted")
        delete(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", fail)
    for first in range(16):
        directory = shelf.directory / f"{first:x}{ATTEMPT[1:]}"
        directory.mkdir(parents=True)
        (directory / (stuck if first % 2 else "8-20200101T000000Z.wav")).write_bytes(b"old")
    await eventually(lambda: len(list(shelf.directory.iterdir())) == 8)
    assert {path.name for path in shelf.directory.rglob("*.wav")} == {stuck}


async def test_a_disk_that_fails_is_told_once(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    """While nothing can be written there is one warning, a count of what is lost, and no error."""
    shelf.directory.write_text("a file where the directory should be")
    before = _count("failed")
    await shelf.keep(ATTEMPT, ATTEMPT, ATTEMPT)
    assert _count("failed") == before + 3
    assert capsys.readouterr().out.count("review copies cannot be kept") == 1
    shelf.directory.unlink()
    await shelf.keep(ATTEMPT)
    assert len(_tree(shelf.directory)) == 2


async def test_a_slow_disk_holds_nobody_up(tmp_path: Path) -> None:
    """When too many wait, further ones are dropped and counted; keeping returns at once."""
    copies = ReviewCopies(tmp_path, 14)
    before = _count("dropped")
    for _ in range(40):
        copies.keep(ATTEMPT, REPLY)
    assert _count("dropped") == before + 8
    async with running(copies.run()):
        await copies.settled()
    assert len(_tree(tmp_path)) == 33


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let no file grow beyond a megabyte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
async def test_what_fails_half_way_is_removed(shelf: Shelf) -> None:
    """A copy the disk has no room for leaves nothing half-written."""
    before = _count("failed")
    shelf.copies.keep(ATTEMPT, Recording(bytes(1_500_000), 16000, 8000))
    await shelf.copies.settled()
    assert _count("failed") == before + 1
    assert _tree(shelf.directory) == [ATTEMPT]


def test_a_directory_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """The message names REVIEW_DIR and says what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"REVIEW_DIR=.*cannot be used.*REVIEW_COPIES=off"):
        ReviewCopies(tmp_path / "file" / "review", 14).prepare()
    ReviewCopies(tmp_path / "new" / "review", 14).prepare()
    assert (tmp_path / "new" / "review").stat().st_mode & 0o777 == 0o700


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    """Without REVIEW_COPIES no audio is kept; the directory is below DATA_DIR unless it is set."""
    settings = SpeechSettings(data_dir=tmp_path)
    assert not settings.review_copies
    assert settings.review_retention_days == 14
    assert settings.reviews == tmp_path / "review"
    assert SpeechSettings(review_dir=tmp_path / "x").reviews == tmp_path / "x"


@pytest.mark.parametrize("keeping", [True, False])
async def test_what_the_engine_heard_is_kept(tmp_path: Path, *, keeping: bool) -> None:
    """The copy is the audio the engine got; where copies are not asked for there is none."""
    copies = ReviewCopies(tmp_path / "review", 14)
    stt = ScriptedStt()
    places = Capacity("enhance", 1)
    hearing = Hearing(SpeechDetector(), transcriber_of(stt), places, copies if keeping else None)
    tts = synthesizer_of(SpokenCache(tmp_path / "cache"), ScriptedTts())
    async with running(copies.run()), served(hearing, tts) as stub:
        for audio in (reply_wav("yes please"), SILENCE):
            request = pb.TranscribeRequest(audio=audio, attempt_id=ATTEMPT)
            await stub.Transcribe(request, timeout=10)
        await copies.settled()
    (heard,) = stt.heard
    kept = [read_wav(path.read_bytes()).pcm for path in (tmp_path / "review").rglob("*.wav")]
    assert kept == ([heard.recording.pcm] if keeping else [])
