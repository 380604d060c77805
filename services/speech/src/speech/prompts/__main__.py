"""Brings the prompts to Asterisk by hand: `python -m speech.prompts [DESTINATION]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from servicekit.errors import EXIT_CANNOT_START, StartupError
from servicekit.settings import load_settings
from speech.engines import build_tts, http_client
from speech.programs import require_programs
from speech.prompts.catalogue import load_prompts
from speech.prompts.remote import is_remote, send
from speech.prompts.sound_dir import SoundDir
from speech.prompts.sync import PromptSync, SyncFailed, SyncReport
from speech.settings import SpeechSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Sync once; give the exit status: 0 done, 3 not all prompts are there."""
    options = _parser().parse_args(arguments)
    try:
        require_programs()
        settings = load_settings(SpeechSettings)
        report = asyncio.run(_bring(settings, options.destination, options.language))
    except (StartupError, SyncFailed) as error:
        print(f"sync_audio: {error}", file=sys.stderr)  # noqa: T201 - a command line prints
        return EXIT_CANNOT_START
    print(  # noqa: T201 - a command line prints
        f"sync_audio: {len(report.written)} prompts made ({', '.join(report.written) or 'none'}), "
        f"{len(report.unchanged)} unchanged, {len(report.removed)} other forms removed"
    )
    if report.stand_in:
        print(  # noqa: T201 - a command line prints
            f"sync_audio: spoken by {report.stand_in}, because {'; '.join(report.reasons)}",
            file=sys.stderr,
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sync_audio.sh",
        description="Makes the prompts (recordings where there are any, else spoken texts) and "
        "brings them to where Asterisk plays them. Reads the settings file ENV_FILE, else .env.",
    )
    parser.add_argument(
        "destination",
        nargs="?",
        help="a directory, or user@host:/directory reached by ssh; without: AST_SOUND_DIR",
    )
    parser.add_argument("--language", choices=("en", "fa"), help="without: CALL_LANGUAGE")
    return parser


async def _bring(
    settings: SpeechSettings, destination: str | None, language: str | None
) -> SyncReport:
    spoken = language or settings.call_language
    target = destination or (str(settings.ast_sound_dir) if settings.ast_sound_dir else "")
    if not target:
        raise StartupError("AST_SOUND_DIR is not set: set it, or name a destination")
    if not is_remote(target):
        return await _sync(settings, Path(target), spoken)
    with tempfile.TemporaryDirectory() as directory:
        report = await _sync(settings, Path(directory), spoken)
        await send(Path(directory) / spoken, target, settings.prompt_forms)
        return report


async def _sync(settings: SpeechSettings, root: Path, language: str) -> SyncReport:
    prompts = load_prompts(settings.find_prompts_file(), language)
    async with http_client(settings) as http:
        synthesizer = build_tts(settings, http)
        sync = PromptSync(
            prompts,
            synthesizer.speakers,
            SoundDir(root, language, settings.prompt_forms),
            timeout_s=settings.tts_timeout,
        )
        return await sync.sync()


if __name__ == "__main__":
    sys.exit(main())
