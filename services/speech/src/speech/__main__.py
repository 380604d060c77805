"""The speech service's only wiring."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from salehi.speech.v1 import speech_pb2_grpc
from servicekit.errors import StartupError
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service
from speech.capacity import Capacity
from speech.engines import build_stt, build_tts, http_client
from speech.hearing import Hearing
from speech.programs import require_programs
from speech.prompts.catalogue import load_prompts
from speech.prompts.sound_dir import SoundDir
from speech.prompts.sync import PromptSync
from speech.review import ReviewCopies
from speech.service import SERVICE, SpeechServicer
from speech.settings import SpeechSettings
from speech.stt.workers import WorkerPool
from speech.tts.base import Synthesizer
from speech.vad import SpeechDetector

_LONGEST_RPC_S = 30.0
_LONGEST_START_S = 14.0
_LONGEST_SETTLE_S = 2.0
_USUAL_ENHANCE_S = 0.2


def main() -> None:
    """Run the service."""
    run_service("speech", SpeechSettings, serve, metrics_port_field="speech_metrics_port")


async def serve(settings: SpeechSettings, runtime: Runtime[SpeechSettings]) -> None:
    """Build the service from its settings and run it until it is told to stop."""
    require_programs()
    async with http_client(settings) as http, asyncio.TaskGroup() as tasks:
        stt = build_stt(settings, http)
        synthesizer = build_tts(settings, http)
        prompts = prompt_sync(settings, synthesizer)
        running = [tasks.create_task(prompts.run())] if prompts else []
        # Copies of an earlier time are deleted also while no new ones are kept.
        reviews = ReviewCopies(settings.reviews, settings.review_retention_days)
        keeping = reviews if settings.review_copies else None
        if keeping:
            keeping.prepare()
        running.append(tasks.create_task(reviews.run()))
        if stt.workers:
            running.append(tasks.create_task(stt.workers.run()))
            await _warm(stt.workers)
        places = Capacity("enhance", 2 * (os.cpu_count() or 1), assumed_s=_USUAL_ENHANCE_S)
        hearing = Hearing(
            SpeechDetector(),
            stt.transcriber,
            None if settings.enhance == "off" else places,
            keeping,
            denoises=settings.enhance == "denoise",
        )
        servicer = SpeechServicer(hearing, synthesizer, settings.call_language, _LONGEST_RPC_S)
        service = GrpcService(
            SERVICE, speech_pb2_grpc.add_SpeechServiceServicer_to_server, servicer
        )
        await runtime.serve_grpc(
            [service], port=settings.speech_port, setting="SPEECH_PORT", drain_s=_LONGEST_RPC_S
        )
        await _settle(reviews)
        for task in running:
            task.cancel()


async def _settle(reviews: ReviewCopies) -> None:
    """Let the last replies be kept; a disk that hangs does not hold up the end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_SETTLE_S):
            await reviews.settled()


async def _warm(workers: WorkerPool) -> None:
    try:
        async with asyncio.timeout(_LONGEST_START_S):
            await workers.wait_ready()
    except TimeoutError as error:
        raise StartupError(
            "the embedded engine's processes do not start: run make install anew, "
            "or leave pocketsphinx out of STT_PROVIDERS"
        ) from error


def prompt_sync(settings: SpeechSettings, synthesizer: Synthesizer) -> PromptSync | None:
    """Prepare the sync of the prompts; None when Asterisk's directory is not set.

    Raises:
        StartupError: the prompts' file is missing or broken.
    """
    if settings.ast_sound_dir is None:
        return None
    prompts = load_prompts(settings.find_prompts_file(), settings.call_language)
    directory = SoundDir(settings.ast_sound_dir, settings.call_language, settings.prompt_forms)
    return PromptSync(prompts, synthesizer.speakers, directory, timeout_s=settings.tts_timeout)


if __name__ == "__main__":
    main()
