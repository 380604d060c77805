"""The speech service's figures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 8, 13, 30)

STT_SECONDS = Histogram(
    "salehi_stt_seconds",
    "Time an engine took to transcribe, retries included; outcome: answered or the kind of error",
    ["engine", "outcome"],
    buckets=_SECONDS,
)
TTS_SECONDS = Histogram(
    "salehi_tts_seconds",
    "Time an engine took to speak, retries included; outcome: answered or the kind of error",
    ["engine", "outcome"],
    buckets=_SECONDS,
)
RETRIES = Counter("salehi_speech_retries_total", "Requests sent to an engine again", ["engine"])
ENHANCE_SECONDS = Histogram(
    "salehi_enhance_seconds", "Time to enhance one recording", buckets=_SECONDS
)
ENHANCE_FAILURES = Counter(
    "salehi_enhance_failures_total", "Recordings that went on as they were, enhancing failed"
)
TRANSCRIPTIONS = Counter(
    "salehi_transcriptions_total",
    "Transcriptions answered: recognised, nothing_said, not_understood",
    ["outcome", "engine"],
)
IN_FLIGHT = Gauge("salehi_speech_in_flight", "Requests that hold a place", ["pool"])
WAITING = Gauge("salehi_speech_waiting", "Requests that wait for a place", ["pool"])
REFUSED = Counter(
    "salehi_speech_refused_total", "Requests with no place before their deadline", ["pool"]
)
WORKER_DEATHS = Counter(
    "salehi_stt_worker_deaths_total", "Processes of the embedded engine that died or hung"
)
TTS_CACHE = Counter("salehi_tts_cache_total", "Texts asked for: hit or miss", ["outcome"])
PROMPT_SYNCS = Counter(
    "salehi_prompt_syncs_total",
    "Tries to bring the prompts to Asterisk: done, failed",
    ["outcome"],
)
