"""The evaluation measures what it says: its own arithmetic, its corpus, its labels."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from evaluation.corpus import Line, Reply, Sentence, sentences
from evaluation.line import coded, level_of, mixed
from evaluation.measures import (
    Outcome,
    false_answers,
    false_yes,
    intent_accuracy,
    word_accuracy,
    word_errors,
    wrong_answers,
)
from evaluation.own import evaluate_recordings, read_labels
from evaluation.voices import TUNING, UNSEEN, Voice
from servicekit.errors import StartupError
from speech.audio import samples_of, write_wav
from speech_support.phone import hiss, reply_wav


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("no thank you", "no thank you", 0),
        ("no thank you", "", 3),
        ("no thank you", "no thanks", 2),
        ("yes", "oh yes please", 2),
        ("how did you get it", "did you get it now", 2),
    ],
)
def test_word_errors_are_the_fewest_changes(said: str, heard: str, errors: int) -> None:
    """Words put in, left out and changed count one each."""
    assert word_errors(said, heard) == word_errors(heard, said) == errors


def test_each_share_counts_what_its_heading_says() -> None:
    """A miss, a wrong answer, a made-up answer and a forced yes are told apart."""
    outcomes = [
        Outcome("yes", "yes", "yes", "yes", is_known=True),
        Outcome("no thanks", "no", "", "unknown", is_known=True),
        Outcome("no", "no", "yes", "yes", is_known=True),
        Outcome("nope", "no", "no", "no", is_known=False),
        Outcome("hello", "unknown", "no", "no", is_known=True),
        Outcome("the cat", "unknown", "", "unknown", is_known=False),
    ]
    assert str(word_accuracy(outcomes)) == "20.0"  # 1 of 5 words
    assert str(intent_accuracy(outcomes, known=True)) == "33.3"
    assert str(intent_accuracy(outcomes)) == "50.0"
    assert str(wrong_answers(outcomes)) == "25.0"
    assert str(false_answers(outcomes)) == "50.0"
    assert str(false_yes(outcomes)) == "20.0"
    assert str(false_yes([])) == "-"


def test_voices_and_foreign_sentences_are_kept_apart() -> None:
    """No voice, and no sentence that is in the grammar's way, is tuned on and judged by as well."""
    assert not set(TUNING) & set(UNSEEN)
    foreign = [
        {one.text for one in sentences(unseen=unseen) if one.intent == "unknown"}
        for unseen in (False, True)
    ]
    assert len(foreign[0] - foreign[1]) >= 25
    assert len(foreign[1] - foreign[0]) >= 25


def test_a_reply_is_the_same_each_time() -> None:
    """Voice, prosody, level and noise come from the seed; another seed gives another recording."""
    sentence = Sentence("no thank you", "no", is_known=True)
    line = Line("babble", "babble", 10)
    voice = Voice("espeak-ng", "en-us")
    once, again, other = (Reply(sentence, voice, line, seed).record() for seed in (1, 1, 2))
    assert once == again != other


@pytest.mark.parametrize("noise", ["white", "babble", "car"])
def test_noise_has_the_level_asked_for(noise: str) -> None:
    """What is mixed under a track has that root mean square, to half a decibel."""
    silence = [0.0] * 64_000
    track = mixed(silence, noise, 1000.0, random.Random(1), TUNING[:2])
    assert level_of(track) == pytest.approx(1000.0, rel=0.06)


@pytest.mark.parametrize(("law", "coarsest"), [("ulaw", 0.04), ("alaw", 0.04)])
def test_coding_keeps_each_sample_near(law: str, coarsest: float) -> None:
    """G.711 is off by 4 % of a sample at most, or by the smallest step."""
    track = [float(sample) for sample in range(-32000, 32001, 37)]
    for sample, heard in zip(track, samples_of(coded(track, law).pcm), strict=True):
        assert abs(heard - sample) <= max(16, coarsest * abs(sample))


def test_labels_are_read_with_their_recordings(tmp_path: Path) -> None:
    """Each line gives a recording, its words, normalised, and what they mean."""
    (tmp_path / "a.wav").write_bytes(write_wav(hiss(0.5, 100).pcm, 8000))
    labels = tmp_path / "labels.csv"
    labels.write_text("file,text,intent\na.wav,بله بفرمایید.,yes\na.wav,,unknown\n", "utf-8")
    first, second = read_labels(tmp_path, labels)
    assert (first.text, first.intent, first.recording.length_s) == ("بله بفرمایید", "yes", 0.5)
    assert (second.text, second.intent) == ("", "unknown")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,text\n", "the first line must be file,text,intent"),
        ("file,text,intent\na.wav,yes,maybe\n", "line 2: intent must be one of yes, no"),
        ("file,text,intent\nmissing.wav,yes,yes\n", "line 2: the recording cannot be used"),
        ("file,text,intent\n", "names no recording"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, content: str, said: str) -> None:
    """A wrong heading, an unknown intent, a missing file and no file at all are one clear line."""
    labels = tmp_path / "labels.csv"
    labels.write_text(content)
    with pytest.raises(StartupError, match=said) as caught:
        read_labels(tmp_path, labels)
    assert "\n" not in str(caught.value)


async def test_a_provider_that_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A provider that cannot be asked ends the evaluation of recordings with one line."""
    (tmp_path / "a.wav").write_bytes(reply_wav("yes please"))
    labels = tmp_path / "labels.csv"
    labels.write_text("file,text,intent\na.wav,,yes\n")
    monkeypatch.setenv("STT_PROVIDERS", "vira")
    monkeypatch.setenv("VIRA_STT_TOKEN", "token")
    monkeypatch.setenv("VIRA_STT_URL", "http://127.0.0.1:9")
    with pytest.raises(StartupError, match="could not be transcribed: Vira") as caught:
        await evaluate_recordings(tmp_path, labels, "fa", compares=False)
    assert "\n" not in str(caught.value)
