"""The prompts: from text or recording to what Asterisk plays."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from servicekit.errors import StartupError
from speech.audio import write_wav
from speech.errors import BadRequest, ProviderError, ProviderUnavailable
from speech.forms import Form, length_s
from speech.programs import run_program
from speech.prompts.__main__ import main
from speech.prompts.catalogue import PROMPT_NAMES, load_prompts
from speech.prompts.remote import commands, is_remote
from speech.prompts.sound_dir import SoundDir
from speech.prompts.sync import Pauses, PromptSync, SyncFailed
from speech.settings import SpeechSettings
from speech.tts.base import Speaker, Wording
from speech.tts.cache import SpokenCache
from speech.tts.espeak import EspeakTts
from speech_support.engines import ScriptedTts, synthesizer_of
from speech_support.phone import reply

TEXTS = "\n".join(f'  "{name}": text of {name}' for name in PROMPT_NAMES)


class Academy:
    """Prompts in a directory of their own, and a sound directory.

    What the engines hum is shared by the tests through `cache`, but for those that need it anew.
    """

    def __init__(self, directory: Path, cache: Path) -> None:
        self.file = directory / "audio" / "prompts.yaml"
        self.file.parent.mkdir()
        self.write(f"en:\n{TEXTS}\n")
        self.sounds = directory / "custom"
        self.sounds.mkdir()
        self.tts = ScriptedTts()
        self.engines = [self.tts]
        self.forms: tuple[Form, ...] = (Form.WAV,)
        self._cache = SpokenCache(cache)

    def write(self, text: str) -> None:
        """Replace the texts."""
        self.file.write_text(text, encoding="utf-8")

    def sync(self, retry_s: float = 0.01) -> PromptSync:
        """Prepare a sync of what is there now."""
        return PromptSync(
            load_prompts(self.file, "en"),
            self.speakers(),
            SoundDir(self.sounds, "en", self.forms),
            timeout_s=5.0,
            pauses=Pauses(failed_s=retry_s, stand_in_s=retry_s),
        )

    def speakers(self) -> Sequence[Speaker]:
        """Put the engines behind their guards and the cache."""
        return synthesizer_of(self._cache, *self.engines).speakers

    def record(self, name: str) -> Path:
        """Put a recording of a prompt beside the texts: 16 kHz, 1.5 times as long as a hum."""
        path = self.file.parent / "en" / name
        path.parent.mkdir(exist_ok=True)
        pcm = reply("please hold the line").pcm
        path.write_bytes(write_wav(pcm, 8000))
        return path


@pytest.fixture(scope="module")
def hums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the hums of all tests are kept."""
    return tmp_path_factory.mktemp("hums")


@pytest.fixture
def academy(tmp_path: Path, hums: Path) -> Academy:
    """An academy with texts and no recordings."""
    return Academy(tmp_path, hums)


@pytest.fixture
def new_academy(tmp_path: Path) -> Academy:
    """An academy whose texts nobody has spoken yet."""
    return Academy(tmp_path, tmp_path / "cache")


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


async def test_a_recording_wins_over_the_text(new_academy: Academy) -> None:
    """A recording that is dropped in replaces the spoken text, and nobody speaks that prompt."""
    new_academy.record("hello.wav")
    await new_academy.sync().sync()
    assert _length_s(new_academy.sounds / "en" / "hello.wav") > 1.5
    assert "text of hello" not in [wording.text for wording in new_academy.tts.spoken]


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


async def test_one_prompt_that_fails_keeps_none_of_the_others(new_academy: Academy) -> None:
    """The rest are brought, and the message names the one that is missing."""
    new_academy.tts.errors = [ProviderUnavailable("the engine is away")]
    with pytest.raises(SyncFailed, match="en/hello cannot be spoken"):
        await new_academy.sync().sync()
    assert (new_academy.sounds / "en" / "goodby.wav").is_file()
    assert not (new_academy.sounds / "en" / "hello.wav").exists()


async def test_every_form_sounds_the_same(new_academy: Academy) -> None:
    """Each form of each prompt is there, equally long, and costs no request of its own."""
    new_academy.forms = tuple(Form)
    await new_academy.sync().sync()
    assert len(new_academy.tts.spoken) == len(PROMPT_NAMES)
    for name in PROMPT_NAMES:
        for form in Form:
            file = new_academy.sounds / "en" / f"{name}.{form}"
            assert length_s(file.read_bytes(), form) == pytest.approx(0.5, abs=0.001)
            assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"changed")])
