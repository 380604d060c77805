"""The prompts: from text or recording to what Asterisk plays."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import pytest

from servicekit.errors import StartupError
from speech.audio import write_wav
from speech.errors import BadRequest, ProviderError, ProviderUnavailable
from speech.prompts.__main__ import main
from speech.prompts.catalogue import PROMPT_NAMES, load_prompts
from speech.prompts.remote import commands, is_remote
from speech.prompts.sync import PromptSync, SyncFailed
from speech.settings import SpeechSettings
from speech.tts.base import Wording
from speech.tts.cache import SpokenCache
from speech.tts.espeak import EspeakTts
from speech_support.engines import ScriptedTts, synthesizer_of
from speech_support.phone import reply

TEXTS = "\n".join(f'  "{name}": text of {name}' for name in PROMPT_NAMES)


class Academy:
    """Prompts in a directory of their own, and a sound directory."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "audio" / "prompts.yaml"
        self.file.parent.mkdir()
        self.write(f"en:\n{TEXTS}\n")
        self.sounds = directory / "custom"
        self.sounds.mkdir()
        self.tts = ScriptedTts()
        self._cache = SpokenCache(directory / "cache")

    def write(self, text: str) -> None:
        """Replace the texts."""
        self.file.write_text(text, encoding="utf-8")

    def sync(self, retry_s: float = 0.01) -> PromptSync:
        """Prepare a sync of what is there now."""
        return PromptSync(
            load_prompts(self.file, "en"),
            synthesizer_of(self.tts, self._cache),
            self.sounds,
            timeout_s=5.0,
            retry_s=retry_s,
        )

    def record(self, name: str) -> Path:
        """Put a recording of a prompt beside the texts: 16 kHz, 1.5 times as long as a hum."""
        path = self.file.parent / "en" / name
        path.parent.mkdir(exist_ok=True)
        pcm = reply("please hold the line").pcm
        path.write_bytes(write_wav(pcm, 8000))
        return path


@pytest.fixture
def academy(tmp_path: Path) -> Academy:
    """An academy with texts and no recordings."""
    return Academy(tmp_path)


def _length_s(path: Path) -> float:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return float(file.getnframes() / 8000)


async def test_every_prompt_arrives_as_asterisk_wants_it(academy: Academy) -> None:
    """Each prompt is an 8 kHz mono WAV file that every user can read, and nothing is left over."""
    report = await academy.sync().sync()
    assert report.written == list(PROMPT_NAMES)
    directory = academy.sounds / "en"
    for name in PROMPT_NAMES:
        assert _length_s(directory / f"{name}.wav") == pytest.approx(0.5, abs=0.05)
        assert (directory / f"{name}.wav").stat().st_mode & 0o777 == 0o644
    names = {path.name for path in directory.iterdir()}
    assert names == {".salehi-prompts.json", *(f"{name}.wav" for name in PROMPT_NAMES)}


async def test_only_what_changed_is_made_again(academy: Academy) -> None:
    """A second sync writes nothing; a new text, a lost and a damaged file are made again."""
    await academy.sync().sync()
    kept = academy.sounds / "en" / "goodby.wav"
    before = kept.stat().st_mtime_ns
    again = await academy.sync().sync()
    assert (again.written, len(again.unchanged)) == ([], len(PROMPT_NAMES))
    academy.write(f"en:\n{TEXTS}\n".replace("text of hello", "another text"))
    (academy.sounds / "en" / "yes.wav").unlink()
    (academy.sounds / "en" / "number.wav").write_bytes(b"damaged")
    assert set((await academy.sync().sync()).written) == {"hello", "yes", "number"}
    assert kept.stat().st_mtime_ns == before


async def test_a_recording_wins_over_the_text(academy: Academy) -> None:
    """A recording that is dropped in replaces the spoken text, and nobody speaks that prompt."""
    academy.record("hello.wav")
    await academy.sync().sync()
    assert _length_s(academy.sounds / "en" / "hello.wav") > 1.5
    assert "text of hello" not in [wording.text for wording in academy.tts.spoken]


async def test_stale_forms_are_removed_and_nothing_else(academy: Academy) -> None:
    """Forms Asterisk might prefer go; other sounds, other directories and notes stay."""
    directory = academy.sounds / "en"
    directory.mkdir()
    stale = [directory / name for name in ("hello.gsm", "hello.ulaw", "yes.sln16", "onhold.WAV")]
    kept = [directory / "hello.txt", directory / "welcome.gsm", academy.sounds / "hello.gsm"]
    for path in (*stale, *kept):
        path.write_bytes(b"x")
    report = await academy.sync().sync()
    assert sorted(report.removed) == sorted(path.name for path in stale)
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in kept)


async def test_a_missing_directory_is_one_clear_line(academy: Academy) -> None:
    """The message names AST_SOUND_DIR and the directory and says what to do."""
    academy.sounds.rmdir()
    with pytest.raises(SyncFailed) as caught:
        await academy.sync().sync()
    message = str(caught.value)
    assert f"AST_SOUND_DIR={academy.sounds} cannot be used" in message
    assert "scripts/sync_audio.sh" in message
    assert "\n" not in message


async def test_the_sync_goes_on_until_it_is_done(academy: Academy) -> None:
    """A directory that appears later gets its prompts without a restart."""
    academy.sounds.rmdir()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(academy.sync().run())
        await asyncio.sleep(0.05)
        academy.sounds.mkdir()
    assert (academy.sounds / "en" / "hello.wav").is_file()


