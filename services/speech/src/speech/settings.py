"""What the speech service can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from servicekit.errors import StartupError
from servicekit.settings import CsvTuple, Port, ServiceSettings, WebAddress
from speech.forms import Form

_VIRA = "https://partai.gw.isahab.ir"
_STT_NAMES = ("vira", "openai", "pocketsphinx")
_TTS_NAMES = ("vira", "openai", "espeak-ng")
_PROMPTS = Path("assets/audio/prompts.yaml")


class SpeechSettings(ServiceSettings):
    """Settings of the speech service."""

    speech_port: Port = Field(50053, description="port of the gRPC server, 1 to 65535")
    speech_metrics_port: Port = Field(9103, description="port of /metrics, 1 to 65535")
    vira_stt_token: SecretStr | None = Field(
        None, description="gateway token of Vira speech-to-text; empty: another engine hears"
    )
    vira_tts_token: SecretStr | None = Field(
        None, description="gateway token of Vira text-to-speech; empty: another engine speaks"
    )
    vira_stt_url: WebAddress = Field(
        f"{_VIRA}/avanegar/v2/avanegar/request",
        description="address of Vira speech-to-text, http:// or https://",
    )
    vira_tts_url: WebAddress = Field(
        f"{_VIRA}/avasho/v2/avasho/request",
        description="address of Vira text-to-speech, http:// or https://",
    )
    vira_stt_model: str = Field("telephony", description="Vira's model: default or telephony")
    vira_tts_speaker: str = Field("sara", description="Vira's speaker, for example sara or kiani")
    stt_providers: CsvTuple = Field(
        (),
        description="who transcribes, in order, separated by commas, of vira, openai, "
        "pocketsphinx; empty: vira if VIRA_STT_TOKEN is set, else openai if STT_BASE_URL is, "
        "else pocketsphinx",
    )
    stt_base_url: WebAddress | None = Field(
        None,
        description="address of an OpenAI-compatible server with /audio/transcriptions, "
        "for example http://127.0.0.1:8000/v1; empty: none",
    )
    stt_api_key: SecretStr | None = Field(
        None, description="key of the server of STT_BASE_URL; empty: it asks for none"
    )
    stt_model: str = Field("whisper-1", description="model of the server of STT_BASE_URL")
    stt_hotwords: CsvTuple = Field(
        (),
        description="single words callers are likely to say, separated by commas, for engines "
        "that take them; empty: none",
    )
    tts_providers: CsvTuple = Field(
        (),
        description="who speaks texts, in order, separated by commas, of vira, openai, espeak-ng; "
        "empty: vira if VIRA_TTS_TOKEN is set, else openai if TTS_BASE_URL is, else espeak-ng",
    )
    tts_base_url: WebAddress | None = Field(
        None,
        description="address of an OpenAI-compatible server with /audio/speech, "
        "for example https://api.openai.com/v1; empty: none",
    )
    tts_api_key: SecretStr | None = Field(
        None, description="key of the server of TTS_BASE_URL; empty: it asks for none"
    )
    tts_model: str = Field("tts-1", description="model of the server of TTS_BASE_URL")
    tts_voice: str = Field("alloy", description="voice of the server of TTS_BASE_URL")
    stt_timeout: float = Field(
        30.0,
        gt=0,
        le=300,
        description="seconds an engine may take for one transcription, above 0 to 300",
    )
    tts_timeout: float = Field(
        30.0, gt=0, le=300, description="seconds speaking one text may take, above 0 to 300"
    )
    http_timeout: float = Field(
        10.0, gt=0, le=300, description="seconds to connect to a provider, above 0 to 300"
    )
    http_max_connections: int = Field(
        100, ge=1, le=10_000, description="connections open at once, 1 to 10000"
    )
    max_parallel_stt: int = Field(
        50, ge=1, le=1000, description="transcriptions under way at once, 1 to 1000"
    )
    max_parallel_tts: int = Field(
        50, ge=1, le=1000, description="texts being spoken at once, 1 to 1000"
    )
    stt_workers: int = Field(
        2, ge=1, le=64, description="processes of the embedded engine, 1 to 64; one a core at most"
    )
    enhance: Literal["on", "denoise", "off"] = Field(
        "on",
        description="on brings recordings to 16 kHz and a common level first, denoise also takes "
        "noise out where there is much, off does nothing",
    )
    ast_sound_dir: Path | None = Field(
        None, description="directory Asterisk plays custom sounds from; empty: prompts stay here"
    )
    prompts_file: Path = Field(_PROMPTS, description="YAML file with the prompts' texts")
    prompt_formats: CsvTuple = Field(
        ("wav", "sln16", "alaw", "ulaw"),
        description="forms each prompt is made in, separated by commas, of "
        f"{', '.join(Form)}; wav is always made",
    )
    review_copies: bool = Field(
        default=False, description="on keeps the replies' audio for review, off does not"
    )
    review_dir: Path | None = Field(
        None, description="directory of review copies; empty: review in DATA_DIR"
    )
    review_retention_days: int = Field(
        14, ge=1, le=365, description="days a review copy is kept, 1 to 365"
    )

    @field_validator("vira_stt_url", "vira_tts_url")
    @classmethod
    def _complete(cls, value: str, field: ValidationInfo) -> str:
        """A host alone is enough: Vira's own path is added."""
        parts = urlsplit(value)
        if not parts.path:
            usual = cls.model_fields[field.field_name or ""].default
            return parts._replace(path=urlsplit(usual).path).geturl()
        return value

    @field_validator("stt_providers")
    @classmethod
    def _are_listeners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known_once(value, _STT_NAMES)

    @field_validator("tts_providers")
    @classmethod
    def _are_speakers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known_once(value, _TTS_NAMES)

    @field_validator("prompt_formats")
    @classmethod
    def _are_forms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known_once(value, tuple(Form))

    @model_validator(mode="after")
    def _listeners_can_be_asked(self) -> Self:
        if "vira" in self.stt_providers and self.vira_stt_token is None:
            raise ValueError(
                "STT_PROVIDERS names vira, but VIRA_STT_TOKEN is not set: set it, or leave out vira"
            )
        if "openai" in self.stt_providers and self.stt_base_url is None:
            raise ValueError(
                "STT_PROVIDERS names openai, but STT_BASE_URL is not set: "
                "set it, or leave out openai"
            )
        return self

    @model_validator(mode="after")
    def _speakers_can_be_asked(self) -> Self:
        if "vira" in self.tts_providers and self.vira_tts_token is None:
            raise ValueError(
                "TTS_PROVIDERS names vira, but VIRA_TTS_TOKEN is not set: set it, or leave out vira"
            )
        if "openai" in self.tts_providers and self.tts_base_url is None:
            raise ValueError(
                "TTS_PROVIDERS names openai, but TTS_BASE_URL is not set: "
                "set it, or leave out openai"
            )
        return self

    @property
    def tts_order(self) -> tuple[str, ...]:
        """Who speaks texts, in order; at least one."""
        if self.tts_providers:
            return self.tts_providers
        if self.vira_tts_token is not None:
            return ("vira",)
        return ("openai",) if self.tts_base_url is not None else ("espeak-ng",)

    @property
    def prompt_forms(self) -> tuple[Form, ...]:
        """Forms each prompt is made in; WAV is always among them."""
        return tuple(dict.fromkeys((Form.WAV, *map(Form, self.prompt_formats))))

    @property
    def reviews(self) -> Path:
        """Where review copies are kept."""
        return self.review_dir or self.data_dir / "review"

    @property
    def stt_order(self) -> tuple[str, ...]:
        """The engines that transcribe, in the order they are asked."""
        if self.stt_providers:
            return self.stt_providers
        if self.vira_stt_token is not None:
            return ("vira",)
        return ("openai",) if self.stt_base_url is not None else ("pocketsphinx",)

    @property
    def cache_dir(self) -> Path:
        """Where spoken texts are kept."""
        return self.data_dir / "speech"

    def find_prompts_file(self) -> Path:
        """Give the prompts file: as named, else beside the sources this package runs from.

        Raises:
            StartupError: it is in neither place.
        """
        beside = [parent / self.prompts_file for parent in Path(__file__).resolve().parents]
        for candidate in (self.prompts_file, *beside):
            if candidate.is_file():
                return candidate
        raise StartupError(
            f"PROMPTS_FILE={self.prompts_file} is not there: "
            "name the YAML file with the prompts' texts, or start in the project's directory"
        )


def _known_once(value: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in value if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]} is unknown")
    if len(set(value)) < len(value):
        raise ValueError("a name stands there twice")
    return value
