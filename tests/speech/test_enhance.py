"""Enhancement: noise is taken out only where there is some, if asked; no program is left behind."""

from __future__ import annotations

import array
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from speech.audio import Recording, amplify, pcm_of, samples_of, window_levels, write_wav
from speech.capacity import Capacity
from speech.enhance import DENOISE, ENHANCED_RATE_HZ, apply_filters, enhance, is_noisy
from speech.errors import ProgramFailed
from speech.ffmpeg import to_samples
from speech.hearing import Hearing
from speech.programs import run_program
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, transcriber_of
from speech_support.phone import hiss, reply


def _depth(recording: Recording) -> float:
    """Give how many times louder the speech is than the pauses."""
    levels = sorted(window_levels(samples_of(recording.pcm), recording.rate_hz // 50))
    return levels[-len(levels) // 10] / levels[len(levels) // 10]


@pytest.mark.parametrize(
    ("snr_db", "denoises"),
    [(None, True), (5.0, False)],
    ids=["nothing to denoise", "not asked to denoise"],
)
async def test_most_replies_need_no_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, snr_db: float | None, *, denoises: bool
) -> None:
    """A reply is brought to 16 kHz without ffmpeg; every sample of it is still there."""
    plain = reply("no thank you", "en-us", snr_db=snr_db)
    monkeypatch.setenv("PATH", str(tmp_path))
    enhanced = await enhance(plain, 10.0, denoises=denoises)
    assert enhanced.rate_hz == ENHANCED_RATE_HZ
    ratio = max(samples_of(enhanced.pcm)[::2]) / max(samples_of(plain.pcm))
    assert all(
        abs(after - before * ratio) < 2
        for before, after in zip(samples_of(plain.pcm), samples_of(enhanced.pcm)[::2], strict=True)
    )


@pytest.mark.parametrize("snr_db", [5.0, 15.0])
async def test_a_noisy_line_is_denoised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, snr_db: float
) -> None:
    """Asked to denoise, ffmpeg takes noise in the pauses further from the speech."""
    noisy = reply("no thank you", "en-us", snr_db=snr_db, wait_s=1.5)
    assert is_noisy(noisy)
    assert _depth(await enhance(noisy, 10.0, denoises=True)) > _depth(noisy)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramFailed, match="ffmpeg cannot be started"):
        await enhance(noisy, 10.0, denoises=True)


@pytest.mark.parametrize(("denoises", "rate_hz"), [(True, 8000), (False, ENHANCED_RATE_HZ)])
async def test_a_reply_that_cannot_be_denoised_goes_on_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rate_hz: int, *, denoises: bool
) -> None:
    """Where ffmpeg fails, the engine hears the recording as it came; ENHANCE=on needs no ffmpeg."""
    noisy = reply("no thank you", "en-us", snr_db=10)
    stt = ScriptedStt()
    places = Capacity("enhance", 1)
    hearing = Hearing(SpeechDetector(), transcriber_of(stt), places, denoises=denoises)
    monkeypatch.setenv("PATH", str(tmp_path))
    heard = await hearing.hear(write_wav(noisy.pcm, noisy.rate_hz), "en", (), 10.0)
    assert stt.heard[0].recording.rate_hz == rate_hz
    assert bool(heard.enhance_s) is not denoises


@pytest.mark.parametrize("denoises", [False, True])
@pytest.mark.parametrize("level", [0, 500])
@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("length_s", [0.0, 0.01, 1.0])
async def test_whatever_comes_in_leaves_at_sixteen_kilohertz(
    level: float, rate_hz: int, length_s: float, *, denoises: bool
) -> None:
    """The enhanced recording has the rate providers want, its length, and its band."""
    plain = hiss(length_s, level, rate_hz)
    enhanced = await enhance(plain, 10, denoises=denoises)
    assert enhanced.rate_hz == ENHANCED_RATE_HZ
    assert enhanced.length_s == pytest.approx(plain.length_s, abs=0.05)
    assert enhanced.band_hz == rate_hz // 2


async def test_the_loudest_sound_stays_whole() -> None:
    """Raising a low voice cuts no peak off, also where something short is much louder than it."""
    low = amplify(reply("no thank you", "en-us"), 0.1)
    samples = samples_of(low.pcm)
    samples[2000:2200] = array.array("h", [20_000, -20_000] * 100)
    enhanced = samples_of((await enhance(Recording(pcm_of(samples), 8000, 4000), 10.0)).pcm)
    assert 20_000 < max(enhanced[::2]) <= 30_000


def _children() -> set[str]:
    """Give the ids of this process's children."""
    return {
        child
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    }


@pytest.fixture
def childless() -> Iterator[None]:
    """A test leaves no process behind."""
    before = _children()
    yield
    assert _children() == before


@pytest.mark.usefixtures("childless")
async def test_who_gave_up_leaves_no_ffmpeg() -> None:
    """Cancelled in the middle, ffmpeg is killed and waited for."""
    before = _children()
    slow = DENOISE + ",arealtime"
    asked = asyncio.create_task(apply_filters(hiss(20.0, 500), slow, 30.0))
    while not _children() - before:
        await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


@pytest.mark.usefixtures("childless")
async def test_the_time_limit_is_kept() -> None:
    """A recording that takes longer than its limit is an error, and ffmpeg is gone."""
    with pytest.raises(ProgramFailed, match=r"took longer than 0\.2 s"):
        await apply_filters(hiss(20.0, 500), "arealtime", 0.2)


async def test_audio_that_names_a_file_opens_none(tmp_path: Path) -> None:
    """A playlist sent as audio is no WAV file; even read as what it is it opens no file."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(write_wav(hiss(1.0, 3000).pcm, 8000))
    playlist = f"ffconcat version 1.0\nfile 'file:{secret}'\n".encode()
    with pytest.raises(ProgramFailed):
        await run_program(to_samples(("wav",), DENOISE, ENHANCED_RATE_HZ), playlist, 10.0)
    argv = to_samples(("concat", "-safe", "0"), DENOISE, ENHANCED_RATE_HZ)
    with pytest.raises(ProgramFailed):
        await run_program(argv, playlist, 10.0)
    argv[argv.index("pipe")] = "pipe,file"  # what the list of protocols is for
    assert len(await run_program(argv, playlist, 10.0)) > 20_000
