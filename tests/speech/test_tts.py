"""Spoken texts: kept whole and within bounds, made once, and spoken by the next when one fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from salehi.speech.v1 import speech_pb2 as pb
from servicekit.errors import StartupError
from servicekit.settings import load_settings
from speech.audio import write_wav
from speech.errors import BadRequest, ProviderUnavailable
from speech.forms import Form, length_s
from speech.hearing import Hearing
from speech.settings import SpeechSettings
from speech.tts.base import Synthesizer, Wording
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, ScriptedTts, synthesizer_of, transcriber_of
from speech_support.service import Stub, served
from support.timing import eventually

HELLO = Wording("hello", "en")
KEY = SpokenCache.key(("engine", "voice"), "en", "hello", Form.WAV)


@pytest.fixture
def cache(tmp_path: Path) -> SpokenCache:
    """An empty cache."""
    return SpokenCache(tmp_path / "cache")


def _files(directory: Path) -> list[Path]:
    """Give the files in a directory and below, but for those still being written."""
    return sorted(path for path in directory.rglob("[!.]*") if path.is_file())


def test_a_key_names_all_that_can_be_heard() -> None:
    """Another engine, model, voice, language, text or form is other audio."""
    keys = {
        KEY,
        SpokenCache.key(("other", "voice"), "en", "hello", Form.WAV),
        SpokenCache.key(("engine", "model", "voice"), "en", "hello", Form.WAV),
        SpokenCache.key(("engine", "other"), "en", "hello", Form.WAV),
        SpokenCache.key(("engine", "voice"), "fa", "hello", Form.WAV),
        SpokenCache.key(("engine", "voice"), "en", "hallo", Form.WAV),
        SpokenCache.key(("engine", "voice"), "en", "hello", Form.ULAW),
        SpokenCache.key(("engine", "voice", "en"), "hello", "", Form.WAV),
    }
    assert len(keys) == 8
    assert SpokenCache.key(("engine", "voice"), "en", "hello", Form.WAV) == KEY


async def test_the_cache_is_bounded(tmp_path: Path) -> None:
    """However much is put in, the directory stays below its limit; what is in use stays."""
    cache = SpokenCache(tmp_path, most_bytes=20_000)
    for number in range(100):
        await cache.put(f"{number:064}", bytes([number]) * 1000)
        os.utime(tmp_path / f"{number:064}", (number, number))  # not all in one tick of the clock
        if number:
            assert await cache.get(f"{0:064}") is not None
        assert sum(path.stat().st_size for path in _files(tmp_path)) <= 20_000
    kept = [int(path.name) for path in _files(tmp_path)]
    assert len(kept) > 15
    assert kept == [0, *range(101 - len(kept), 100)]


async def test_damage_counts_as_missing(tmp_path: Path) -> None:
    """A file cut short or changed on disk is spoken anew and not played."""
    engine = ScriptedTts()
    synthesizer = synthesizer_of(SpokenCache(tmp_path), engine)
    whole = await synthesizer.synthesize(HELLO, Form.SLN16, 5.0)
    (file,) = _files(tmp_path)
    content = file.read_bytes()
    for broken in (b"", content[:-1], content[:1000] + b"x" + content[1001:], content[32:]):
        file.write_bytes(broken)
        assert await synthesizer.synthesize(HELLO, Form.SLN16, 5.0) == whole
    assert len(engine.spoken) == 5


_WRITER = """
import asyncio, resource, signal, sys
from pathlib import Path
from speech.tts.cache import SpokenCache

async def write():
    cache = SpokenCache(Path(sys.argv[1]))
    await cache.put("kept", b"whole")
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    await cache.put("kept", bytes(200_000))