async def test_one_prompt_that_fails_keeps_none_of_the_others(academy: Academy) -> None:
    """The rest are brought, and the message names the one that is missing."""
    academy.tts.errors = [ProviderUnavailable("the engine is away")]
    with pytest.raises(SyncFailed, match="en/hello cannot be spoken"):
        await academy.sync().sync()
    assert (academy.sounds / "en" / "goodby.wav").is_file()
    assert not (academy.sounds / "en" / "hello.wav").exists()


async def test_a_broken_recording_is_named(academy: Academy) -> None:
    """A file that is no audio is named with what to give instead."""
    path = academy.record("yes.mp3")
    path.write_bytes(b"no audio")
    with pytest.raises(SyncFailed, match=r"yes\.mp3 cannot be converted"):
        await academy.sync().sync()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("en: [", "cannot be read"),
        ("- a list", "no texts for the language en"),
        ("fa:\n  hello: x", "no texts for the language en"),
        (f"en:\n{TEXTS}\n".replace("text of onhold", '""'), "no text en.onhold"),
        (f"en:\n{TEXTS}\n".replace("text of yes", "7"), "no text en.yes"),
    ],
)
def test_a_broken_file_stops_the_start(academy: Academy, text: str, said: str) -> None:
    """A mistake in the prompts' file is one line that names the file and the place."""
    academy.write(text)
    with pytest.raises(StartupError) as caught:
        load_prompts(academy.file, "en")
    assert said in str(caught.value)
    assert str(academy.file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unquoted_yes_is_still_yes(academy: Academy) -> None:
    """YAML's truth value does not cost the prompt of that name."""
    academy.write(f"en:\n{TEXTS}\n".replace('"yes"', "yes"))
    assert [prompt.text for prompt in load_prompts(academy.file, "en")][2] == "text of yes"


@pytest.mark.parametrize("language", ["en", "fa"])
async def test_the_prompts_that_ship_can_be_spoken(language: str) -> None:
    """Each text of the project is complete and espeak-ng speaks it, in at most ten seconds."""
    file = SpeechSettings().find_prompts_file()
    engine = EspeakTts()
    for prompt in load_prompts(file, language):
        audio = await engine.speak(Wording(prompt.text, language), 20.0)
        length_s = (len(audio) - 44) / 2 / 22050
        assert 1.0 < length_s < 10.0
        if (prompt.name, language) == ("hello", "en"):
            assert length_s <= 5.0


def test_prompts_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default file is found from another working directory; a missing one is named."""
    monkeypatch.chdir(tmp_path)
    assert SpeechSettings().find_prompts_file().is_file()
    with pytest.raises(StartupError, match=r"PROMPTS_FILE=nowhere\.yaml"):
        SpeechSettings(prompts_file=Path("nowhere.yaml")).find_prompts_file()


@pytest.mark.parametrize("voice", ["-x", "a b", "../fa", "x" * 41])
async def test_a_voice_is_a_name_and_no_option(voice: str) -> None:
    """What is no voice's name never reaches a command line."""
    with pytest.raises(BadRequest, match="voice"):
        await EspeakTts().speak(Wording("hello", "en", voice), 5.0)
    with pytest.raises(ProviderError):
        await EspeakTts().speak(Wording("hello", "en", "xx-nowhere"), 5.0)


def test_the_script_brings_prompts_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command reads the settings, makes the prompts of the language asked for, and reports."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sounds").mkdir()
    assert main([str(tmp_path / "sounds"), "--language", "fa"]) == 0
    assert "5 prompts made" in capsys.readouterr().out
    assert _length_s(tmp_path / "sounds" / "fa" / "hello.wav") > 2
    monkeypatch.delenv("AST_SOUND_DIR", raising=False)
    assert main([]) == 3
    assert "AST_SOUND_DIR is not set" in capsys.readouterr().err


def test_remote_copies_are_plain_commands(tmp_path: Path) -> None:
    """Copying to a host makes the directory, copies the files and removes stale forms, quoted."""
    (tmp_path / "hello.wav").write_bytes(b"x")
    make, copy, tidy = commands(tmp_path, "me@pbx:/my sounds", "fa", rsync=True)
    assert make == ["ssh", "me@pbx", "mkdir -p -- '/my sounds/fa'"]
    assert copy[0] == "rsync"
    assert copy[-2:] == [str(tmp_path / "hello.wav"), "me@pbx:/my sounds/fa/"]
    assert "'/my sounds/fa/hello.gsm'" in tidy[2]
    assert commands(tmp_path, "pbx:/sounds", "fa", rsync=False)[1][0] == "scp"
    assert is_remote("me@pbx:/sounds")
    assert not is_remote("/var/lib/sounds")
    with pytest.raises(SyncFailed):
        commands(tmp_path, "-oProxyCommand=x:/y", "fa", rsync=True)


async def test_a_full_disk_does_not_silence_the_service(tmp_path: Path) -> None:
    """Where the cache cannot be written, texts are spoken all the same."""
    (tmp_path / "cache").write_text("a file where the directory should be")
    synthesizer = synthesizer_of(ScriptedTts(), SpokenCache(tmp_path / "cache"))
    assert (await synthesizer.synthesize(Wording("hello", "en"), 8000, 5.0)).length_s > 0.3
