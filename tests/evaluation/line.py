"""What a telephone line does to a reply: the caller's noise, coding, lost packets."""

from __future__ import annotations

import array
import math
import random
from collections.abc import Callable, Sequence
from functools import cache

from evaluation.voices import RATE_HZ, Prosody, Voice, speak
from speech.audio import Recording, pcm_of

HISS_LEVEL = 3.0
_PACKET = RATE_HZ // 50
_LOSS_SHARE = 0.03
_LOSS_STAYS = 0.5
_BABBLE = (
    "the weather was lovely at the weekend so we drove up to the mountains",
    "they told us that the train would leave from the other platform",
    "put the potatoes on the table and ask your brother to come down",
    "i think the second half of the match was a good deal better",
)
_NOISE_S = 8

Samples = Sequence[float]


def level_of(samples: Samples) -> float:
    """Give the root mean square."""
    return math.sqrt(sum(sample * sample for sample in samples) / max(1, len(samples)))


def _white(_choir: Sequence[Voice]) -> list[float]:
    source = random.Random("white")
    return [source.gauss(0.0, 1.0) for _ in range(_NOISE_S * RATE_HZ)]


def _car(_choir: Sequence[Voice]) -> list[float]:
    """Low rumble with a little of the road's hiss."""
    source = random.Random("car")
    rumble, noise = 0.0, []
    for _ in range(_NOISE_S * RATE_HZ):
        rumble = 0.97 * rumble + source.gauss(0.0, 1.0)
        noise.append(rumble + source.gauss(0.0, 0.4))
    return noise


def _babble(choir: Sequence[Voice]) -> list[float]:
    """Eight people talking at once, of the same voices as the replies, and a little hiss."""
    source = random.Random("babble")
    mix = [0.0] * (_NOISE_S * RATE_HZ)
    for number in range(8):
        words = speak(_BABBLE[number % 4], choir[number % len(choir)], Prosody(0.9, 1.0))
        level, begins = level_of(words), source.randrange(len(mix))
        for at in range(len(mix)):
            mix[at] += words[(begins + at) % len(words)] / level
    return mix


_NOISES: dict[str, Callable[[Sequence[Voice]], list[float]]] = {
    "white": _white,
    "babble": _babble,
    "car": _car,
}
NOISES = tuple(_NOISES)


@cache
def _noise(name: str, choir: tuple[Voice, ...]) -> tuple[float, ...]:
    """Give some seconds of a noise, root mean square 1."""
    noise = _NOISES[name](choir)
    level = level_of(noise)
    return tuple(sample / level for sample in noise)


def mixed(
    track: Samples, noise: str, level: float, source: random.Random, choir: tuple[Voice, ...]
) -> list[float]:
    """Put a noise of that root mean square under a track; `choir` are the voices of babble."""
    under = _noise(noise, choir)
    begins = source.randrange(len(under))
    return [sample + level * under[(begins + at) % len(under)] for at, sample in enumerate(track)]


def with_hiss(track: Samples, source: random.Random) -> list[float]:
    """Put the hiss of a quiet line under a track."""
    return [sample + source.gauss(0.0, HISS_LEVEL) for sample in track]


def with_gaps(track: Samples, source: random.Random) -> list[float]:
    """Lose 6 % of the packets of 20 ms, in bursts; where one is missing there is silence."""
    kept, lost = list(track), False
    for begins in range(0, len(kept), _PACKET):
        lost = source.random() < (_LOSS_STAYS if lost else _LOSS_SHARE)
        if lost:
            kept[begins : begins + _PACKET] = [0.0] * len(kept[begins : begins + _PACKET])
    return kept


def coded(track: Samples, law: str) -> Recording:
    """Send a track through G.711, "ulaw" or "alaw", and give what arrives."""
    table = _law(law)
    whole = (max(-32768, min(32767, int(sample))) for sample in track)
    return Recording(
        pcm_of(array.array("h", [table[sample] for sample in whole])), RATE_HZ, RATE_HZ // 2
    )


@cache
def _law(law: str) -> list[int]:
    """Give what each sample, -32768 last, sounds like after coding; negative numbers index it."""
    code = _ulaw if law == "ulaw" else _alaw
    up = [code(size) for size in range(32768)]
    down = [-code(min(-size, 32767)) for size in range(-32768, 0)]
    return up + down


def _ulaw(size: int) -> int:
    size = min(size, 32635) + 132
    step = 1 << (size.bit_length() - 5)
    return size // step * step + step // 2 - 132


def _alaw(size: int) -> int:
    step = 1 << max(4, size.bit_length() - 5)
    return size // step * step + step // 2