asyncio.run(write())
"""


async def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    """Killed in the middle of a file, it leaves the one before whole; its half goes in time."""
    argv = [sys.executable, "-c", _WRITER, str(tmp_path)]
    died = subprocess.run(argv, check=False)  # noqa: ASYNC221 - killed by the limit it sets itself
    assert died.returncode == -signal.SIGXFSZ
    cache = SpokenCache(tmp_path)
    assert await cache.get("kept") == b"whole"
    (half,) = tmp_path.glob(".kept.*")  # noqa: ASYNC240 - a handful of names
    assert half.stat().st_size == 100_000
    await cache.put("other", b"x")
    assert half.exists()
    os.utime(half, (0, 0))
    await SpokenCache(tmp_path).put("another", b"x")
    assert not half.exists()


async def test_a_full_disk_does_not_silence_the_service(tmp_path: Path) -> None:
    """Where the cache cannot be written, texts are spoken all the same."""
    (tmp_path / "cache").write_text("a file where the directory should be")
    synthesizer = synthesizer_of(SpokenCache(tmp_path / "cache"), ScriptedTts())
    assert (await synthesizer.synthesize(HELLO, Form.WAV, 5.0)).length_s > 0.3


async def test_a_text_is_paid_for_once(cache: SpokenCache) -> None:
    """However many forms are asked for, and how often, the engine speaks once."""
    engine = ScriptedTts()
    synthesizer = synthesizer_of(cache, engine)
    for _ in range(2):
        for form in Form:
            spoken = await synthesizer.synthesize(HELLO, form, 5.0)
            assert spoken.length_s == pytest.approx(0.5, abs=0.001)
    assert len(engine.spoken) == 1


async def test_the_next_engine_speaks_when_one_fails(cache: SpokenCache) -> None:
    """The answer names who spoke, and the first engine is asked again the next time."""
    first, second = ScriptedTts(errors=[ProviderUnavailable("away")]), ScriptedTts(name="second")
    synthesizer = synthesizer_of(cache, first, second)
    assert (await synthesizer.synthesize(HELLO, Form.WAV, 5.0)).engine == "second"
    assert (await synthesizer.synthesize(HELLO, Form.WAV, 5.0)).engine == "scripted"


async def test_what_is_kept_needs_no_engine(cache: SpokenCache) -> None:
    """While the first engine is away, what it said before is still in its voice."""
    first, second = ScriptedTts(), ScriptedTts(name="second")
    synthesizer = synthesizer_of(cache, first, second)
    await synthesizer.synthesize(HELLO, Form.WAV, 5.0)
    first.errors = [ProviderUnavailable("away")]
    assert (await synthesizer.synthesize(HELLO, Form.WAV, 5.0)).engine == "scripted"
    assert second.spoken == []


async def test_when_all_fail_the_first_one_says_why(cache: SpokenCache) -> None:
    """The engine that should have spoken is the one to mend."""
    first, second = ProviderUnavailable("first is away"), ProviderUnavailable("second is away")
    synthesizer = synthesizer_of(
        cache, ScriptedTts(errors=[first]), ScriptedTts(name="second", errors=[second])
    )
    with pytest.raises(ProviderUnavailable, match="first is away"):
        await synthesizer.synthesize(HELLO, Form.WAV, 5.0)


async def test_a_voice_belongs_to_its_engine(cache: SpokenCache) -> None:
    """A text no engine takes is the caller's mistake; a voice the stand-in lacks is an outage."""
    refused = ScriptedTts(errors=[BadRequest("no such voice")])
    second = ScriptedTts(name="second")
    with pytest.raises(BadRequest):
        await synthesizer_of(cache, refused, second).synthesize(HELLO, Form.WAV, 5.0)
    assert second.spoken == []
    away = ScriptedTts(errors=[ProviderUnavailable("away")])
    lacks = ScriptedTts(name="second", errors=[BadRequest("no such voice")])
    with pytest.raises(ProviderUnavailable, match="away"):
        await synthesizer_of(cache, away, lacks).synthesize(HELLO, Form.WAV, 5.0)


class Hanging(ScriptedTts):
    """Never answers."""

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Wait for ever."""
        await asyncio.Event().wait()
        return await super().speak(wording, timeout_s)


async def test_an_engine_that_hangs_leaves_time_for_the_next(cache: SpokenCache) -> None:
    """Where another can speak, one may take half of what is left."""
    synthesizer = synthesizer_of(cache, Hanging(), ScriptedTts(name="second"))
    assert (await synthesizer.synthesize(HELLO, Form.WAV, 4.0)).engine == "second"


class Saying(ScriptedTts):
    """Answers with what it is given."""

    content = b""

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Give the content."""
        await super().speak(wording, timeout_s)
        return self.content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no WAV, MP3, OGG or FLAC"),
        (b"<html>", "no WAV, MP3, OGG or FLAC"),
        (write_wav(bytes(2000), 16000), "silent"),
        (write_wav(b"", 16000), "silent|cannot be read"),
        (b"RIFF\0\0\0\0WAVEjunk", "cannot be read"),
    ],
)
async def test_what_is_no_speech_is_an_outage(
    cache: SpokenCache, tmp_path: Path, content: bytes, reason: str
) -> None:
    """Pages, broken files and silence are no answer, and are not kept."""
    engine = Saying()
    engine.content = content
    with pytest.raises(ProviderUnavailable, match=reason):
        await synthesizer_of(cache, engine).synthesize(HELLO, Form.WAV, 5.0)
    assert _files(tmp_path) == []


