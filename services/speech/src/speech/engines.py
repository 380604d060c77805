"""Chooses and builds the engines the settings ask for."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import structlog
from pydantic import SecretStr

from speech.capacity import Capacity
from speech.guard import Guard, Patience
from speech.health import Health
from speech.metrics import STT_SECONDS, TTS_SECONDS
from speech.openai_server import OpenAiAccount, OpenAiServer
from speech.settings import SpeechSettings
from speech.stt.base import SttEngine
from speech.stt.embedded import EmbeddedStt
from speech.stt.openai import OpenAiStt
from speech.stt.transcriber import GuardedStt, Transcriber
from speech.stt.vira import ViraStt
from speech.stt.workers import WorkerPool
from speech.tts.base import Speaker, Synthesizer, TtsEngine
from speech.tts.cache import SpokenCache
from speech.tts.espeak import EspeakTts
from speech.tts.openai import OpenAiTts
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
        transcriber: the engines, each behind its guard.
        workers: processes to run beside it; None when the engine has none.
    """

    transcriber: Transcriber
    workers: WorkerPool | None


def build_stt(settings: SpeechSettings, http: httpx.AsyncClient) -> SttParts:
    """Build the engines of STT_PROVIDERS, each behind its guard; those paid share the places."""
    workers = WorkerPool("en", settings.stt_workers)
    engines = [_stt_engine(name, settings, http, workers) for name in settings.stt_order]
    if not any(settings.call_language in engine.languages for engine in engines):
        log.warning(
            "replies cannot be transcribed: the embedded engine knows English only, "
            "set VIRA_STT_TOKEN, STT_BASE_URL or CALL_LANGUAGE=en",
            call_language=settings.call_language,
        )
    paid = Capacity("stt", settings.max_parallel_stt)
    free = Capacity("stt_embedded", settings.stt_workers)
    patience = Patience(settings.stt_timeout)
    guarded = []
    for engine in engines:
        places, health = paid if engine.paid else free, Health(engine.name)
        guard = Guard(engine.name, places, patience, STT_SECONDS, health=health)
        guarded.append(GuardedStt(engine, guard))
    needs_workers = EmbeddedStt.name in settings.stt_order
    return SttParts(Transcriber(guarded, settings.stt_hotwords), workers if needs_workers else None)


def _stt_engine(
    name: str, settings: SpeechSettings, http: httpx.AsyncClient, workers: WorkerPool
) -> SttEngine:
    """Build one engine; the settings hold what each needs, for they were checked."""
    if name == ViraStt.name and settings.vira_stt_token is not None:
        account = _account(
            settings.vira_stt_url, "avanegar-large", settings.vira_stt_token, "VIRA_STT_TOKEN"
        )
        return ViraStt(ViraClient(http, account), settings.vira_stt_model)
    if name == OpenAiStt.name and settings.stt_base_url is not None:
        key = settings.stt_api_key.get_secret_value() if settings.stt_api_key else ""
        server = OpenAiServer(http, OpenAiAccount(settings.stt_base_url, key, "STT"))
        return OpenAiStt(server, settings.stt_model)
    return EmbeddedStt(workers)


def build_tts(settings: SpeechSettings, http: httpx.AsyncClient) -> Synthesizer:
    """Build the engines of TTS_PROVIDERS; they share the places and the cache."""
    places = Capacity("tts", settings.max_parallel_tts)
    patience = Patience(settings.tts_timeout)
    cache = SpokenCache(settings.cache_dir)
    speakers = []
    for name in settings.tts_order:
        health = Health(f"{name}-tts")  # beside the provider's speech to text, which may be well
        guard = Guard(name, places, patience, TTS_SECONDS, health=health)
        speakers.append(Speaker(_tts_engine(name, settings, http), guard, cache))
    return Synthesizer(speakers)


def _tts_engine(name: str, settings: SpeechSettings, http: httpx.AsyncClient) -> TtsEngine:
    """Build one engine; the settings hold what each needs, for they were checked."""
    if name == ViraTts.name and settings.vira_tts_token is not None:
        account = _account(
            settings.vira_tts_url, "avasho", settings.vira_tts_token, "VIRA_TTS_TOKEN"
        )
        return ViraTts(ViraClient(http, account), http, settings.vira_tts_speaker)
    if name == OpenAiTts.name and settings.tts_base_url is not None:
        key = settings.tts_api_key.get_secret_value() if settings.tts_api_key else ""
        server = OpenAiServer(http, OpenAiAccount(settings.tts_base_url, key, "TTS"))
        return OpenAiTts(server, settings.tts_base_url, settings.tts_model, settings.tts_voice)
    return EspeakTts()


def _account(url: str, service: str, token: SecretStr, setting: str) -> ViraAccount:
    return ViraAccount(url, result_url(url, service), token.get_secret_value(), setting)
