"""The embedded recogniser: pocketsphinx, a grammar of whole sentences, and a judge of the fit.

A grammar alone hears one of its sentences in anything. So the audio is decoded a second time by
a free loop over all phones, which fits any speech; how much worse the sentence fits than free
speech, word by word, tells whether it was said at all. Blocking; runs in a worker process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pocketsphinx

from speech.audio import Recording
from speech.stt.conditioning import condition
from speech.stt.grammar import Sentence, build_automaton, load_consents, load_sentences, plain

_GRAMMAR = "replies"
_PHONES = "phones"
_NO_SPEECH = {"SIL", "+NSN+", "+SPN+"}
_SILENCES = {"<s>", "</s>", "<sil>", "[NOISE]", "[SPEECH]"}
_SHORTEST_S = 0.1  # no word is shorter; the decoder breaks on an empty recording
_SCORE_SCALE = 1024  # scores of segments come shifted right by 10 bits
_OPTIONS = {
    "lm": None,
    "samprate": 16000,
    "loglevel": "FATAL",
    "wip": 1.0,
    # Both decodings score all senones, or their scores would not compare.
    "compallsen": True,
    # The search for a best path through the lattice forgets which sentences are complete: with it
    # 88 % of the replies are recognised, without 97 %.
    "bestpath": False,
    "beam": 1e-60,
    "pbeam": 1e-60,
    "wbeam": 1e-40,
}


@dataclass(frozen=True)
class Span:
    """A piece of the decoded sentence.

    Attributes:
        word: the word, or a silence.
        frames: its length in hundredths of a second.
        excess: log-likelihood per frame above the phone loop's; 0 is a perfect fit.
        speech_frames: frames of it the phone loop takes for speech.
    """

    word: str
    frames: int
    excess: float
    speech_frames: int


@dataclass(frozen=True)
class Fit:
    """How well a sentence explains the audio.

    Attributes:
        mean: excess over all words, per frame.
        worst: excess of the worst word.
        unexplained: speech the sentence leaves out, as a share of the sentence's length.
        silence: excess of the worst silence; low when speech was passed over as silence.
    """

    mean: float
    worst: float
    unexplained: float
    silence: float

    @property
    def score(self) -> float:
        """Above 0: accepted. Weights fitted on synthetic replies and foreign sentences."""
        return (
            _BIAS
            + _MEAN * self.mean
            + _WORST * self.worst
            + _UNEXPLAINED * self.unexplained
            + _SILENCE * self.silence
        )


_BIAS, _MEAN, _WORST, _UNEXPLAINED, _SILENCE = 6.9, 2.2, 0.2, -3.1, 3.0
CONSENT_MARGIN = 2.0
"""What a yes must reach beyond everything else: it connects a person to an operator, and one
connected without wanting it costs more than one whose yes is not understood."""


@dataclass(frozen=True)
class Heard:
    """What the recogniser makes of a recording.

    Attributes:
        text: the best whole sentence; empty when none fits at all. Personal data.
        fit: how well it fits; None without a sentence.
        margin: how far above 0 the fit's score must be.
    """

    text: str
    fit: Fit | None
    margin: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether the sentence was really said, as far as can be told."""
        return self.fit is not None and self.fit.score > self.margin


class Recogniser:
    """Recognises the sentences of one language's grammar. Not reentrant."""

    def __init__(self, language: str = "en") -> None:
        sentences = load_sentences(language)
        self._sentences = _spoken(sentences)
        self._consents = _spoken(load_consents(language))
        automaton = build_automaton(sentences)
        self._decoder = pocketsphinx.Decoder(**_OPTIONS)
        grammar = self._decoder.create_fsg(
            _GRAMMAR, automaton.start, automaton.final, list(automaton.arcs)
        )
        self._decoder.add_fsg(_GRAMMAR, grammar)
        self._decoder.add_allphone_file(_PHONES, None)

    def hear(self, recording: Recording) -> Heard:
        """Recognise one recording; takes about a tenth of its length."""
        if recording.length_s < _SHORTEST_S:
            return Heard("", None)
        pcm = condition(recording)
        text = self._decode(_GRAMMAR, pcm)
        sentence = tuple(text.split())
        if sentence not in self._sentences:
            return Heard("", None)
        words = self._segments()
        self._decode(_PHONES, pcm)
        phones = self._segments()
        margin = CONSENT_MARGIN if sentence in self._consents else 0.0
        return Heard(text, judge(_spans(words, phones)), margin)

    def _decode(self, search: str, pcm: bytes) -> str:
        self._decoder.activate_search(search)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found else ""

    def _segments(self) -> list[tuple[str, range, float]]:
        return [
            (
                part.word,
                range(part.start_frame, part.end_frame + 1),
                _SCORE_SCALE * math.log(part.ascore),
            )
            for part in self._decoder.seg() or ()
        ]


def _spoken(sentences: Iterable[Sentence]) -> set[Sentence]:
    return {tuple(map(plain, sentence)) for sentence in sentences}


def _spans(
    words: list[tuple[str, range, float]], phones: list[tuple[str, range, float]]
) -> list[Span]:
    """Lay the sentence over the phone loop, frame by frame."""
    free_score: dict[int, float] = {}
    free_speech: set[int] = set()
    for phone, frames, score in phones:
        free_score.update(dict.fromkeys(frames, score / len(frames)))
        if phone not in _NO_SPEECH:
            free_speech.update(frames)
    return [
        Span(
            word,
            len(frames),
            (score - sum(free_score.get(frame, 0.0) for frame in frames)) / len(frames),
            len(free_speech.intersection(frames)),
        )
        for word, frames, score in words
        if word not in {"<s>", "</s>"}
    ]


def judge(spans: list[Span]) -> Fit | None:
    """Sum up how well a sentence fits; None when it has no words."""
    words = [span for span in spans if span.word not in _SILENCES]
    silences = [span for span in spans if span.word in _SILENCES]
    if not words:
        return None
    length = sum(span.frames for span in words)
    return Fit(
        mean=sum(span.frames * span.excess for span in words) / length,
        worst=min(span.excess for span in words),
        unexplained=sum(span.speech_frames for span in silences) / length,
        silence=min((span.excess for span in silences), default=0.0),
    )