@pytest.fixture
async def stub(cache: SpokenCache) -> AsyncIterator[Stub]:
    """A stub of a service whose engine hums for two minutes and a half."""
    async with _served(synthesizer_of(cache, ScriptedTts(length_s=150.0))) as stub:
        yield stub


def _served(synthesizer: Synthesizer) -> Any:
    return served(Hearing(SpeechDetector(), transcriber_of(ScriptedStt()), None), synthesizer)


def _programs() -> list[str]:
    """Give the names of the programs this process has started and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = status.read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if rest.split()[1] == str(os.getpid()):
            found.append(name)
    return found


async def test_a_cancelled_text_leaves_no_process(stub: Stub) -> None:
    """A client that goes away in the middle ends what worked for it."""
    call = asyncio.ensure_future(stub.Synthesize(pb.SynthesizeRequest(text="hello"), timeout=30))
    await eventually(lambda: "ffmpeg" in _programs())
    call.cancel()
    await eventually(lambda: "ffmpeg" not in _programs(), within_s=2)


async def test_every_form_of_the_contract_is_made(cache: SpokenCache) -> None:
    """Each format is answered in its form, with the length of its sound."""
    forms = {
        pb.AUDIO_FORMAT_UNSPECIFIED: Form.WAV,
        pb.AUDIO_FORMAT_WAV_8K: Form.WAV,
        pb.AUDIO_FORMAT_WAV_16K: Form.WAV16,
        pb.AUDIO_FORMAT_ULAW: Form.ULAW,
        pb.AUDIO_FORMAT_ALAW: Form.ALAW,
        pb.AUDIO_FORMAT_SLN16: Form.SLN16,
        pb.AUDIO_FORMAT_G722: Form.G722,
    }
    assert set(forms) == set(pb.AudioFormat.values())
    sounds = set()
    async with _served(synthesizer_of(cache, ScriptedTts())) as stub:
        for wanted, form in forms.items():
            request = pb.SynthesizeRequest(text="hello", format=wanted)
            answer = await stub.Synthesize(request, timeout=10)
            assert answer.audio_s == pytest.approx(0.5, abs=0.001)
            assert length_s(answer.audio, form) == pytest.approx(answer.audio_s)
            sounds.add(answer.audio)
    assert len(sounds) == len(Form)


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({}, ("espeak-ng",)),
        ({"tts_base_url": "http://tts/v1"}, ("openai",)),
        ({"tts_base_url": "http://tts/v1", "vira_tts_token": SecretStr("x")}, ("vira",)),
        ({"tts_providers": "espeak-ng"}, ("espeak-ng",)),
        (
            {"tts_base_url": "http://tts/v1", "tts_providers": "openai, espeak-ng"},
            ("openai", "espeak-ng"),
        ),
    ],
)
def test_who_speaks_follows_the_settings(given: dict[str, Any], order: tuple[str, ...]) -> None:
    """Unless an order is set, the one engine that is set up speaks, else the one on board."""
    assert SpeechSettings(**given).tts_order == order


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TTS_PROVIDERS", "vira", "VIRA_TTS_TOKEN is not set"),
        ("TTS_PROVIDERS", "openai", "TTS_BASE_URL is not set"),
        ("TTS_PROVIDERS", "espeak", "espeak is unknown"),
        ("TTS_PROVIDERS", "espeak-ng,espeak-ng", "twice"),
        ("PROMPT_FORMATS", "wav,mp3", "mp3 is unknown"),
        ("REVIEW_RETENTION_DAYS", "0", "1 to 365"),
        ("REVIEW_RETENTION_DAYS", "366", "1 to 365"),
    ],
)
def test_a_bad_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """A mistake names the setting and what to do."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as caught:
        load_settings(SpeechSettings)
    assert name in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wav_is_always_made() -> None:
    """Prompts are there as WAV files whatever else is asked for."""
    assert SpeechSettings(prompt_formats=("g722",)).prompt_forms == (Form.WAV, Form.G722)
    assert SpeechSettings(prompt_formats=()).prompt_forms == (Form.WAV,)
