"""Who speaks the corpus: the machine's own synthesisers, each voice either tuned on or never heard.

Thresholds and weights are fitted on the tuning voices alone. The unseen ones are other speakers;
with Debian's `flite` installed three of them are modelled on recordings of real people, which no
variant of espeak-ng is.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

from speech.audio import samples_of

RATE_HZ = 8000
_BAND = "highpass=f=300,lowpass=f=3400"


@dataclass(frozen=True)
class Voice:
    """A voice of one of the synthesisers.

    Attributes:
        program: "espeak-ng" or "flite".
        name: the program's name of the voice.
    """

    program: str
    name: str

    def __str__(self) -> str:
        return f"{self.program}:{self.name}"

    @property
    def is_installed(self) -> bool:
        """Whether its program is there."""
        return shutil.which(self.program) is not None


def _voices(program: str, *names: str) -> tuple[Voice, ...]:
    return tuple(Voice(program, name) for name in names)


TUNING = (
    *_voices("espeak-ng", "en-us", "en-us+m3", "en-us+f4", "en-us+f1", "en-us+m7", "en-gb"),
    *_voices("flite", "kal16"),
)
UNSEEN = (
    *_voices("espeak-ng", "en-us+Annie", "en-us-nyc+Andy", "en-gb-x-rp+f2", "en-gb-scotland+m5"),
    *_voices("flite", "rms", "slt", "awb"),
)


def installed(voices: tuple[Voice, ...]) -> tuple[Voice, ...]:
    """Give those whose program is there."""
    return tuple(voice for voice in voices if voice.is_installed)


def choir_of(voice: Voice) -> tuple[Voice, ...]:
    """Give the installed voices of the same half."""
    return installed(UNSEEN if voice in UNSEEN else TUNING)


@dataclass(frozen=True)
class Prosody:
    """How a text is said.

    Attributes:
        rate: of speaking, 1 is the voice's own.
        pitch: of the voice, 1 is its own.
    """

    rate: float
    pitch: float


def draw_prosody(source: random.Random) -> Prosody:
    """Draw a way of speaking as people differ: a fifth slower to a fifth faster."""
    return Prosody(round(source.uniform(0.8, 1.2), 2), round(source.uniform(0.85, 1.2), 2))


@cache
def speak(text: str, voice: Voice, prosody: Prosody) -> tuple[int, ...]:
    """Give the samples of a spoken text in a telephone's band, 8 kHz, silence cut off."""
    into = ("-af", _BAND, "-ar", str(RATE_HZ), "-ac", "1", "-f", "s16le", "pipe:1")
    spoken = _run(*_argv(text, voice, prosody))
    narrow = _run("ffmpeg", "-v", "quiet", "-f", "wav", "-i", "pipe:0", *into, stdin=spoken)
    samples = samples_of(narrow)
    heard = max(map(abs, samples)) // 100
    loud = [at for at, sample in enumerate(samples) if abs(sample) > heard]
    return tuple(samples[loud[0] : loud[-1] + 1])


def _argv(text: str, voice: Voice, prosody: Prosody) -> list[str]:
    if voice.program == "flite":
        stretch = f"duration_stretch={1 / prosody.rate:.2f}"
        shift = f"f0_shift={prosody.pitch:.2f}"
        how = ("-voice", voice.name, "--setf", stretch, "--setf", shift)
        return ["flite", *how, "-t", text, "/dev/stdout"]
    pace, pitch = str(int(160 * prosody.rate)), str(int(50 * prosody.pitch))
    return ["espeak-ng", "-v", voice.name, "-s", pace, "-p", pitch, "--stdout", text]


def _run(*argv: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=True, timeout=60)
    return done.stdout
