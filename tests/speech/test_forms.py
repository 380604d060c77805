"""Forms and loudness: each form sounds like the others and is as loud as it should be."""

from __future__ import annotations

import array
import math
import subprocess
from functools import cache
from pathlib import Path

import pytest

from speech.audio import Recording, pcm_of, read_wav, samples_of, window_levels, write_wav
from speech.errors import ProgramFailed
from speech.forms import Form, NotAudio, encode, length_s, sniff
from speech.programs import run_program
from speech.prompts.catalogue import load_prompts
from speech.settings import SpeechSettings
from speech.tts.base import Wording
from speech.tts.espeak import EspeakTts
from speech.tts.loudness import TARGET_LUFS, master_of, measure_lufs

DECODERS = {
    Form.SLN16: ("s16le", "-ar", "16000", "-ac", "1"),
    Form.ALAW: ("alaw", "-ar", "8000", "-ac", "1"),
    Form.ULAW: ("mulaw", "-ar", "8000", "-ac", "1"),
    Form.G722: ("g722", "-ac", "1"),
    Form.WAV: ("wav",),
    Form.WAV16: ("wav",),
}


@cache
def spoken(text: str, voice: str = "en-us", gain: float = 1.0) -> bytes:
    """Give a spoken text as a WAV file."""
    argv = ["espeak-ng", "-v", voice, "-a", str(int(100 * gain)), "--stdout", text]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def tone(level_db: float, length_s: float = 1.0) -> bytes:
    """Give a 1 kHz tone as a 16 kHz WAV file; `level_db` is its peak below full scale."""
    top = 32767 * 10 ** (level_db / 20)
    step = 2 * math.pi * 1000 / 16000
    samples = [int(top * math.sin(step * at)) for at in range(int(16000 * length_s))]
    return write_wav(pcm_of(array.array("h", samples)), 16000)


async def _decoded(content: bytes, form: Form, *rate: str) -> Recording:
    """Play a file as Asterisk would, at 16 kHz."""
    argv = ["ffmpeg", "-v", "error", "-f", *DECODERS[form], *rate, "-i", "pipe:0"]
    pcm = await run_program([*argv, "-ar", "16000", "-f", "s16le", "pipe:1"], content, 10.0)
    return Recording(pcm, 16000, 8000)


async def test_every_form_sounds_the_same() -> None:
    """Decoded again, each form is as long and as loud as the master, and moves as it does."""
    master = await master_of(spoken("please hold the line"), 10.0)
    loud = window_levels(samples_of(master.pcm), 800)
    for form in Form:
        content = await encode(master, form, 10.0)
        assert length_s(content, form) == pytest.approx(master.length_s, abs=0.001)
        played = await _decoded(content, form)
        assert played.length_s == pytest.approx(master.length_s, abs=0.02)
        assert await measure_lufs(played.pcm, 10.0) == pytest.approx(TARGET_LUFS, abs=1.0)
        levels = window_levels(samples_of(played.pcm), 800)
        wide = form in {Form.SLN16, Form.WAV16, Form.G722}
        differences = [abs(a - b) for a, b in zip(loud, levels, strict=False)]
        assert sum(differences) < (0.03 if wide else 0.12) * sum(loud)


async def test_wav_has_the_only_rate_asterisk_plays() -> None:
    """`.wav` is 8 kHz, `.wav16` 16 kHz, and the rest has no header."""
    master = await master_of(tone(-20), 10.0)
    assert read_wav(await encode(master, Form.WAV, 10.0)).rate_hz == 8000
    assert read_wav(await encode(master, Form.WAV16, 10.0)).rate_hz == 16000
    assert await encode(master, Form.SLN16, 10.0) == master.pcm
    for form in (Form.ALAW, Form.ULAW, Form.G722):
        assert len(await encode(master, form, 10.0)) == pytest.approx(8000, abs=8)


@pytest.mark.parametrize("language", ["en", "fa"])
async def test_the_prompts_that_ship_are_equally_loud(language: str) -> None:
    """Each prompt comes within 1 LU of the target, as a master and as a telephone plays it."""
    for prompt in load_prompts(SpeechSettings().find_prompts_file(), language):
        audio = await EspeakTts().speak(Wording(prompt.text, language), 20.0)
        master = await master_of(audio, 10.0)
        narrow = await _decoded(await encode(master, Form.ULAW, 10.0), Form.ULAW)
        for pcm in (master.pcm, narrow.pcm):
            assert await measure_lufs(pcm, 10.0) == pytest.approx(TARGET_LUFS, abs=1.0)
        assert max(map(abs, samples_of(master.pcm))) < 32768 * 10 ** (-2 / 20)


