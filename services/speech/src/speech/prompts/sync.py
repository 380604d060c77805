"""Brings the prompts to Asterisk, and keeps trying until they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from speech.metrics import PROMPT_SYNCS
from speech.prompts.catalogue import Prompt
from speech.prompts.render import PromptUnmakeable, render, source_hash
from speech.prompts.sound_dir import SoundDir
from speech.tts.base import Synthesizer

log = structlog.get_logger(__name__)


class SyncFailed(Exception):  # noqa: N818 - named for what happened
    """The prompts are not all there; the message names directory or prompt and says what to do."""


@dataclass
class SyncReport:
    """What a sync did, by the prompts' names."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class PromptSync:
    """Prompts of one language, and the directory they belong in."""

    def __init__(
        self,
        prompts: Sequence[Prompt],
        synthesizer: Synthesizer,
        root: Path,
        *,
        timeout_s: float,
        retry_s: float = 10.0,
    ) -> None:
        """Prepare a sync to `root`; making one prompt may take `timeout_s` seconds."""
        self._prompts = prompts
        self._synthesizer = synthesizer
        self._root = root
        self._timeout_s = timeout_s
        self._retry_s = retry_s

    async def run(self) -> None:
        """Sync; after a failure say so and try again every `retry_s` seconds."""
        told = ""
        while True:
            try:
                report = await self.sync()
            except SyncFailed as error:
                PROMPT_SYNCS.labels("failed").inc()
                if str(error) != told:
                    # One line for the user; the next try is the way on, not a traceback.
                    log.error(  # noqa: TRY400
                        "prompts are not ready", reason=str(error), retry_s=self._retry_s
                    )
                told = str(error)
            else:
                PROMPT_SYNCS.labels("done").inc()
                log.info(
                    "prompts are ready",
                    directory=str(self._root),
                    written=len(report.written),
                    unchanged=len(report.unchanged),
                )
                return
            await asyncio.sleep(self._retry_s)

    async def sync(self) -> SyncReport:
        """Make what is missing or changed; leave the rest alone.

        Raises:
            SyncFailed: not all prompts are there; those that could be made are.
        """
        report = SyncReport()
        problems: list[str] = []
        for prompt in self._prompts:
            try:
                await self._bring(prompt, report)
            except PromptUnmakeable as error:
                problems.append(str(error))
            except OSError as error:
                raise SyncFailed(
                    f"AST_SOUND_DIR={self._root} cannot be used ({error.strerror}: "
                    f"{error.filename}): give a directory that is there and that this user may "
                    "write, or run scripts/sync_audio.sh as one who may"
                ) from error
        if problems:
            raise SyncFailed("; ".join(problems))
        return report

    async def _bring(self, prompt: Prompt, report: SyncReport) -> None:
        directory = SoundDir(self._root, prompt.language)
        await asyncio.to_thread(directory.prepare)
        source = await source_hash(prompt, self._synthesizer)
        if await asyncio.to_thread(directory.is_current, prompt.name, source):
            report.unchanged.append(prompt.name)
        else:
            content = await render(prompt, self._synthesizer, self._timeout_s)
            await asyncio.to_thread(directory.put, prompt.name, content, source)
            report.written.append(prompt.name)
        removed = await asyncio.to_thread(directory.remove_other_forms, prompt.name)
        if removed:
            log.warning(
                "other forms of a prompt were removed, Asterisk might have preferred them",
                directory=str(self._root / prompt.language),
                files=", ".join(removed),
            )
        report.removed.extend(removed)
