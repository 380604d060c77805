"""The replies, and how each arrives: every one is drawn from its seed alone."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from evaluation.line import coded, level_of, mixed, with_gaps, with_hiss
from evaluation.voices import (
    RATE_HZ,
    TUNING,
    UNSEEN,
    Voice,
    choir_of,
    draw_prosody,
    installed,
    speak,
)
from speech.audio import Recording
from speech.stt.grammar import load_sentences, plain

SPEECH_DBFS = (-32.0, -18.0)
_FULL_SCALE = 32768
_CUT_SHARE = 0.1
_CUT_S = 0.05


@dataclass(frozen=True)
class Sentence:
    """Something a person says.

    Attributes:
        text: the words.
        intent: what it means; "unknown" when it answers nothing.
        is_known: whether the embedded engine's grammar holds it.
    """

    text: str
    intent: str
    is_known: bool


@dataclass(frozen=True)
class Line:
    """How a reply arrives.

    Attributes:
        name: of the line, in tables.
        noise: kind of noise on the caller's side; empty: none.
        snr_db: how far the noise is below the speech.
        law: coding, "ulaw" or "alaw".
        loses: whether packets are lost.
    """

    name: str
    noise: str = ""
    snr_db: float = 0.0
    law: str = "ulaw"
    loses: bool = False


@dataclass(frozen=True)
class Reply:
    """A sentence said by a voice over a line, to be rendered."""

    sentence: Sentence
    voice: Voice
    line: Line
    seed: int

    def record(self) -> Recording:
        """Render it: silence, the words at some level, silence; the same each time."""
        source = random.Random(f"{self.seed} {self.sentence.text} {self.voice}")
        prosody = draw_prosody(source)
        words = speak(self.sentence.text, self.voice, prosody)
        if source.random() < _CUT_SHARE:  # said while the question still played
            words = words[int(_CUT_S * RATE_HZ) :]
        wanted = _FULL_SCALE * 10 ** (source.uniform(*SPEECH_DBFS) / 20)
        gain = wanted / level_of(words)
        before, after = source.uniform(0.2, 1.2), source.uniform(0.3, 0.8)
        track = [0.0] * int(before * RATE_HZ)
        track += [sample * gain for sample in words]
        track += [0.0] * int(after * RATE_HZ)
        if self.line.noise:
            level = wanted / 10 ** (self.line.snr_db / 20)
            track = mixed(track, self.line.noise, level, source, choir_of(self.voice))
        track = with_hiss(track, source)
        if self.line.loses:
            track = with_gaps(track, source)
        return coded(track, self.line.law)


@cache
def sentences(*, unseen: bool) -> tuple[Sentence, ...]:
    """Give the sentences of one half of the corpus."""
    file = resources.files("evaluation") / "data" / "replies.csv"
    wanted = "unseen" if unseen else "tuning"
    known = {" ".join(map(plain, words)) for words in load_sentences("en")}
    with file.open(encoding="utf-8") as rows:
        return tuple(
            Sentence(row["text"], row["intent"], row["text"] in known)
            for row in csv.DictReader(rows)
            if row["half"] in {wanted, "both"}
        )


def replies(line: Line, *, unseen: bool, seed: int, each: int) -> Iterator[Reply]:
    """Give every sentence in `each` voices of its half; which ones, the seed draws."""
    choir = installed(UNSEEN if unseen else TUNING)
    for sentence in sentences(unseen=unseen):
        source = random.Random(f"{seed} {sentence.text}")
        for voice in source.sample(choir, min(each, len(choir))):
            yield Reply(sentence, voice, line, seed)
