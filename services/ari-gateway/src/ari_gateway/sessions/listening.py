"""Recording one reply: from the end of a prompt until the caller has said it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ari_gateway.ari.errors import AriNotFound
from ari_gateway.metrics import TURN_STAGE_SECONDS
from ari_gateway.sessions.endings import CallFailed
from ari_gateway.sessions.waits import LONGEST_STEP_S

if TYPE_CHECKING:
    from ari_gateway.sessions.call import Call

# Fallback for talk detection that never reports: beyond every silence a caller is allowed.
_SILENCE_FALLBACK_MARGIN_S = 3


@dataclass(frozen=True)
class Listening:
    """How replies are listened to.

    Attributes:
        start_timeout_s: how long a caller may stay silent first, seconds.
        max_s: how long a reply may last, seconds.
        end_of_speech_ms: silence that ends a reply, milliseconds.
        talk_threshold: loudness that counts as talk (Asterisk's scale, 256 by default).
    """

    start_timeout_s: float
    max_s: int
    end_of_speech_ms: int
    talk_threshold: int

    @property
    def talk_detect(self) -> str:
        """Value of Asterisk's TALK_DETECT(set)."""
        return f"{self.end_of_speech_ms},{self.talk_threshold}"


@dataclass(frozen=True)
class Said:
    """A reply.

    Attributes:
        audio: WAV, 8 kHz mono; personal data.
        ended_s: when the caller stopped talking, `time.monotonic()` seconds.
    """

    audio: bytes
    ended_s: float


async def record_reply(call: Call, listening: Listening, name: str) -> Said | None:
    """Record until the caller stops talking; None when nothing was said.

    The recording lives on Asterisk only until it is fetched.
    """
    recorded = call.live.waits.expect("recorded", name)
    call.live.talk.reset()
    call.recordings[name] = recorded
    with call.asking_asterisk():
        await call.until(
            call.ari.record(
                call.live.plan.channel_id,
                name,
                max_duration_s=listening.max_s,
                max_silence_s=int(listening.start_timeout_s) + _SILENCE_FALLBACK_MARGIN_S,
            ),
            LONGEST_STEP_S,
        )
    ended_s = await _reply_ended(call, listening, recorded)
    with call.asking_asterisk():
        await call.ari.stop_recording(name)
        if not await call.until(recorded, LONGEST_STEP_S):
            raise CallFailed("recording_failed", technical=True)
        if ended_s is None:
            return None
        return Said(await _fetch(call, name), ended_s)


async def left_behind(call: Call, name: str) -> bytes | None:
    """Give the recording that was under way when another gateway left this call; None without."""
    recorded = call.live.waits.expect("recorded", name)
    with call.asking_asterisk():
        if await call.ari.live_recording_exists(name):
            call.recordings[name] = recorded
            await call.ari.stop_recording(name)
            await call.until(recorded, LONGEST_STEP_S)
        call.recordings[name] = recorded
        try:
            return await _fetch(call, name)
        except AriNotFound:
            del call.recordings[name]
            return None


async def _reply_ended(
    call: Call, listening: Listening, recorded: asyncio.Future[bool]
) -> float | None:
    """Wait for the end of the reply, or of the recording; say when talk ended, if there was any."""
    talk = call.live.talk
    ended = asyncio.ensure_future(talk.reply_ended(listening.start_timeout_s))
    try:
        first = asyncio.wait({ended, recorded}, return_when=asyncio.FIRST_COMPLETED)
        await call.until(first, listening.max_s + LONGEST_STEP_S)
        spoke = ended.result() if ended.done() else talk.talking or talk.spoke_since_reset
    finally:
        ended.cancel()
    if not spoke:
        return None
    if talk.stopped_at_s is None:
        return time.monotonic()  # still talking when the recording was full
    ended_s = talk.stopped_at_s - listening.end_of_speech_ms / 1000
    TURN_STAGE_SECONDS.labels("endpoint").observe(time.monotonic() - ended_s)
    return ended_s


async def _fetch(call: Call, name: str) -> bytes:
    began = time.perf_counter()
    audio = await call.until(call.ari.recording_file(name), LONGEST_STEP_S)
    TURN_STAGE_SECONDS.labels("fetch").observe(time.perf_counter() - began)
    await call.delete_recording(name)
    return audio
