"""Chooses and builds the engines the settings ask for."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import structlog
from pydantic import SecretStr

from speech.capacity import Capacity
from speech.guard import Guard, Patience
from speech.metrics import STT_SECONDS, TTS_SECONDS
from speech.settings import SpeechSettings
from speech.stt.base import Transcriber
from speech.stt.embedded import EmbeddedStt
from speech.stt.vira import ViraStt
from speech.stt.workers import WorkerPool
from speech.tts.base import Synthesizer, TtsEngine
from speech.tts.cache import SpokenCache
from speech.tts.espeak import EspeakTts
from speech.tts.vira import ViraTts
from speech.vira import ViraAccount, ViraClient, result_url

log = structlog.get_logger(__name__)


def http_client(settings: SpeechSettings) -> httpx.AsyncClient:
    """Make the client all providers share. How long an answer may take, the guards know."""
    longest_s = max(settings.stt_timeout, settings.tts_timeout)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(longest_s, connect=settings.http_timeout, pool=settings.http_timeout),
        limits=httpx.Limits(max_connections=settings.http_max_connections),
        follow_redirects=False,  # the token goes to the address that was set, and nowhere else
    )


@dataclass(frozen=True)
class SttParts:
    """Speech to text, and the processes it needs.

    Attributes:
        transcriber: the engine behind its guard.
        workers: processes to run beside it; None when the engine has none.
    """

    transcriber: Transcriber
    workers: WorkerPool | None


def build_stt(settings: SpeechSettings, http: httpx.AsyncClient) -> SttParts:
    """Build Vira's speech to text when its token is set, else the embedded engine."""
    patience = Patience(settings.stt_timeout)
    if settings.vira_stt_token is not None:
        account = _account(
            settings.vira_stt_url, "avanegar-large", settings.vira_stt_token, "VIRA_STT_TOKEN"
        )
        engine = ViraStt(ViraClient(http, account), settings.vira_stt_model)
        places = Capacity("stt", settings.max_parallel_stt)
        guard = Guard(engine.name, places, patience, STT_SECONDS)
        return SttParts(Transcriber(engine, guard), None)
    workers = WorkerPool("en", settings.stt_workers)
    embedded = EmbeddedStt(workers)
    if settings.call_language not in embedded.languages:
        log.warning(
            "replies cannot be transcribed: the embedded engine knows English only, "
            "set VIRA_STT_TOKEN or CALL_LANGUAGE=en",
            call_language=settings.call_language,
        )
    places = Capacity("stt", min(settings.max_parallel_stt, settings.stt_workers))
    guard = Guard(embedded.name, places, patience, STT_SECONDS)
    return SttParts(Transcriber(embedded, guard), workers)


def build_tts(settings: SpeechSettings, http: httpx.AsyncClient) -> Synthesizer:
    """Build Vira's text to speech when its token is set, else espeak-ng."""
    engine: TtsEngine = EspeakTts()
    if settings.vira_tts_token is not None:
        account = _account(
            settings.vira_tts_url, "avasho", settings.vira_tts_token, "VIRA_TTS_TOKEN"
        )
        engine = ViraTts(ViraClient(http, account), http, settings.vira_tts_speaker)
    places = Capacity("tts", settings.max_parallel_tts)
    guard = Guard(engine.name, places, Patience(settings.tts_timeout), TTS_SECONDS)
    return Synthesizer(engine, guard, SpokenCache(settings.cache_dir))


def _account(url: str, service: str, token: SecretStr, setting: str) -> ViraAccount:
    return ViraAccount(url, result_url(url, service), token.get_secret_value(), setting)