async def test_a_form_that_was_harmed_is_made_again(
    academy: Academy, harm: Callable[[Path], object]
) -> None:
    """One form that is lost or changed by hand is mended; the other prompts are left alone."""
    academy.forms = (Form.WAV, Form.ULAW)
    await academy.sync().sync()
    file = academy.sounds / "en" / "yes.ulaw"
    before = file.read_bytes()
    harm(file)
    assert (await academy.sync().sync()).written == ["yes"]
    assert file.read_bytes() == before


async def test_forms_follow_the_setting(academy: Academy) -> None:
    """A form that is wanted from now on is added to each prompt; one that is not is removed."""
    academy.forms = (Form.WAV, Form.ULAW)
    await academy.sync().sync()
    academy.forms = (Form.WAV, Form.SLN16)
    report = await academy.sync().sync()
    assert len(report.written) == len(PROMPT_NAMES)
    assert sorted(report.removed) == sorted(f"{name}.ulaw" for name in PROMPT_NAMES)
    assert (academy.sounds / "en" / "hello.sln16").is_file()


async def test_a_stand_in_speaks_the_whole_set(academy: Academy) -> None:
    """When the first voice lacks for one prompt, all are spoken by the next: never two voices."""
    await academy.sync().sync()
    academy.write(f"en:\n{TEXTS}\n".replace("text of onhold", "a text nobody has spoken"))
    academy.engines.append(ScriptedTts(name="robot", length_s=0.8))
    academy.tts.errors = [ProviderUnavailable("away")]
    report = await academy.sync().sync()
    assert (report.stand_in, len(report.written)) == ("robot", len(PROMPT_NAMES))
    assert "away" in report.reasons[0]
    for name in PROMPT_NAMES:
        assert _length_s(academy.sounds / "en" / f"{name}.wav") == pytest.approx(0.8, abs=0.01)


async def test_the_better_voice_replaces_the_stand_in(new_academy: Academy) -> None:
    """The sync goes on until the first voice is back, and then each prompt is in that voice."""
    new_academy.engines.append(ScriptedTts(name="robot", length_s=0.8))
    new_academy.tts.errors = [ProviderUnavailable("away")] * 3
    async with asyncio.timeout(10):
        await new_academy.sync().run()
    for name in PROMPT_NAMES:
        assert _length_s(new_academy.sounds / "en" / f"{name}.wav") == pytest.approx(0.5, abs=0.01)


async def test_prompts_that_are_there_need_no_engine(academy: Academy) -> None:
    """A restart while the first voice is away changes nothing and asks nobody."""
    robot = ScriptedTts(name="robot")
    academy.engines.append(robot)
    await academy.sync().sync()
    academy.tts.errors = [ProviderUnavailable("away")]
    report = await academy.sync().sync()
    assert (report.written, report.stand_in) == ([], "")
    assert robot.spoken == []


async def test_when_nobody_speaks_there_is_one_voice_at_most(new_academy: Academy) -> None:
    """With the stand-in failing too, the first voice's prompts are there and none of the other."""
    new_academy.engines.append(ScriptedTts(name="robot", length_s=0.8))
    new_academy.engines[1].errors = [ProviderUnavailable("broken")]
    await _say_one_prompt_then_fail(new_academy)
    with pytest.raises(SyncFailed, match=r"away.*broken"):
        await new_academy.sync().sync()
    (made,) = (new_academy.sounds / "en").glob("*.wav")
    assert _length_s(made) == pytest.approx(0.5, abs=0.01)


async def _say_one_prompt_then_fail(academy: Academy) -> None:
    """Let the first engine speak `hello` only; that text is then in its cache."""
    wording = Wording("text of hello", "en")
    await academy.speakers()[0].speak(wording, Form.WAV, 5.0)
    academy.tts.errors = [ProviderUnavailable("away")]


async def test_what_a_killed_process_left_is_removed(academy: Academy) -> None:
    """Half-written files of our prompts go once they are an hour old; others stay."""
    directory = academy.sounds / "en"
    directory.mkdir()
    ours, fresh, other = (
        directory / name for name in (".yes.wav.abcd1234", ".yes.wav.efgh5678", ".welcome.wav.abcd")
    )
    for path in (ours, fresh, other):
        path.write_bytes(b"half")
    for path in (ours, other):
        os.utime(path, (0, 0))
    await academy.sync().sync()
    assert (ours.exists(), fresh.exists(), other.exists()) == (False, True, True)


