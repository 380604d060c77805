"""Does the service know when somebody spoke: sounds that are none, and the shortest replies."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.line import coded, level_of, mixed, with_hiss
from evaluation.measures import Share
from evaluation.voices import RATE_HZ, TUNING, UNSEEN, Voice, choir_of, draw_prosody, speak
from speech.audio import Recording
from speech.vad import SpeechDetector

LEVELS_DBFS = (-20, -30, -40, -45, -50)
SNRS_DB = (10, 5, 0)
_NOISES = ("white", "babble", "car")
_NOISY_DBFS = -30
_FULL_SCALE = 32768
_PERSIAN = tuple(Voice("espeak-ng", f"fa{kind}") for kind in ("", "+m3", "+f4", "+f1"))
_PAUSE = [0.0] * (RATE_HZ // 2)
_TONE_LEVEL = 6000.0
_SOUND_S = 4
_DTMF_LOW_HZ, _DTMF_HIGH_HZ = (697, 770, 852, 941), (1209, 1336, 1477)


@dataclass(frozen=True)
class Listening:
    """How often speech was heard in recordings of one kind.

    Attributes:
        what: the kind.
        heard: recordings in which speech was heard, of all.
    """

    what: str
    heard: Share


async def listen_to_sounds() -> Iterator[Listening]:
    """Tell, for each sound that is no speech, whether it is taken for speech."""
    detector = SpeechDetector()
    return iter(
        [
            Listening(what, Share(int(await detector.hears_speech(recording)), 1))
            for what, recording in _sounds()
        ]
    )


async def listen_to_words(*, every: bool) -> Iterator[Listening]:
    """Tell how often one word is heard, by level on a quiet line and by noise at -30 dBFS.

    Not `every` level: the highest and the lowest, and the loudest noise.
    """
    detector = SpeechDetector()
    found = []
    for language, voices, words in (
        ("بله نه آره", _PERSIAN, ("بله", "نه", "آره")),
        ("yes no", TUNING + UNSEEN, ("yes", "no")),
    ):
        said = [(word, voice) for word in words for voice in voices if voice.is_installed]
        for kind, level_dbfs, noise, snr_db in _conditions(every=every):
            heard = [
                await detector.hears_speech(_word(word, voice, level_dbfs, noise, snr_db))
                for word, voice in said
            ]
            found.append(Listening(f"{language}, {kind}", Share(sum(heard), len(heard))))
    return iter(found)


def _conditions(*, every: bool) -> Iterator[tuple[str, int, str, int]]:
    for level_dbfs in LEVELS_DBFS if every else (LEVELS_DBFS[0], LEVELS_DBFS[-1]):
        yield f"{level_dbfs} dBFS", level_dbfs, "", 0
    for noise in _NOISES:
        for snr_db in SNRS_DB if every else SNRS_DB[-1:]:
            yield f"{noise} {snr_db} dB", _NOISY_DBFS, noise, snr_db


def _word(word: str, voice: Voice, level_dbfs: int, noise: str, snr_db: int) -> Recording:
    source = random.Random(f"{word} {voice}")
    spoken = speak(word, voice, draw_prosody(source))
    level = _FULL_SCALE * 10 ** (level_dbfs / 20)
    gain = level / level_of(spoken)
    track = [*_PAUSE, *(sample * gain for sample in spoken), *_PAUSE]
    if noise:
        under = level / 10 ** (snr_db / 20)
        track = mixed(track, noise, under, source, choir_of(voice))
    return coded(with_hiss(track, source), "ulaw")


def _sounds() -> Iterator[tuple[str, Recording]]:
    nothing = [0.0] * (_SOUND_S * RATE_HZ)
    source = random.Random("sounds")
    yield "digital silence", coded(nothing, "ulaw")
    tracks = {
        "line hiss": nothing,
        "ringing, 425 Hz": _tones((425,), 1.0, 3.0),
        "ringing, 440 + 480 Hz": _tones((440, 480), 2.0, 2.0),
        "busy, 425 Hz": _tones((425,), 0.5, 0.5),
        "congestion, 480 + 620 Hz": _tones((480, 620), 0.25, 0.25),
        "answering machine's beep, 1400 Hz": _tones((1400,), 0.4, 3.6),
        "fax, 1100 Hz": _tones((1100,), 0.5, 3.0),
        "DTMF, every key": _keys(),
        "clicks": _clicks(source),
        "plucked chords": _chords(source),
    }
    for level in (200, 1000, 4000):
        for noise in ("white", "car"):
            loudness = 20 * math.log10(level / _FULL_SCALE)
            name = f"{noise} noise, {loudness:.0f} dBFS"
            tracks[name] = mixed(nothing, noise, level, source, ())
    for what, track in tracks.items():
        yield what, coded(with_hiss(track, source), "ulaw")


def _tones(
    pitches_hz: tuple[int, ...], on_s: float, off_s: float, length_s: float = _SOUND_S
) -> list[float]:
    """Give tones that sound together, on and off."""
    return [
        sum(math.sin(2 * math.pi * pitch_hz * at / RATE_HZ) for pitch_hz in pitches_hz)
        * (_TONE_LEVEL / len(pitches_hz))
        * (at / RATE_HZ % (on_s + off_s) < on_s)
        for at in range(int(length_s * RATE_HZ))
    ]


def _keys() -> list[float]:
    return [
        sample
        for low_hz in _DTMF_LOW_HZ
        for high_hz in _DTMF_HIGH_HZ
        for sample in _tones((low_hz, high_hz), 0.1, 0.1, 0.2)
    ]


def _clicks(source: random.Random) -> list[float]:
    """Give a handset being put about: short bursts that die away."""
    track = [0.0] * (_SOUND_S * RATE_HZ)
    for _ in range(12):
        begins = source.randrange(len(track) - 100)
        for at in range(100):
            track[begins + at] += 12000 * source.gauss(0.0, 1.0) * math.exp(-at / 12)
    return track


def _chords(source: random.Random) -> list[float]:
    """Give music on hold of the plainest kind."""
    track = []
    for _ in range(2 * _SOUND_S):
        root_hz = source.choice((220, 247, 262, 294, 330))
        for at in range(RATE_HZ // 2):
            since_s = at / RATE_HZ
            chord = sum(
                math.sin(2 * math.pi * root_hz * step * since_s) for step in (1, 1.26, 1.5, 2)
            )
            track.append(1500 * math.exp(-3 * since_s) * chord)
    return track
