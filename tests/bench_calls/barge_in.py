"""How often a prompt gives way to what is no speech, and how often to somebody who speaks.

The callers hear `hello`. What they send meanwhile is an echo of it, noise, or words; nobody says
anything during the prompt but those who are meant to be heard.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import wave
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e_support import lab
from e2e_support.stack import ROOM, Stack, stack
from e2e_support.understanding import understanding
from lab import behaviours, inbound, scenarios, voices
from lab.behaviours import Talk

_BARGE_INS = re.compile(r'^salehi_barge_ins_total\{outcome="\w+"\} (\S+)$', re.MULTILINE)
_FULL_SCALE = 32768
_ECHO_LATE_MS = 150
_LISTENED_TO_MS = 9000
_SETTLES_S = 3.0
_LINE, _CALLER = "02191001001", "09120000901"


@dataclass(frozen=True)
class Row:
    """What one kind of caller did to the prompt.

    Attributes:
        gave_way: how many prompts were stopped.
        meant: whether they should have been.
    """

    name: str
    calls: int
    gave_way: int
    meant: bool

    def line(self) -> str:
        """Give the row of the table."""
        right = "heard" if self.meant else "stopped wrongly"
        return f"{self.name:<34}{self.gave_way:>4} of {self.calls} {right}"


@dataclass(frozen=True)
class Prompt:
    """The prompt the callers hear, as 8 kHz samples."""

    samples: array[int]

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return len(self.samples) // voices.SAMPLES_PER_MS


async def measured(home: Path, lab_env: Path, calls: int) -> list[Row]:
    """Let callers of every kind hear the prompt, so many of each, one kind after the other."""
    prompt = _hello()
    async with (
        understanding(0.3) as ears,
        stack(home, lab_env, "reporter", "ari-gateway", **ROOM, **ears.settings) as running,
    ):
        await running.ready()
        await _call(prompt, _silence(prompt), home, calls=1)  # from now on its length is known
        rows = []
        for name, samples in _kinds(prompt).items():
            before = await _gave_way(running)
            await _call(prompt, samples, home, calls=calls)
            meant = name.startswith("words in")
            rows.append(Row(name, calls, await _gave_way(running) - before, meant))
        return rows


def _kinds(prompt: Prompt) -> Mapping[str, array[int]]:
    """Give what each kind of caller sends from the answer on."""
    quiet, end_ms = _silence(prompt), prompt.length_ms
    words = voices.render_phrase(behaviours.YES, voices.VOICES[0], _phrases(), _log())
    too_early_ms = end_ms - 1500 - len(words) // voices.SAMPLES_PER_MS - 500
    return {
        "silence": quiet,
        **{
            f"echo at {level_db} dB, {_ECHO_LATE_MS} ms late": _mix(quiet, _echo(prompt, level_db))
            for level_db in (-20, -30)
        },
        **{
            f"{kind} at {level_db} dBFS": _mix(quiet, _at_level(make(len(quiet)), level_db))
            for kind, make in (("white noise", _white), ("babble", _babble))
            for level_db in (-50, -40, -30)
        },
        "words 0.5 s before the last 1.5 s": _mix(quiet, _placed(words, too_early_ms)),
        "words in the last 1.2 s": _mix(quiet, _placed(words, end_ms - 1200)),
        "words in the last 0.8 s": _mix(quiet, _placed(words, end_ms - 800)),
    }


async def _call(prompt: Prompt, samples: array[int], home: Path, *, calls: int) -> None:
    track = home / "caller.alaw"
    voices.write_alaw(samples, track, _log())
    talk = Talk((), leave_ms=prompt.length_ms + _LISTENED_TO_MS)
    text = scenarios.calling_side(_LINE, _CALLER, talk, track)
    limit_s = talk.leave_ms / 1000 + calls + 30
    await asyncio.to_thread(inbound.run, lab.PATHS, text, limit_s, calls=calls)


async def _gave_way(running: Stack) -> int:
    await asyncio.sleep(_SETTLES_S)
    return sum(
        int(float(count)) for count in _BARGE_INS.findall(await running.metrics("ari-gateway"))
    )


def _hello() -> Prompt:
    with wave.open(str(lab.PATHS.sound_dir / "en/hello.wav")) as file:
        return Prompt(array("h", file.readframes(file.getnframes())))


def _silence(prompt: Prompt) -> array[int]:
    return voices.compose((), prompt.length_ms + _LISTENED_TO_MS)


def _placed(samples: array[int], start_ms: int) -> array[int]:
    return array("h", bytes(2 * start_ms * voices.SAMPLES_PER_MS)) + samples


def _echo(prompt: Prompt, level_db: float) -> array[int]:
    """Give the prompt as it comes back, so much quieter."""
    gain = 10 ** (level_db / 20)
    return _placed(array("h", (int(gain * sample) for sample in prompt.samples)), _ECHO_LATE_MS)


def _white(length: int) -> array[int]:
    generator = random.Random(7)
    return array("h", (int(generator.gauss(0, 3000)) for _ in range(length)))


def _babble(length: int) -> array[int]:
    """Give four people who talk at once, each with pauses of his own."""
    mixed = [0] * length
    for number, voice in enumerate(voices.VOICES):
        at = number * 4000
        phrases = (behaviours.QUESTION, behaviours.OPERATOR_PHRASE, behaviours.NO)
        while at < length:
            for phrase in phrases[number % 3 :] + phrases[: number % 3]:
                for sample in voices.render_phrase(phrase, voice, _phrases(), _log()):
                    if at < length:
                        mixed[at] += sample // 4
                    at += 1
                at += 2400
    return array("h", mixed)


def _at_level(samples: array[int], level_db: float) -> array[int]:
    """Bring samples to a level, dB below a full-scale square wave (RMS)."""
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    gain = _FULL_SCALE * 10 ** (level_db / 20) / rms
    return array("h", (_clipped(gain * sample) for sample in samples))


def _mix(below: array[int], above: array[int]) -> array[int]:
    both = array("h", below)
    for index, sample in enumerate(above[: len(both)]):
        both[index] = _clipped(both[index] + sample)
    return both


def _clipped(sample: float) -> int:
    return max(-_FULL_SCALE, min(_FULL_SCALE - 1, int(sample)))


def _phrases() -> Path:
    return lab.PATHS.audio / f"phrases-{voices.RENDERING}"


def _log() -> Path:
    return lab.PATHS.log / "audio.log"
