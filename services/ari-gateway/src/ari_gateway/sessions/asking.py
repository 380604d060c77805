"""Asking the caller something: a prompt, one short reply, and what was meant by it.

The recording is armed before the prompt ends: Asterisk begins it in the moment the prompt is over
or stopped, so nothing is lost between them. Near its end a prompt gives way to a caller who speaks;
before that it does not, because people greet while they pick up.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

import structlog

from ari_gateway.metrics import BARGE_INS, FILLERS
from ari_gateway.sessions import playing
from ari_gateway.sessions.background import background
from ari_gateway.sessions.endings import CallOver
from ari_gateway.sessions.listening import Recording, left_behind
from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.playing import LONGEST_PROMPT_S, Playback
from ari_gateway.sessions.turns import TurnUnderWay
from ari_gateway.understanding import NotUnderstood, Understood

if TYPE_CHECKING:
    from ari_gateway.sessions.call import Call, Filler

log = structlog.get_logger(__name__)

_LONGEST_UNDERSTANDING_S = 150.0
# Who says more than hello before the last moments of a prompt is a line that hears itself.
_GREETINGS = 1
_NOTHING = Understood("", Intent.UNKNOWN)


async def ask(call: Call, prompt: str) -> Understood:
    """Play a prompt and understand the reply to it; silence is UNKNOWN."""
    reply = await _reply_left_behind(call)
    if reply is not None:
        return reply
    reply, barged_in = await _asked(call, prompt, give_way=not call.hears_itself)
    if barged_in:
        false_alarm = not reply.heard and reply.intent is Intent.UNKNOWN
        BARGE_INS.labels("nothing_said" if false_alarm else "answered").inc()
        if false_alarm:  # noise or an echo cut the prompt off: say it again, to its end
            call.hears_itself = True
            reply, _ = await _asked(call, prompt, give_way=False)
    return reply


async def _reply_left_behind(call: Call) -> Understood | None:
    """Give what the caller said while no gateway led the call; None when that was nothing."""
    if not call.live.journal.taken_over:
        return None
    audio = await left_behind(call, call.next_id("r"))
    reply = await _understood(call, audio, call.begin_turn()) if audio else _NOTHING
    return reply if reply.intent is not Intent.UNKNOWN else None


async def _asked(call: Call, prompt: str, *, give_way: bool) -> tuple[Understood, bool]:
    """Play and listen once; give the reply, and whether the caller broke in on the prompt."""
    playback = await playing.start(call, prompt)
    await call.note_turn_latency(playback)
    recording = Recording(call, call.next_id("r"))
    window_s = call.tools.listening.barge_in_window_s if give_way else 0.0
    barged_in = await _played_until_speech(call, playback, recording, window_s)
    if not barged_in:
        await playing.finish(call, playback)
        await recording.arm()
    said = await recording.reply()
    if said is None:
        return _NOTHING, barged_in
    return await _understood(call, said.audio, said.turn), barged_in


async def _played_until_speech(
    call: Call, playback: Playback, recording: Recording, window_s: float
) -> bool:
    """Let a prompt play; give way to speech in its last `window_s` seconds, recording armed.

    Whether that happened. Where the prompt's length is not known yet, it plays to its end.
    """
    length_s = call.tools.lengths.of(playback.prompt)
    if length_s is None or window_s <= 0:
        return False
    began_s = await playing.begun(call, playback)
    if began_s is None:
        return False
    begun_before = call.live.talk.beginnings
    left_s = began_s + length_s - window_s - asyncio.get_running_loop().time()
    ended = asyncio.wait({playback.played}, timeout=max(left_s, 0.0))
    await call.until(ended, LONGEST_PROMPT_S)
    if playback.played.done():
        return False
    if call.live.talk.beginnings - begun_before > _GREETINGS:
        return False  # an echo of the prompt, or noise, comes and goes
    await recording.arm()
    if not await call.until(call.live.talk.begins_anew(playback.played), LONGEST_PROMPT_S):
        return False
    await playing.stop(call, playback)
    return True


async def _understood(call: Call, audio: bytes, turn: TurnUnderWay) -> Understood:
    """Understand a reply; while that takes long, tell the caller that we are still there."""
    attempt_id = call.live.plan.attempt_id
    try:
        async with _filled(call, turn.ended_s):
            with turn.current():
                understanding = call.tools.understanding.of(audio, attempt_id, turn.ended_s)
                reply = await call.until(understanding, _LONGEST_UNDERSTANDING_S)
    except NotUnderstood as error:
        log.warning("a reply was not understood", reason=error.reason)
        call.fail(error.reason, technical=True)
        reply = Understood("", Intent.UNKNOWN, out_of_credit=error.out_of_credit)
    turn.understood(reply.intent)
    return reply


def _filled(call: Call, ended_s: float | None) -> AbstractAsyncContextManager[object]:
    """Play the filler when no answer has begun for too long after the end of speech."""
    filler = call.tools.filler
    if filler is None or ended_s is None or not filler.playable():
        return nullcontext()
    return background(_fill(call, filler, ended_s))


async def _fill(call: Call, filler: Filler, ended_s: float) -> None:
    await asyncio.sleep(max(0.0, ended_s + filler.after_s - asyncio.get_running_loop().time()))
    FILLERS.inc()
    try:
        await playing.start(call, filler.prompt, "f")
    except CallOver as ending:
        log.debug("the filler was not played", reason=type(ending).__name__)
