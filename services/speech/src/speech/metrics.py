"""The speech service's figures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from servicekit.metrics import from_zero

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
ENHANCE_SKIPPED = Counter(
    "salehi_enhance_skipped_total", "Recordings that went on as they were, time was short"
)
TRANSCRIPTIONS = Counter(
    "salehi_transcriptions_total",
    "Transcriptions answered: recognised, nothing_said, not_understood",
    ["outcome", "engine"],
)
UNITS = Counter(
    "salehi_stt_units_total",
    "What providers said they bill for transcriptions, each in its own units",
    ["engine"],
)
FAILOVERS = Counter(
    "salehi_stt_failovers_total",
    "Recordings given to the next engine after this one; reason: the kind of error",
    ["engine", "reason"],
)
BREAKER = Gauge(
    "salehi_speech_breaker_state",
    "Whether an engine is asked: 0 yes, 1 one trial at a time, 2 passed over",
    ["engine"],
)
OUT_OF_CREDIT = Gauge(
    "salehi_speech_out_of_credit", "1 while an engine refuses for lack of credit", ["engine"]
)
IN_FLIGHT = Gauge("salehi_speech_in_flight", "Requests that hold a place", ["pool"])
WAITING = Gauge("salehi_speech_waiting", "Requests that wait for a place", ["pool"])
PLACES = Gauge("salehi_speech_places", "Requests that can hold a place at once", ["pool"])
SATURATION = Gauge(
    "salehi_speech_saturation",
    "Requests that hold a place or wait for one, by places; above 1 there is a queue",
    ["pool"],
)
REFUSED = Counter(
    "salehi_speech_refused_total", "Requests with no place before their deadline", ["pool"]
)
WORKER_DEATHS = Counter(
    "salehi_stt_worker_deaths_total", "Processes of the embedded engine that died or hung"
)
TTS_FAILOVERS = Counter(
    "salehi_tts_failovers_total",
    "Texts an engine did not speak, so that the next one was asked",
    ["engine"],
)
TTS_CACHE = Counter("salehi_tts_cache_total", "Texts asked for: hit or miss", ["outcome"])
from_zero(TTS_CACHE, ("hit", "miss"))
PROMPT_SYNCS = Counter(
    "salehi_prompt_syncs_total",
    "Tries to bring the prompts to Asterisk: done, failed",
    ["outcome"],
)
from_zero(PROMPT_SYNCS, ("done", "failed", "stand_in"))
REVIEW_COPIES = Counter(
    "salehi_review_copies_total",
    "Review copies: kept, deleted (their time was over), failed (the disk), dropped (too many "
    "waited), unnamed (no attempt's UUID came with the reply)",
    ["outcome"],
)
from_zero(REVIEW_COPIES, ("kept", "deleted", "failed", "dropped", "unnamed"))
