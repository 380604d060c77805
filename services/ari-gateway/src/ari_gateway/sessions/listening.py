"""Recording one reply: from the end of a prompt until the caller has said it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ari_gateway.ari.errors import AriNotFound
from ari_gateway.sessions.endings import CallFailed
from ari_gateway.sessions.talk import Patience
from ari_gateway.sessions.turns import TurnUnderWay
from ari_gateway.sessions.waits import LONGEST_STEP_S

if TYPE_CHECKING:
    from ari_gateway.sessions.call import Call

# Fallback for talk detection that never reports: beyond every silence a caller is allowed.
_SILENCE_FALLBACK_MARGIN_S = 3
# Asterisk says "done", not "failed", of a recording it cannot write: at once without the right to,
# and without room on the disk when its buffer of 2.05 s is full. Without a packet it gives up, too,
# but only after 4 s.
_ENDS_NOT_BEFORE_S = 3.0


@dataclass(frozen=True)
class Listening:
    """How replies are listened to.

    Attributes:
        start_timeout_s: how long a caller may stay silent first, seconds.
        max_s: how long a reply may last, seconds.
        patience: the silence that ends a reply.
        talk_threshold: loudness that counts as talk (Asterisk's scale, 256 by default).
        barge_in_window_s: how long before its end a prompt gives way to speech; 0: never.
    """

    start_timeout_s: float
    max_s: int
    patience: Patience
    talk_threshold: int
    barge_in_window_s: float = 0.0

    @property
    def talk_detect(self) -> str:
        """Value of Asterisk's TALK_DETECT(set): it reports the shortest silence that may count."""
        return f"{self.patience.shortest_ms},{self.talk_threshold}"


@dataclass(frozen=True)
class Said:
    """A reply.

    Attributes:
        audio: WAV, 8 kHz mono; personal data.
        turn: the turn it begins.
    """

    audio: bytes
    turn: TurnUnderWay


class Recording:
    """One recording of a call. It lives on Asterisk only until it is fetched."""

    def __init__(self, call: Call, name: str) -> None:
        self._call = call
        self._name = name
        self._recorded: asyncio.Future[bool] | None = None

    async def arm(self) -> None:
        """Ask Asterisk to record: at once, or as soon as what plays has ended."""
        if self._recorded is not None:
            return
        call, listening = self._call, self._call.tools.listening
        self._recorded = call.live.waits.expect("recorded", self._name)
        call.live.talk.reset()
        call.recordings[self._name] = self._recorded
        record = call.seen_to(
            lambda: call.ari.record(
                call.live.plan.channel_id,
                self._name,
                max_duration_s=listening.max_s,
                max_silence_s=int(listening.start_timeout_s) + _SILENCE_FALLBACK_MARGIN_S,
            ),
            lambda: call.ari.live_recording_exists(self._name),
        )
        with call.asking_asterisk():
            await call.until(record, LONGEST_STEP_S)

    async def reply(self) -> Said | None:
        """Record until the caller stops talking; None when nothing was said."""
        await self.arm()
        assert self._recorded is not None  # noqa: S101 - armed above
        call = self._call
        ended_s = await _reply_ended(call, self._recorded)
        turn = None if ended_s is None else call.begin_turn(ended_s)
        with call.asking_asterisk():
            await call.ari.stop_recording(self._name)
            if not await call.until(asyncio.shield(self._recorded), LONGEST_STEP_S):
                raise CallFailed("recording_failed", technical=True)
            if turn is None:
                return None
            with turn.stage("fetch"):
                audio = await call.until(call.ari.recording_file(self._name), LONGEST_STEP_S)
            await call.delete_recording(self._name)
            if not audio.startswith(b"RIFF"):  # there was no room when the buffer was written
                raise CallFailed("recording_failed", technical=True)
            return Said(audio, turn)


async def left_behind(call: Call, name: str) -> bytes | None:
    """Give the recording that was under way when another gateway left this call; None without."""
    recorded = call.live.waits.expect("recorded", name)
    with call.asking_asterisk():
        if await call.ari.live_recording_exists(name):
            call.recordings[name] = recorded
            await call.ari.stop_recording(name)
            await call.until(asyncio.shield(recorded), LONGEST_STEP_S)
        call.recordings[name] = recorded
        try:
            audio = await call.until(call.ari.recording_file(name), LONGEST_STEP_S)
        except AriNotFound:
            del call.recordings[name]
            return None
        await call.delete_recording(name)
        return audio


async def _reply_ended(call: Call, recorded: asyncio.Future[bool]) -> float | None:
    """Wait for the end of the reply, or of the recording; say when talk ended, if there was any.

    Raises:
        CallFailed: `recording_failed` when Asterisk cannot record.
    """
    talk, listening = call.live.talk, call.tools.listening
    began_s = asyncio.get_running_loop().time()
    ended = talk.reply_ended(listening.start_timeout_s, listening.patience, recorded)
    spoke = await call.until(ended, listening.max_s + LONGEST_STEP_S)
    now_s = asyncio.get_running_loop().time()
    if not spoke:
        if recorded.done() and now_s - began_s < _ENDS_NOT_BEFORE_S and call.live.over is None:
            raise CallFailed("recording_failed", technical=True)
        return None
    # Without an end the caller still talked when the recording was full.
    return now_s if talk.ended_s is None else talk.ended_s
