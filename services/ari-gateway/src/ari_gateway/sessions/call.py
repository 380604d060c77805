"""The verbs of a call: all a scenario can do to the world.

Each verb returns when it is done and raises `CallOver` when the call ends under it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from opentelemetry import trace

from ari_gateway.ari.errors import AriError, AriNotFound, AriUnavailable
from ari_gateway.ari.rest import AriRest
from ari_gateway.sessions import playing
from ari_gateway.sessions.asking import ask
from ari_gateway.sessions.disposition import DispositionTable
from ari_gateway.sessions.endings import CallerHungUp, CallFailed
from ari_gateway.sessions.handover import OperatorDesk, Transfer, transfer
from ari_gateway.sessions.listening import Listening
from ari_gateway.sessions.live import LiveCall
from ari_gateway.sessions.outcome import Failure, Intent
from ari_gateway.sessions.playing import Playback, PromptLengths
from ari_gateway.sessions.record import Turn
from ari_gateway.sessions.turns import TurnUnderWay
from ari_gateway.understanding import Understanding
from servicekit.clock import Clock, SystemClock

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Filler:
    """What is played when understanding takes long.

    Attributes:
        prompt: which.
        after_s: how long after the end of speech, seconds.
        playable: whether this Asterisk has it.
    """

    prompt: str
    after_s: float
    playable: Callable[[], bool]


@dataclass(frozen=True)
class Tools:
    """What every call of a gateway works with.

    Attributes:
        sounds: media prefix of the prompts, for example `sound:custom/en`.
        filler: played when understanding takes long; None: silence.
        lengths: how long the prompts are, as far as that is known.
        dispositions: how dialings that nobody answered are named.
    """

    ari: AriRest
    understanding: Understanding
    listening: Listening
    desk: OperatorDesk
    sounds: str
    filler: Filler | None = None
    lengths: PromptLengths = field(default_factory=PromptLengths)
    dispositions: DispositionTable = field(default_factory=DispositionTable)
    clock: Clock = field(default_factory=SystemClock)


class Call:
    """One answered call, as a scenario sees it."""

    def __init__(self, live: LiveCall, tools: Tools) -> None:
        self.live = live
        self.ari = tools.ari
        self.tools = tools
        self.recordings: dict[str, asyncio.Future[bool]] = {}
        self.hears_itself = False
        self.hung_up = False
        self._repeats = 0
        self._turn: TurnUnderWay | None = None

    async def play(self, prompt: str) -> None:
        """Play a prompt to its end.

        Raises:
            CallFailed: `prompt_missing` when Asterisk cannot play it.
        """
        if self.live.journal.result_of("play", prompt) is not None:
            return
        with self.step("play"):
            playback = await playing.start(self, prompt)
            await self.note_turn_latency(playback)
            await playing.finish(self, playback)
        self.live.journal.done("play", prompt)

    async def ask(self, prompt: str) -> Intent:
        """Play a prompt, listen to one reply, and say what the caller meant.

        Silence is UNKNOWN. When speech or intent give no answer, the reply is UNKNOWN too, and the
        call is noted as failed for that reason.

        Raises:
            CallFailed: `prompt_missing` when Asterisk cannot play it.
        """
        done = self.live.journal.result_of("ask", prompt)
        if done is not None:
            return Intent(done)
        with self.step("ask"):
            reply = await ask(self, prompt)
        self.live.record.turns.append(Turn(reply))
        self.live.record.note_out_of_credit(reply.out_of_credit)
        self.live.journal.done("ask", prompt, reply.intent.value)
        return reply.intent

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
        with self.step("hang up"), self.asking_asterisk():
            await self.ari.hang_up(self.live.plan.channel_id)
        self.hung_up = True

    def music(self, prompt: str) -> AbstractAsyncContextManager[None]:
        """Play a prompt again and again while the block runs; stopped when it ends."""
        return playing.music(self, prompt)

    def next_music(self) -> str:
        """Name the next repetition of the music."""
        self._repeats += 1
        return f"h{self._repeats}."

    async def seen_to(
        self, ask: Callable[[], Awaitable[None]], there: Callable[[], Awaitable[bool]]
    ) -> None:
        """Ask Asterisk for something that has a name of ours.

        When the answer is lost, look whether it is `there`; what is not is asked for once more.
        """
        try:
            await ask()
        except AriUnavailable:
            if not await there():
                await ask()

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

    def begin_turn(self, ended_s: float | None = None) -> TurnUnderWay:
        """The caller has said something; he stopped at `ended_s` by the loop's time, if known."""
        self.end_turn()
        self._turn = TurnUnderWay(self.live.plan.trace, ended_s)
        return self._turn

    def end_turn(self) -> None:
        """Nothing more comes of what the caller said."""
        if self._turn is not None:
            self._turn.end()
        self._turn = None

    async def note_turn_latency(self, playback: Playback) -> None:
        """Note how long the caller waited for this prompt, when it is the answer to his words."""
        if self._turn is None:
            return
        began_s = await playing.begun(self, playback)
        latency_s = self._turn.answered(began_s) if began_s is not None else None
        self.end_turn()
        if latency_s is not None and self.live.record.turns:
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
    def step(self, name: str) -> Iterator[trace.Span]:
        """Trace one verb, a child of the call's trace position; a caller who leaves is no error."""
        with tracer.start_as_current_span(
            name, self.live.plan.trace, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except CallFailed as ending:
                span.set_status(trace.StatusCode.ERROR)
                span.set_attribute("reason", ending.failure.reason)
                raise