async def test_a_broken_recording_is_named(academy: Academy) -> None:
    """A file that is no audio is named with what to give instead."""
    path = academy.record("yes.mp3")
    path.write_bytes(b"no audio")
    with pytest.raises(SyncFailed, match=r"yes\.mp3 cannot be converted"):
        await academy.sync().sync()


async def test_an_empty_recording_is_named(academy: Academy) -> None:
    """A WAV file without samples does not become a prompt that plays nothing."""
    academy.record("yes.wav").write_bytes(write_wav(b"", 8000))
    with pytest.raises(SyncFailed, match=r"yes\.wav (holds no sound|cannot be converted)"):
        await academy.sync().sync()


async def test_a_recording_of_another_kind_is_named(academy: Academy) -> None:
    """An M4A file is not passed over in silence: the message says what to give instead."""
    academy.record("yes.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    with pytest.raises(SyncFailed, match=r"yes\.m4a cannot .* give an MP3, WAV, OGG or FLAC file"):
        await academy.sync().sync()


@pytest.mark.parametrize("form", ["mp3", "ogg", "flac"])
async def test_recordings_of_every_form_are_converted(academy: Academy, form: str) -> None:
    """Compressed recordings come out as long as they went in."""
    recording = academy.record(f"hello.{form}")
    argv = ["ffmpeg", "-v", "quiet", "-f", "wav", "-i", "pipe:0", "-f", form, "pipe:1"]
    length = length_s(recording.read_bytes(), Form.WAV)
    recording.write_bytes(await run_program(argv, recording.read_bytes(), 10.0))
    await academy.sync().sync()
    found = _length_s(academy.sounds / "en" / "hello.wav")
    assert found == pytest.approx(length, abs=0.2)  # MP3 pads to whole frames


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
    assert "6 prompts made" in capsys.readouterr().out
    files = {path.suffix for path in (tmp_path / "sounds" / "fa").glob("hello.*")}
    assert files == {".wav", ".sln16", ".alaw", ".ulaw"}
    assert _length_s(tmp_path / "sounds" / "fa" / "hello.wav") > 2
    monkeypatch.delenv("AST_SOUND_DIR", raising=False)
    assert main([]) == 3
    assert "AST_SOUND_DIR is not set" in capsys.readouterr().err


def test_remote_copies_are_plain_commands(tmp_path: Path) -> None:
    """Copying to a host makes the directory, copies all forms and removes stale ones, quoted."""
    local, forms = tmp_path / "fa", (Form.WAV, Form.ULAW)
    make, copy, tidy = commands(local, "me@pbx:/my sounds", forms, rsync=True)
    assert make == ["ssh", "me@pbx", "mkdir -p -- '/my sounds/fa'"]
    assert copy[0] == "rsync"
    assert copy[-1] == "me@pbx:/my sounds/fa/"
    wanted = {f"{local}/{name}.{form}" for name in PROMPT_NAMES for form in forms}
    assert {part for part in copy if part.startswith(str(tmp_path))} == wanted
    assert "'/my sounds/fa/hello.gsm'" in tidy[2]
    assert "hello.ulaw" not in tidy[2]
    assert commands(local, "pbx:/sounds", forms, rsync=False)[1][0] == "scp"
    assert is_remote("me@pbx:/sounds")
    assert not is_remote("/var/lib/sounds")
    with pytest.raises(SyncFailed):
        commands(tmp_path, "-oProxyCommand=x:/y", (Form.WAV,), rsync=True)


def test_an_optional_prompt_may_be_missing(tmp_path: Path) -> None:
    """`moment` is made from a text or a recording, and left out where there is neither."""
    file = tmp_path / "prompts.yaml"
    file.write_text(f"en:\n{TEXTS}\n")
    assert [prompt.name for prompt in load_prompts(file, "en")] == list(PROMPT_NAMES)
    file.write_text(f"en:\n{TEXTS}\n  moment: One moment.\n")
    assert load_prompts(file, "en")[-1].text == "One moment."
    file.write_text(f"en:\n{TEXTS}\n")
    (tmp_path / "en").mkdir()
    (tmp_path / "en/moment.mp3").write_bytes(b"ID3")
    assert load_prompts(file, "en")[-1].recording == tmp_path / "en/moment.mp3"
