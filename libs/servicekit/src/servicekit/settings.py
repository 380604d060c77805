"""Settings: read once, frozen, and every bad value named in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from servicekit.errors import StartupError
from servicekit.tls import TlsFiles

Port = Annotated[int, Field(ge=1, le=65535)]


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not a web address")
    return value.rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]
"""Address of an HTTP server, without a slash at its end."""

PeerAddress = Annotated[str, Field(pattern=r"^[^\s:/]+:[0-9]{1,5}$|^[a-z]+:\S+$")]
"""Where a peer service is: `host:port`, or any gRPC target such as `dns:///name:port`."""


def _split_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("no such time zone") from error
    return value


TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""Name of an IANA time zone."""

CsvTuple = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
"""Text separated by commas, as a tuple; blanks around the parts are dropped."""


class ServiceSettings(BaseSettings):
    """What every service can be told. A field's name in upper case is its environment variable.

    Values come from the environment, then from the file named by ENV_FILE (default `.env`). An
    empty value counts as not set.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        env_file_encoding="utf-8",
        case_sensitive=False,
        hide_input_in_errors=True,
    )

    bind_host: str = Field("127.0.0.1", description="address that gRPC and metrics listen on")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="one of DEBUG, INFO, WARNING, ERROR"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="form of the log on stdout: text or json"
    )
    log_dir: Path = Field(Path("logs"), description="directory of app.log")
    log_pii: bool = Field(
        default=False, description="true writes phone numbers and transcripts to the log unmasked"
    )
    data_dir: Path = Field(Path("data"), description="directory of databases and caches")
    call_language: Literal["en", "fa"] = Field(
        "fa", description="language of prompts, speech and rules: en or fa"
    )
    timezone: TimeZone = Field("Asia/Tehran", description="IANA time zone, for example Asia/Tehran")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="where traces go, for example http://127.0.0.1:4317; empty: nowhere"
    )
    grpc_tls_cert: Path | None = Field(
        None, description="PEM file of this service's certificate; empty: no TLS between services"
    )
    grpc_tls_key: Path | None = Field(None, description="PEM file of that certificate's key")
    grpc_tls_ca: Path | None = Field(
        None, description="PEM file of the CA that the other services' certificates come from"
    )
    health_port: Port | None = Field(
        None,
        description="port that answers health checks in plain text too, 1 to 65535; empty: none",
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        files = {
            "GRPC_TLS_CERT": self.grpc_tls_cert,
            "GRPC_TLS_KEY": self.grpc_tls_key,
            "GRPC_TLS_CA": self.grpc_tls_ca,
        }
        missing = [name for name, path in files.items() if path is None]
        if 0 < len(missing) < len(files):
            raise ValueError(
                f"{missing[0]} is not set: set all three of {', '.join(files)}, or none"
            )
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """Files of the mTLS between services; None: plain text."""
        if self.grpc_tls_cert and self.grpc_tls_key and self.grpc_tls_ca:
            return TlsFiles(self.grpc_tls_cert, self.grpc_tls_key, self.grpc_tls_ca)
        return None


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load_settings(settings_class: type[SettingsT]) -> SettingsT:
    """Read the settings of one service from the environment and the settings file.

    Raises:
        StartupError: a value is missing or not allowed, one line per setting; or ENV_FILE names a
            file that is not there.
    """
    named = os.environ.get("ENV_FILE")
    path = Path(named or ".env")
    if named and not path.is_file():
        raise StartupError(f"ENV_FILE={named} is not a file: name an existing settings file")
    try:
        return settings_class(_env_file=path)
    except ValidationError as error:
        lines = [_explain(settings_class, details) for details in error.errors()]
        raise StartupError("\n".join(dict.fromkeys(lines))) from error


def _explain(settings_class: type[ServiceSettings], details: ErrorDetails) -> str:
    """Say in one line which setting is wrong, what it is, and what is allowed."""
    location = [str(part) for part in details["loc"]]
    if not location:
        return details["msg"].removeprefix("Value error, ")
    name = location[0]
    field = settings_class.model_fields.get(name.lower())
    allowed = field.description if field and field.description else "see .env.example"
    if details["type"] == "missing":
        return f"{name.upper()} is not set: {allowed}"
    reason = details["msg"].removeprefix("Value error, ")
    shown = "" if _is_secret(settings_class, name) else f"={_raw(name, details.get('input'))!s}"
    return f"{name.upper()}{shown} is not allowed ({reason}): {allowed}"


def _is_secret(settings_class: type[ServiceSettings], name: str) -> bool:
    field = settings_class.model_fields.get(name.lower())
    return field is not None and SecretStr.__name__ in str(field.annotation)


def _raw(name: str, parsed: Any) -> str:
    """Show a value as the user wrote it where that is known."""
    written = os.environ.get(name.upper())
    return written if written is not None else str(parsed)
