"""Running ffmpeg and its like."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from servicekit.errors import StartupError
from speech.audio import RATES_HZ, samples_of, window_levels, write_wav
from speech.enhance import ENHANCED_RATE_HZ, enhance
from speech.errors import ProgramFailed
from speech.forms import NotAudio
from speech.programs import require_programs, run_program
from speech.tts.loudness import master_of
from speech_support.phone import hiss, reply


async def test_what_goes_in_comes_out() -> None:
    """A program gets its input whole, also when it is larger than any buffer."""
    content = os.urandom(3_000_000)
    assert await run_program(["cat"], content, 10.0) == content


async def test_a_program_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """At the time limit the program is gone."""
    note = tmp_path / "pid"
    script = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(ProgramFailed, match="took longer"):
        await run_program([sys.executable, "-c", script], b"", 0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


async def test_a_program_dies_with_its_task(tmp_path: Path) -> None:
    """A cancelled request leaves no program behind."""
    note = tmp_path / "pid"
    script = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(run_program([sys.executable, "-c", script], b"", 60.0))
    while not note.exists() or not note.read_text():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


@pytest.mark.parametrize(
    ("argv", "said"),
    [(["false"], "ended with status 1"), (["/no/such/program"], "cannot be started")],
)
async def test_a_failure_is_named(argv: list[str], said: str) -> None:
    """A status other than 0 and a missing program are errors that name the program."""
    with pytest.raises(ProgramFailed, match=said):
        await run_program(argv, b"input nobody reads" * 100_000, 5.0)


def test_missing_programs_stop_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without ffmpeg and espeak-ng the service says in one line how to install them."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartupError, match="apt-get install ffmpeg espeak-ng") as caught:
        require_programs()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
async def test_enhanced_audio_has_one_rate_and_the_same_length(rate_hz: int) -> None:
    """Whatever the rate was, 16 kHz comes out, as long as before, and its band is remembered."""
    recording = hiss(2.0, 400, rate_hz)
    enhanced = await enhance(recording, 10.0)
    assert enhanced.rate_hz == ENHANCED_RATE_HZ
    assert enhanced.length_s == pytest.approx(2.0, abs=0.05)
    assert enhanced.band_hz == rate_hz // 2


async def test_a_quiet_voice_is_raised() -> None:
    """A voice 20 dB down comes out several times as loud."""
    loud = reply("yes please")
    quiet = samples_of(loud.pcm)
    for at, sample in enumerate(quiet):
        quiet[at] = sample // 10
    faint = type(loud)(quiet.tobytes(), loud.rate_hz, loud.band_hz)
    enhanced = await enhance(faint, 10.0)
    assert _peak(enhanced.pcm, 160) > 3 * _peak(faint.pcm, 80)


def _peak(pcm: bytes, window: int) -> float:
    return max(window_levels(samples_of(pcm), window))


async def test_loudness_is_evened_out() -> None:
    """The same words recorded 12 dB apart come out within 2 dB of each other."""
    loud = reply("please hold the line")
    soft = samples_of(loud.pcm)
    for at, sample in enumerate(soft):
        soft[at] = sample // 4
    peaks = []
    for pcm in (loud.pcm, soft.tobytes()):
        evened = await master_of(write_wav(pcm, loud.rate_hz), 10.0)
        peaks.append(_peak(evened.pcm, 160))
    assert 0.8 < peaks[0] / peaks[1] < 1.25


@pytest.mark.parametrize("content", [b"", b"no audio at all", b"RIFF\0\0\0\0WAVEjunk"])
async def test_a_broken_file_is_an_error(content: bytes) -> None:
    """What ffmpeg cannot read is named as such and not taken for silence."""
    with pytest.raises((NotAudio, ProgramFailed)):
        await master_of(content, 10.0)
