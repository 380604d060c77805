"""The verbs of a call: all a scenario can do to the world.

Each verb returns when it is done and raises `CallOver` when the call ends under it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from opentelemetry import trace

from ari_gateway.ari.errors import AriError, AriNotFound, AriUnavailable
from ari_gateway.ari.rest import AriRest
from ari_gateway.metrics import TURN_LATENCY_SECONDS
from ari_gateway.sessions.background import background
from ari_gateway.sessions.disposition import DispositionTable
from ari_gateway.sessions.endings import CallerHungUp, CallFailed, CallOver
from ari_gateway.sessions.handover import OperatorDesk, Transfer, transfer
from ari_gateway.sessions.listening import Listening, left_behind, record_reply
from ari_gateway.sessions.live import LiveCall
from ari_gateway.sessions.outcome import Failure, Intent
from ari_gateway.sessions.record import Turn
from ari_gateway.sessions.waits import LONGEST_STEP_S
from ari_gateway.understanding import NotUnderstood, Understanding, Understood
from servicekit.clock import Clock, SystemClock

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

T = TypeVar("T")

# Asterisk ends a playback by itself; this only catches an event that never comes.
_LONGEST_PROMPT_S = 120.0
_LONGEST_UNDERSTANDING_S = 150.0
_SHORTEST_HOLD_PROMPT_S = 0.5


@dataclass(frozen=True)
class Tools:
    """What every call of a gateway works with.

    Attributes:
        sounds: media prefix of the prompts, for example `sound:custom/en`.
        dispositions: how dialings that nobody answered are named.
    """

    ari: AriRest
    understanding: Understanding
    listening: Listening
    desk: OperatorDesk
    sounds: str
    dispositions: DispositionTable = field(default_factory=DispositionTable)
    clock: Clock = field(default_factory=SystemClock)


class Call:
    """One answered call, as a scenario sees it."""

    def __init__(self, live: LiveCall, tools: Tools) -> None:
        self.live = live
        self.ari = tools.ari
        self.tools = tools
        self.recordings: dict[str, asyncio.Future[bool]] = {}
        self._repeats = 0
        self._speech_ended_s: float | None = None

    async def play(self, prompt: str) -> None:
        """Play a prompt to its end.

        Raises:
            CallFailed: `prompt_missing` when Asterisk cannot play it.
        """
        if self.live.journal.result_of("play", prompt) is not None:
            return
        with self.step("play"):
            playback_id, playing, played = self._stage_playback()
            if not await self._plays_on(playback_id):
                await self._start_playback(prompt, playback_id)
            if self._speech_ended_s is not None:
                await self._note_turn_latency(playing)
            if not await self.until(played, _LONGEST_PROMPT_S):
                await self.live.during_call(asyncio.sleep(0.2), 1)  # a hang-up fails it, too
                raise CallFailed("prompt_missing", technical=True)
        self.live.journal.done("play", prompt)

    async def listen(self) -> Intent:
        """Listen to one reply and say what the caller meant.

        Silence is UNKNOWN. When speech or intent give no answer, the reply is UNKNOWN too, and the
        call is noted as failed for that reason.
        """
        done = self.live.journal.result_of("listen")
        if done is not None:
            return Intent(done)
        with self.step("listen"):
            reply = await self._reply_left_behind() or await self._reply()
        self.live.record.turns.append(Turn(reply))
        self.live.record.note_out_of_credit(reply.out_of_credit)
        self.live.journal.done("listen", result=reply.intent.value)
        return reply.intent

    async def _reply(self) -> Understood:
        said = await record_reply(self, self.tools.listening, self.next_id("r"))
        if said is None:
            return Understood("", Intent.UNKNOWN)
        self._speech_ended_s = said.ended_s
        return await self._understand(said.audio)

    async def _reply_left_behind(self) -> Understood | None:
        """Give what the caller said while no gateway led the call; None when that was nothing."""
        if not self.live.journal.taken_over:
            return None
        audio = await left_behind(self, self.next_id("r"))
        reply = await self._understand(audio) if audio else None
        return reply if reply is not None and reply.intent is not Intent.UNKNOWN else None

    async def transfer_to_operator(self, hold_prompt: str) -> Transfer:
        """Ring an operator while `hold_prompt` repeats; bridge; return when the operator left.

        When no operator can be had, the call is noted as failed and UNAVAILABLE is returned.
        """
        done = self.live.journal.result_of("transfer")
        if done is not None:
            return Transfer(done)
        ended = await transfer(self, self.tools.desk, hold_prompt)
        self.live.journal.done("transfer", result=ended.value)
        return ended

    async def hang_up(self) -> None:
        """End the customer's leg."""
        with self.step("hang_up"), self.asking_asterisk():
            await self.ari.hang_up(self.live.plan.channel_id)

    @asynccontextmanager
    async def music(self, prompt: str) -> AsyncIterator[None]:
        """Play a prompt again and again while the block runs; stopped when it ends."""
        playbacks: list[str] = []
        try:
            async with background(self._repeat(prompt, playbacks)):
                yield
        finally:
            for playback_id in playbacks[-1:] if not self.live.abandoned else ():
                with self.asking_asterisk():
                    await self.ari.stop_playback(playback_id)

    @contextmanager
    def asking_asterisk(self) -> Iterator[None]:
        """Translate Asterisk's refusals into ends of the call."""
        try:
            yield
        except AriNotFound as error:
            raise self.live.over or CallerHungUp from error
        except AriUnavailable as error:
            raise CallFailed("asterisk_unavailable", technical=True) from error
        except AriError as error:
            if self.live.over is not None:
                raise self.live.over from error
            raise CallFailed("asterisk_refused", technical=True) from error

    def fail(self, reason: str, *, technical: bool) -> None:
        """Note a failure that the conversation survives; the first one counts."""
        if self.live.record.failure is None:
            self.live.record.failure = Failure(reason, technical)

    # playing

    def _stage_playback(
        self, kind: str = "p"
    ) -> tuple[str, asyncio.Future[float], asyncio.Future[bool]]:
        """Choose a playback's id and register for its events before Asterisk hears of it."""
        playback_id = self.next_id(kind)
        waits = self.live.waits
        return (
            playback_id,
            waits.expect("playing", playback_id),
            waits.expect("played", playback_id),
        )

    async def _understand(self, audio: bytes) -> Understood:
        try:
            understanding = self.tools.understanding.of(audio, self.live.plan.attempt_id)
            return await self.until(understanding, _LONGEST_UNDERSTANDING_S)
        except NotUnderstood as error:
            log.warning("a reply was not understood", reason=error.reason)
            self.fail(error.reason, technical=True)
            return Understood("", Intent.UNKNOWN, out_of_credit=error.out_of_credit)

    async def _plays_on(self, playback_id: str) -> bool:
        """Whether the playback goes on that another gateway started."""
        if not self.live.journal.taken_over:
            return False
        with self.asking_asterisk():
            return await self.ari.playback_exists(playback_id)

    async def _start_playback(self, prompt: str, playback_id: str) -> None:
        with self.asking_asterisk():
            await self.live.during_call(
                self.ari.play(
                    f"channels/{self.live.plan.channel_id}",
                    f"{self.tools.sounds}/{prompt}",
                    playback_id,
                ),
                LONGEST_STEP_S,
            )

    async def _repeat(self, prompt: str, playbacks: list[str]) -> None:
        try:
            while True:
                self._repeats += 1
                playback_id, _, played = self._stage_playback(f"h{self._repeats}.")
                playbacks.append(playback_id)
                began_s = time.monotonic()
                await self._start_playback(prompt, playback_id)
                await self.until(played, _LONGEST_PROMPT_S)
                # A file that cannot be played ends at once; that must not become a busy loop.
                left_s = _SHORTEST_HOLD_PROMPT_S - (time.monotonic() - began_s)
                await asyncio.sleep(max(left_s, 0))
        except CallOver as ending:
            if isinstance(ending, CallFailed):
                log.warning("the hold prompt stopped", attempt_id=self.live.plan.attempt_id)

    async def _note_turn_latency(self, playing: asyncio.Future[float]) -> None:
        started_s = await self.until(playing, LONGEST_STEP_S)
        ended_s, self._speech_ended_s = self._speech_ended_s, None
        latency_s = started_s - (ended_s or started_s)
        TURN_LATENCY_SECONDS.observe(latency_s)
        if self.live.record.turns:
            self.live.record.turns[-1].latency_s = latency_s

    async def delete_recording(self, name: str) -> None:
        """Delete a recording of this call from Asterisk's disk."""
        await self.ari.delete_recording(name)
        del self.recordings[name]

    # shared

    def next_id(self, kind: str) -> str:
        """Give an id for something of the verb under way that Asterisk will know.

        It is the same when the verb is done again, so that what was left behind is found.
        """
        return f"{self.live.plan.attempt_id}-{kind}{self.live.journal.position}"

    async def until(self, event: Awaitable[T], limit_s: float) -> T:
        """Await an event of this call; one that never comes within `limit_s` fails the call."""
        try:
            return await self.live.during_call(event, limit_s)
        except TimeoutError as error:
            raise CallFailed("asterisk_silent", technical=True) from error

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Trace one verb, as a child of the trace the call was asked for in."""
        with tracer.start_as_current_span(name, self.live.plan.trace, record_exception=False):
            yield
