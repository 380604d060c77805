"""Makes a recording what engines want: 16 kHz, a common level and, if asked for, less noise."""

from __future__ import annotations

import numpy as np

from speech.audio import Recording, amplify, double_rate, samples_of, window_levels, write_wav
from speech.ffmpeg import to_samples
from speech.programs import run_program

ENHANCED_RATE_HZ = 16000

# The embedded engine understands no more with it, see docs/adr/0009; a provider may. The filter
# learns the noise as it goes (tn). Nothing evens out the level within a reply: that lifts the noise
# in the pauses, and of 88 answers in babble 38 were understood then and not 68.
DENOISE = "highpass=f=120,afftdn=nr=12:nf=-40:tn=1"
_NOISY_SHARE = 0.1  # quiet parts less than 20 dB below the loud ones
_WINDOWS_A_SECOND = 50
_SPEECH_LEVEL = 3000.0  # -21 dBFS
_HIGHEST_PEAK = 30_000.0
_MOST_GAIN = 10.0  # 20 dB: more would bring up what is said in the background


async def enhance(recording: Recording, timeout_s: float, *, denoises: bool = False) -> Recording:
    """Bring to 16 kHz and to a common level; `denoises`: and denoise where there is noise.

    Without noise, or not asked to denoise, no other program is started.

    Raises:
        ProgramFailed: ffmpeg failed or took longer than `timeout_s` seconds.
    """
    loud = _level(recording)
    if denoises and is_noisy(recording):
        return await apply_filters(loud, DENOISE, timeout_s)
    return loud if loud.rate_hz == ENHANCED_RATE_HZ else double_rate(loud)


async def apply_filters(recording: Recording, filters: str, timeout_s: float) -> Recording:
    """Send a recording through ffmpeg's filters and bring it to 16 kHz.

    Raises:
        ProgramFailed: ffmpeg failed or took longer than `timeout_s` seconds.
    """
    plain = write_wav(recording.pcm, recording.rate_hz)
    pcm = await run_program(to_samples(("wav",), filters, ENHANCED_RATE_HZ), plain, timeout_s)
    return Recording(pcm, ENHANCED_RATE_HZ, recording.band_hz)


def is_noisy(recording: Recording) -> bool:
    """Whether the pauses are loud: their level is less than 20 dB below that of the speech."""
    quiet, loud = _extremes(recording)
    return quiet > loud * _NOISY_SHARE


def _level(recording: Recording) -> Recording:
    """Raise a low voice, all of it by the same factor, and by no more than its peaks allow."""
    _, loud = _extremes(recording)
    samples = np.array(samples_of(recording.pcm), np.float64)
    peak = float(np.max(np.abs(samples), initial=0.0))
    gain = min(_MOST_GAIN, _SPEECH_LEVEL / max(loud, 1.0), _HIGHEST_PEAK / max(peak, 1.0))
    return amplify(recording, gain) if gain > 1.0 else recording


def _extremes(recording: Recording) -> tuple[float, float]:
    """Give the levels that a tenth of all windows stay below and go above."""
    window = recording.rate_hz // _WINDOWS_A_SECOND
    levels = sorted(window_levels(samples_of(recording.pcm), window))
    if not levels:
        return 0.0, 0.0
    tenth = len(levels) // 10
    return levels[tenth], levels[-1 - tenth]
