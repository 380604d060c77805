"""The speech service's only wiring."""

from __future__ import annotations

import asyncio
import os

from salehi.speech.v1 import speech_pb2_grpc
from servicekit.errors import StartupError
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service
from speech.capacity import Capacity
from speech.engines import build_stt, build_tts, http_client
from speech.hearing import Hearing
from speech.programs import require_programs
from speech.prompts.catalogue import load_prompts
from speech.prompts.sync import PromptSync
from speech.service import SERVICE, SpeechServicer
from speech.settings import SpeechSettings
from speech.stt.workers import WorkerPool
from speech.tts.base import Synthesizer
from speech.vad import SpeechDetector

_LONGEST_RPC_S = 30.0
_LONGEST_START_S = 14.0


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
        if stt.workers:
            running.append(tasks.create_task(stt.workers.run()))
            await _warm(stt.workers)
        enhancing = Capacity("enhance", 2 * (os.cpu_count() or 1)) if settings.enhance else None
        hearing = Hearing(SpeechDetector(), stt.transcriber, enhancing)
        servicer = SpeechServicer(hearing, synthesizer, settings.call_language, _LONGEST_RPC_S)
        service = GrpcService(
            SERVICE, speech_pb2_grpc.add_SpeechServiceServicer_to_server, servicer
        )
        await runtime.serve_grpc([service], port=settings.speech_port, setting="SPEECH_PORT")
        for task in running:
            task.cancel()


async def _warm(workers: WorkerPool) -> None:
    try:
        async with asyncio.timeout(_LONGEST_START_S):
            await workers.wait_ready()
    except TimeoutError as error:
        raise StartupError(
            "the embedded engine's processes do not start: run make install anew, "
            "or set VIRA_STT_TOKEN to use Vira"
        ) from error


def prompt_sync(settings: SpeechSettings, synthesizer: Synthesizer) -> PromptSync | None:
    """Prepare the sync of the prompts; None when Asterisk's directory is not set.

    Raises:
        StartupError: the prompts' file is missing or broken.
    """
    if settings.ast_sound_dir is None:
        return None
    prompts = load_prompts(settings.find_prompts_file(), settings.call_language)
    return PromptSync(prompts, synthesizer, settings.ast_sound_dir, timeout_s=settings.tts_timeout)


if __name__ == "__main__":
    main()
