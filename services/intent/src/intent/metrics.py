"""Figures of the intent service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from intent.meaning import Meaning
from servicekit.metrics import from_zero

DECISIONS = Counter(
    "salehi_intent_decisions_total",
    "Replies decided, by what they meant and who decided",
    ["language", "intent", "decided_by"],
)
from_zero(
    DECISIONS,
    ("fa", "en"),
    Meaning,
    ("rules", "llm", "rules_fallback"),
)
LLM_SECONDS = Histogram(
    "salehi_intent_llm_seconds",
    "Time of one question to the LLM, by what became of it",
    ["outcome"],
    buckets=(0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20),
)
LLM_IN_FLIGHT = Gauge("salehi_intent_llm_in_flight", "Questions the LLM is answering now")
LLM_PLACES = Gauge("salehi_intent_llm_places", "Questions the LLM may be asked at once")
LLM_SATURATION = Gauge(
    "salehi_intent_llm_saturation", "Share of the places that is taken, 0 to 1: scale on this"
)
LLM_NOT_ASKED = Counter(
    "salehi_intent_llm_not_asked_total",
    "Unclear replies decided by rules without asking: busy (no place), breaker (open), late "
    "(no time left)",
    ["reason"],
)
from_zero(LLM_NOT_ASKED, ("busy", "breaker", "late"))
LLM_OVERRULED = Counter(
    "salehi_intent_llm_overruled_total",
    "Times the LLM said yes to a reply in which the rules heard a refusal",
)
LLM_TOKENS = Counter(
    "salehi_intent_llm_tokens_total",
    "Tokens the LLM said it bills: prompt, completion",
    ["kind"],
)
from_zero(LLM_TOKENS, ("prompt", "completion"))
LLM_FALLBACKS = Counter(
    "salehi_intent_llm_fallbacks_total",
    "Questions asked at GAPGPT_FALLBACK_URL because the first address could not be connected to",
)
LLM_BREAKER = Gauge(
    "salehi_intent_llm_breaker", "Breaker before the LLM: 0 closed, 1 half open, 2 open"
)
LLM_OUT_OF_CREDIT = Gauge(
    "salehi_intent_llm_out_of_credit", "1 while the LLM refuses for lack of credit"
)
REMEMBERED = Counter("salehi_intent_remembered_total", "Answers of the LLM given from memory")
TRANSCRIPTS_LOST = Counter(
    "salehi_intent_transcripts_lost_total",
    "Lines missing from the transcript log: disk (an error), queue (the disk was too slow)",
    ["reason"],
)
from_zero(TRANSCRIPTS_LOST, ("disk", "queue"))
