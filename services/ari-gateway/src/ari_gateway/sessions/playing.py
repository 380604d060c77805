"""Playing prompts to the customer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from ari_gateway.sessions.background import background
from ari_gateway.sessions.endings import CallFailed, CallOver
from ari_gateway.sessions.waits import LONGEST_STEP_S

if TYPE_CHECKING:
    from ari_gateway.sessions.call import Call

log = structlog.get_logger(__name__)

# Asterisk ends a playback by itself; this only catches an event that never comes.
LONGEST_PROMPT_S = 120.0
_SHORTEST_HOLD_PROMPT_S = 0.5


@dataclass
class PromptLengths:
    """How long prompts are, as they were played to their end before."""

    _seconds: dict[str, float] = field(default_factory=dict)

    def learn(self, prompt: str, length_s: float) -> None:
        """Note how long a prompt took."""
        self._seconds[prompt] = length_s

    def of(self, prompt: str) -> float | None:
        """Give a prompt's length in seconds; None before it was played once."""
        return self._seconds.get(prompt)


@dataclass(frozen=True)
class Playback:
    """A playback that was started.

    Attributes:
        playback_id: its id at Asterisk.
        playing: done when it begins, with the loop's time; None when it ended and nobody heard it
            begin (the link was away in that moment).
        played: done when it ends; False when it could not be played.
    """

    playback_id: str
    prompt: str
    playing: asyncio.Future[float | None]
    played: asyncio.Future[bool]


async def start(call: Call, prompt: str, kind: str = "p") -> Playback:
    """Start a prompt, or find the one another gateway started for the same verb."""
    playback_id = call.next_id(kind)
    # Registered before Asterisk hears of it: no event is missed.
    waits = call.live.waits
    playback = Playback(
        playback_id,
        prompt,
        waits.expect("playing", playback_id),
        waits.expect("played", playback_id),
    )
    with call.asking_asterisk():
        if call.live.journal.taken_over and await call.ari.playback_exists(playback_id):
            return playback
        target = f"channels/{call.live.plan.channel_id}"
        media = f"{call.tools.sounds}/{prompt}"
        play = call.seen_to(
            lambda: call.ari.play(target, media, playback_id),
            lambda: call.ari.playback_exists(playback_id),
        )
        await call.until(play, LONGEST_STEP_S)
    return playback


async def begun(call: Call, playback: Playback) -> float | None:
    """Wait until a prompt plays; give since when, or None when nobody heard it begin."""
    return await call.until(playback.playing, LONGEST_PROMPT_S)


async def finish(call: Call, playback: Playback) -> None:
    """Wait for a prompt's end, and learn how long it is.

    Raises:
        CallFailed: `prompt_missing` when Asterisk cannot play it.
    """
    if not await call.until(playback.played, LONGEST_PROMPT_S):
        await call.live.during_call(asyncio.sleep(0.2), 1)  # a hang-up fails it, too
        raise CallFailed("prompt_missing", technical=True)
    began_s = playback.playing.result()
    if began_s is not None:
        length_s = asyncio.get_running_loop().time() - began_s
        call.tools.lengths.learn(playback.prompt, length_s)


async def stop(call: Call, playback: Playback) -> None:
    """Stop a prompt in mid-word and wait until it is silent."""
    with call.asking_asterisk():
        await call.ari.stop_playback(playback.playback_id)
    await call.until(playback.played, LONGEST_STEP_S)


@asynccontextmanager
async def music(call: Call, prompt: str) -> AsyncIterator[None]:
    """Play a prompt again and again while the block runs; stopped when it ends."""
    playbacks: list[Playback] = []
    try:
        async with background(_repeat(call, prompt, playbacks)):
            yield
    finally:
        if playbacks and not call.live.abandoned:
            with call.asking_asterisk():
                await call.ari.stop_playback(playbacks[-1].playback_id)


async def _repeat(call: Call, prompt: str, playbacks: list[Playback]) -> None:
    loop = asyncio.get_running_loop()
    try:
        while True:
            began_s = loop.time()
            playbacks[:] = [await start(call, prompt, call.next_music())]
            await call.until(playbacks[0].played, LONGEST_PROMPT_S)
            # A file that cannot be played ends at once; that must not become a busy loop.
            await asyncio.sleep(max(_SHORTEST_HOLD_PROMPT_S - (loop.time() - began_s), 0))
    except CallOver as ending:
        if isinstance(ending, CallFailed):
            log.warning("the hold prompt stopped", attempt_id=call.live.plan.attempt_id)
