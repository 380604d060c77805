"""Brings the prompts to Asterisk, and keeps trying until they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from speech.metrics import PROMPT_SYNCS
from speech.prompts.catalogue import Prompt
from speech.prompts.render import (
    PromptUnmakeable,
    Sounds,
    recording_source,
    render_recording,
    render_spoken,
    spoken_source,
)
from speech.prompts.sound_dir import SoundDir
from speech.tts.base import Speaker

log = structlog.get_logger(__name__)


class SyncFailed(Exception):  # noqa: N818 - named for what happened
    """The prompts are not all there; the message names directory or prompt and says what to do."""


@dataclass
class SyncReport:
    """What a sync did, by the prompts' names.

    Attributes:
        written: those that were made.
        unchanged: those that were there.
        removed: names of files in other forms that were removed.
        stand_in: who spoke in place of a better engine; empty when the first one did.
        reasons: why the better ones did not.
    """

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stand_in: str = ""
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Set:
    """The spoken prompts in one engine's voice.

    Attributes:
        made: name, source and sounds of those that had to be made.
        unchanged: names of those that were there.
        problems: why others are missing.
    """

    made: list[tuple[str, str, Sounds]] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pauses:
    """Time between two syncs, in seconds.

    Attributes:
        failed_s: after one that failed.
        stand_in_s: after one in which a stand-in spoke; the prompts play meanwhile.
    """

    failed_s: float = 10.0
    stand_in_s: float = 300.0


class PromptSync:
    """Prompts of one language, and the directory they belong in.

    All spoken prompts have one voice: a campaign that begins with a person and goes on as a robot
    is worse than a prompt that comes late. So where an engine cannot speak all that is missing, the
    next one of TTS_PROVIDERS, if there is one, speaks the whole set anew, and when the better one
    is back its voice replaces the stand-in's.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        speakers: Sequence[Speaker],
        directory: SoundDir,
        *,
        timeout_s: float,
        pauses: Pauses | None = None,
    ) -> None:
        """Prepare a sync; speaking one prompt may take `timeout_s` seconds."""
        self._prompts = prompts
        self._speakers = speakers
        self._directory = directory
        self._timeout_s = timeout_s
        self._pauses = pauses or Pauses()

    async def run(self) -> None:
        """Sync until the prompts are there in the best voice; between tries say what is missing."""
        told = ""
        while True:
            try:
                report = await self.sync()
            except SyncFailed as error:
                PROMPT_SYNCS.labels("failed").inc()
                if str(error) != told:
                    # One line for the user; the next try is the way on, not a traceback.
                    log.error(  # noqa: TRY400
                        "prompts are not ready", reason=str(error), retry_s=self._pauses.failed_s
                    )
                told = str(error)
                await asyncio.sleep(self._pauses.failed_s)
                continue
            self._tell(report, told)
            if not report.stand_in:
                return
            told = report.stand_in
            await asyncio.sleep(self._pauses.stand_in_s)

    def _tell(self, report: SyncReport, told: str) -> None:
        PROMPT_SYNCS.labels("stand_in" if report.stand_in else "done").inc()
        if report.stand_in and report.stand_in != told:
            log.warning(
                "prompts are ready, but in another voice than the first of TTS_PROVIDERS",
                engine=report.stand_in,
                reason="; ".join(report.reasons),
                retry_s=self._pauses.stand_in_s,
            )
        elif not report.stand_in:
            log.info(
                "prompts are ready",
                directory=str(self._directory.path),
                written=len(report.written),
                unchanged=len(report.unchanged),
            )

    async def sync(self) -> SyncReport:
        """Make what is missing or changed; leave the rest alone.

        Raises:
            SyncFailed: not all prompts are there; those that could be made are.
        """
        report = SyncReport()
        try:
            await asyncio.to_thread(self._directory.prepare)
            problems = [
                *await self._bring_recordings(report),
                *await self._bring_spoken(report),
            ]
            for name in (*report.written, *report.unchanged):
                await self._remove_other_forms(name, report)
        except OSError as error:
            raise SyncFailed(
                f"AST_SOUND_DIR={self._directory.root} cannot be used ({error.strerror}: "
                f"{error.filename}): give a directory that is there and that this user may "
                "write, or run scripts/sync_audio.sh as one who may"
            ) from error
        if problems:
            raise SyncFailed("; ".join(problems))
        return report

    async def _bring_recordings(self, report: SyncReport) -> list[str]:
        """Convert recordings; give what is wrong with those that could not be."""
        problems: list[str] = []
        for prompt in self._prompts:
            if prompt.recording is None:
                continue
            try:
                source = await recording_source(prompt.recording)
                if await asyncio.to_thread(self._directory.is_current, prompt.name, source):
                    report.unchanged.append(prompt.name)
                    continue
                sounds = await render_recording(prompt.recording, self._directory.forms)
            except PromptUnmakeable as error:
                problems.append(str(error))
            else:
                await self._put([(prompt.name, source, sounds)], report)
        return problems

    async def _bring_spoken(self, report: SyncReport) -> list[str]:
        """Have the other prompts spoken by the first engine that can speak them all.

        Where none can, what the first one made is put: one voice, though not every prompt. Gives
        what went wrong then.
        """
        tried: list[_Set] = []
        for speaker in self._speakers:
            spoken = await self._make_set(speaker, patient=speaker is self._speakers[-1])
            if not spoken.problems:
                await self._put(spoken.made, report)
                report.unchanged.extend(spoken.unchanged)
                if tried:
                    report.stand_in = speaker.engine.name
                    report.reasons = [problem for one in tried for problem in one.problems]
                return []
            tried.append(spoken)
        await self._put(tried[0].made, report)
        return [problem for one in tried for problem in one.problems]

    async def _make_set(self, speaker: Speaker, *, patient: bool) -> _Set:
        """Make what is missing in an engine's voice; one that is not `patient` stops at trouble."""
        result = _Set()
        for prompt in self._prompts:
            if prompt.recording is not None:
                continue
            source = spoken_source(prompt, speaker)
            if await asyncio.to_thread(self._directory.is_current, prompt.name, source):
                result.unchanged.append(prompt.name)
                continue
            try:
                forms = self._directory.forms
                sounds = await render_spoken(prompt, speaker, forms, self._timeout_s)
            except PromptUnmakeable as error:
                result.problems.append(str(error))
                if not patient:
                    break
            else:
                result.made.append((prompt.name, source, sounds))
        return result

    async def _put(self, made: Sequence[tuple[str, str, Sounds]], report: SyncReport) -> None:
        for name, source, sounds in made:
            await asyncio.to_thread(self._directory.put, name, sounds, source)
            report.written.append(name)

    async def _remove_other_forms(self, name: str, report: SyncReport) -> None:
        removed = await asyncio.to_thread(self._directory.remove_other_forms, name)
        if removed:
            log.warning(
                "other forms of a prompt were removed, Asterisk might have preferred them",
                directory=str(self._directory.path),
                files=", ".join(removed),
            )
        report.removed.extend(removed)