@pytest.mark.parametrize(("text", "voice"), [("Yes.", "en-us"), ("No", "en-us"), ("بله", "fa")])
@pytest.mark.parametrize("gain", [0.1, 1.0])
async def test_single_words_are_as_loud_as_sentences(text: str, voice: str, gain: float) -> None:
    """A word under a second, spoken softly or not, comes out at the target too."""
    master = await master_of(spoken(text, voice, gain), 10.0)
    assert await measure_lufs(master.pcm, 10.0) == pytest.approx(TARGET_LUFS, abs=1.0)


@pytest.mark.parametrize("length_s", [0.05, 0.3, 5.0])
async def test_loudness_is_that_of_the_standard(length_s: float) -> None:
    """A 1 kHz tone with a peak of -20 dB has -23 LUFS (EBU Tech 3341), less if under 0.4 s."""
    pcm = read_wav(tone(-20, length_s)).pcm
    shorter_db = 10 * math.log10(min(1.0, length_s / 0.4))
    measured = await measure_lufs(pcm, 10.0)
    assert measured == pytest.approx(-23.0 + shorter_db, abs=0.3)


async def test_a_crack_is_limited_where_the_loudness_is_right() -> None:
    """Audio that is as loud as it should be but for its peaks has them 2 dB below full scale."""
    samples = samples_of(read_wav(tone(-15, 2.0)).pcm)
    samples[16000:16008] = array.array("h", [32000] * 8)
    assert await measure_lufs(pcm_of(samples), 10.0) == pytest.approx(TARGET_LUFS, abs=0.3)
    master = await master_of(write_wav(pcm_of(samples), 16000), 10.0)
    assert max(map(abs, samples_of(master.pcm))) < 32768 * 10 ** (-2 / 20)


@pytest.mark.parametrize("length_s", [0.0, 1.0])
async def test_silence_stays_silence(length_s: float) -> None:
    """Nothing is made of nothing, nor of a hiss that is not heard: neither noise nor an error."""
    hiss = array.array("h", [at * 7 % 3 - 1 for at in range(int(16000 * length_s))])
    master = await master_of(write_wav(pcm_of(hiss), 16000), 10.0)
    assert master.length_s == pytest.approx(length_s)
    assert max(map(abs, samples_of(master.pcm)), default=0) <= 2


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"OggS\0", "ogg"),
        (b"fLaC\0", "flac"),
        (b"ID3\4", "mp3"),
        (b"\xff\xfb\x90", "mp3"),
        (b"\xff\xf3\x40", "mp3"),
    ],
)
def test_a_file_is_known_by_its_first_bytes(head: bytes, form: str) -> None:
    """What a file is called does not matter; what it begins with does."""
    assert sniff(head + bytes(20)) == form


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"#EXTM3U\nfile:///etc/passwd",
        b"ffconcat version 1.0\nfile '/etc/passwd'",
        b"\0\0\0\x20ftypM4A ",
        b"\xff\xf1\x50",  # AAC
        b"RIFF\0\0\0\0AVI LIST",
        b"<html>",
    ],
)
async def test_other_files_are_refused(head: bytes) -> None:
    """Playlists, films, AAC and pages never reach ffmpeg."""
    with pytest.raises(NotAudio):
        await master_of(head, 10.0)


async def test_a_file_cannot_make_ffmpeg_read_another(tmp_path: Path) -> None:
    """A playlist that pretends to be an MP3 file is no audio, though what it names is."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(tone(-20))
    crafted = b"ID3\4\0\0\0\0\0\0#EXTM3U\n#EXTINF:1,\n" + f"file://{secret}\n".encode()
    with pytest.raises(ProgramFailed):
        await master_of(crafted, 10.0)


@pytest.mark.parametrize("end", [13, 40, 5000])
async def test_a_broken_file_is_an_error_or_what_is_left(end: int) -> None:
    """A file cut off in its header is an error; in its sound, what came is kept."""
    cut = spoken("please hold the line")[:end]
    if end > 1000:
        assert (await master_of(cut, 10.0)).length_s == pytest.approx(0.11, abs=0.02)
    else:
        with pytest.raises(ProgramFailed):
            await master_of(cut, 10.0)
