"""What the speech service can be told."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from servicekit.errors import StartupError
from servicekit.settings import Port, ServiceSettings, WebAddress

_VIRA = "https://partai.gw.isahab.ir"
_PROMPTS = Path("assets/audio/prompts.yaml")


class SpeechSettings(ServiceSettings):
    """Settings of the speech service."""

    speech_port: Port = Field(50053, description="port of the gRPC server, 1 to 65535")
    speech_metrics_port: Port = Field(9103, description="port of /metrics, 1 to 65535")
    vira_stt_token: SecretStr | None = Field(
        None, description="gateway token of Vira speech-to-text; empty: the embedded engine"
    )
    vira_tts_token: SecretStr | None = Field(
        None, description="gateway token of Vira text-to-speech; empty: espeak-ng"
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
    stt_timeout: float = Field(
        30.0, gt=0, le=300, description="seconds one transcription may take, above 0 to 300"
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
    enhance: bool = Field(
        default=True, description="on denoises and normalises recordings first, off does not"
    )
    ast_sound_dir: Path | None = Field(
        None, description="directory Asterisk plays custom sounds from; empty: prompts stay here"
    )
    prompts_file: Path = Field(_PROMPTS, description="YAML file with the prompts' texts")

    @field_validator("vira_stt_url", "vira_tts_url")
    @classmethod
    def _complete(cls, value: str, field: ValidationInfo) -> str:
        """A host alone is enough: Vira's own path is added."""
        parts = urlsplit(value)
        if not parts.path:
            usual = cls.model_fields[field.field_name or ""].default
            return parts._replace(path=urlsplit(usual).path).geturl()
        return value

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
