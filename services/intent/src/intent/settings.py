"""What the intent service can be told."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from servicekit.settings import Port, ServiceSettings, WebAddress


class Strategy(StrEnum):
    """Who decides: the rules, the LLM, or both in which order."""

    RULES_FIRST = "rules-first"
    LLM_FIRST = "llm-first"
    RULES_ONLY = "rules-only"


class IntentSettings(ServiceSettings):
    """Settings of the intent service; each field is the environment variable of the same name."""

    intent_port: Port = Field(50054, description="gRPC port, 1 to 65535")
    intent_metrics_port: Port = Field(9104, description="port of /metrics, 1 to 65535")
    intent_strategy: Strategy = Field(
        Strategy.RULES_FIRST, description="one of rules-first, llm-first, rules-only"
    )
    intent_budget: float = Field(
        2.0, gt=0, le=60, description="longest time for one decision, in seconds, 0 to 60"
    )
    gapgpt_base_url: WebAddress = Field(
        "https://api.gapgpt.app/v1",
        description="address of an OpenAI-compatible server, http(s)://host/v1",
    )
    gapgpt_fallback_url: WebAddress | None = Field(
        None,
        description="address tried when no connection to GAPGPT_BASE_URL comes about, "
        "http(s)://host/v1; empty: none",
    )
    gapgpt_api_key: SecretStr | None = Field(
        None, description="key of the LLM; empty: the rules decide alone"
    )
    llm_model: str = Field("gpt-4o-mini", description="name of the model to ask")
    llm_temperature: float = Field(
        0.0, ge=0, le=2, description="freedom of the model's answer, 0 (none) to 2"
    )
    llm_timeout: float = Field(
        20.0, gt=0, le=600, description="longest wait for the LLM in seconds; INTENT_BUDGET caps it"
    )
    max_parallel_llm: int = Field(
        10,
        ge=1,
        le=1000,
        description="questions to the LLM at one time, 1 to 1000; beyond them the rules guess",
    )
    http_max_connections: int = Field(
        100, ge=1, le=10000, description="connections to the LLM kept at most, 1 to 10000"
    )
    intent_rules_file: Path | None = Field(
        None, description="YAML file of a campaign's own words, rules and examples; empty: none"
    )
    transcript_logs: bool = Field(
        default=False, description="true writes what callers said to files, false does not"
    )
    transcript_log_dir: Path | None = Field(
        None, description="directory of the transcript log; empty: transcripts in DATA_DIR"
    )
    transcript_log_days: int = Field(
        14, ge=1, le=3650, description="days the transcript log is kept, 1 to 3650"
    )

    @model_validator(mode="after")
    def _llm_first_needs_an_llm(self) -> Self:
        if self.intent_strategy is Strategy.LLM_FIRST and self.gapgpt_api_key is None:
            raise ValueError(
                "GAPGPT_API_KEY is not set: INTENT_STRATEGY=llm-first needs it "
                "(set it, or INTENT_STRATEGY=rules-first)"
            )
        return self
