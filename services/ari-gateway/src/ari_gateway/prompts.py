"""Are the prompts really playable on that Asterisk? Asked by playing them where nobody hears."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

import structlog

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import AriError
from ari_gateway.ari.rest import AriRest
from ari_gateway.sessions.waits import Waits

log = structlog.get_logger(__name__)

_PREFIX = "prompt-check-"
# A missing file fails within milliseconds of the start.
_FAILS_WITHIN_S = 0.25
_STARTS_WITHIN_S = 3.0
_AGAIN_AFTER_S = 1.0
_SAY_AFTER_S = 4.0


class PromptCheck:
    """Keeps an eye on the prompts of the scenarios; nothing is dialled while one is missing."""

    def __init__(
        self,
        ari: AriRest,
        app: str,
        *,
        sounds: str,
        prompts: Sequence[str],
        sound_dir: Path | None,
        optional: Sequence[str] = (),
    ) -> None:
        """Check `prompts`, and which of the `optional` ones there are, below `sounds`.

        `app` is our application: its checks are in bridges of these names.
        """
        self._ari = ari
        self._app = app
        self._optional = optional
        self._playable: set[str] = set()
        self._sounds = sounds
        self._prompts = prompts
        self._sound_dir = sound_dir
        self._waits = Waits()
        self._again = asyncio.Event()
        self._reason = "the prompts have not been checked yet"

    @property
    def why_not_ready(self) -> str:
        """Why nothing may be dialled for want of a prompt; empty when all are there."""
        return self._reason

    def can_play(self, optional: str) -> bool:
        """Whether one of the optional prompts is there."""
        return optional in self._playable

    def check_again(self) -> None:
        """Look again, soon: a prompt failed, or Asterisk is back."""
        self._again.set()

    def handle(self, event: ev.Event) -> bool:
        """Take an event of a check; False when it is not one."""
        match event:
            case ev.PlaybackStarted(playback_id=playback_id):
                self._waits.resolve("playing", playback_id)
            case ev.PlaybackFinished(playback_id=playback_id, failed=failed):
                self._waits.resolve("played", playback_id, not failed)
            case _:
                return False
        return playback_id.startswith(_PREFIX)

    async def run(self) -> None:
        """Check when asked to, and every second while a prompt is missing; for ever."""
        while True:
            await self._again.wait()
            self._again.clear()
            await self._until_all_play()

    async def _until_all_play(self) -> None:
        loop = asyncio.get_running_loop()
        say_at_s = loop.time() + _SAY_AFTER_S
        said = ""
        while True:
            try:
                missing = await self.missing()
            except AriError as error:
                self._reason = f"Asterisk could not be asked to play the prompts ({error})"
            else:
                self._reason = self._explain(missing) if missing else ""
                if not missing:
                    log.info("all prompts can be played", prompts=len(self._prompts))
                    await self._look_for_optional()
                    return
            if self._reason != said and loop.time() >= say_at_s:
                said = self._reason
                log.error(self._reason)
            await asyncio.sleep(_AGAIN_AFTER_S)

    async def _look_for_optional(self) -> None:
        for prompt in self._optional:
            try:
                there = await self._plays(prompt)
            except AriError as error:
                log.warning("an optional prompt could not be checked", reason=str(error))
                continue
            if there:
                self._playable.add(prompt)
            else:
                self._playable.discard(prompt)
                log.info("an optional prompt is missing, it is left out", prompt=prompt)

    async def missing(self) -> list[str]:
        """Give the prompts that this Asterisk cannot play.

        Raises:
            AriError: Asterisk could not be asked.
        """
        plays = await asyncio.gather(*(self._plays(prompt) for prompt in self._prompts))
        return [prompt for prompt, good in zip(self._prompts, plays, strict=True) if not good]

    async def _plays(self, prompt: str) -> bool:
        check_id = f"{_PREFIX}{uuid.uuid4()}"
        playing = self._waits.expect("playing", check_id)
        played = self._waits.expect("played", check_id)
        bridge_id = f"{_PREFIX}{self._app}-{prompt}"
        # A gateway that was killed in its check has left one of the same name.
        await self._ari.delete_bridge(bridge_id)
        await self._ari.create_bridge(bridge_id)
        try:
            await self._ari.subscribe(f"bridge:{bridge_id}")
            await self._ari.play(f"bridges/{bridge_id}", f"{self._sounds}/{prompt}", check_id)
            await asyncio.wait(
                {playing, played}, timeout=_STARTS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not playing.done() and not played.done():
                return False
            await asyncio.wait({played}, timeout=_FAILS_WITHIN_S)
            if played.done():
                return played.result() is True
            await self._ari.stop_playback(check_id)
            return True
        finally:
            self._waits.forget(check_id)
            await self._ari.delete_bridge(bridge_id)

    def _explain(self, missing: Sequence[str]) -> str:
        where = f"AST_SOUND_DIR={self._sound_dir}" if self._sound_dir else "AST_SOUND_DIR"
        return (
            f"Asterisk cannot play {', '.join(missing)} as {self._sounds}/…: put the prompts into "
            f"{where} (scripts/sync_audio.sh); nothing is dialled until they are there"
        )
