"""What the reporter can be told."""

from __future__ import annotations

from typing import Literal

import phonenumbers
from pydantic import Field, SecretStr, field_validator, model_validator

from servicekit.settings import CsvTuple, PeerAddress, Port, ServiceSettings, WebAddress

SmsProvider = Literal["melipayamak", "kavenegar"]

_SMS_BASE_URLS: dict[SmsProvider, str] = {
    "melipayamak": "https://console.melipayamak.com",
    "kavenegar": "https://api.kavenegar.com",
}


class ReporterSettings(ServiceSettings):
    """Settings of the reporter."""

    reporter_port: Port = Field(50055, description="port of the gRPC server, 1 to 65535")
    reporter_metrics_port: Port = Field(9105, description="port of /metrics, 1 to 65535")
    database_url: SecretStr | None = Field(
        None,
        description="sqlite:///path or postgresql://user:password@host/name; "
        "empty: reporter.db in DATA_DIR",
    )
    dialer_address: PeerAddress = Field(
        "127.0.0.1:50052", description="gRPC address of the dialer, host:port"
    )
    panel_base_url: WebAddress | None = Field(
        None, description="address of the panel, http:// or https://; empty: no panel"
    )
    panel_api_token: SecretStr | None = Field(None, description="the panel's bearer token")
    sms_provider: SmsProvider = Field("melipayamak", description="melipayamak or kavenegar")
    sms_base_url: WebAddress | None = Field(
        None, description="address of the SMS gateway, http:// or https://; empty: the provider's"
    )
    sms_api_key: SecretStr | None = Field(None, description="key of the SMS gateway; empty: no SMS")
    sms_from: str | None = Field(None, description="the line SMS are sent from")
    sms_admins: CsvTuple = Field(
        (), description="mobile numbers that get the alerts, separated by commas"
    )
    fail_alert_threshold: int = Field(
        5,
        ge=1,
        le=1000,
        description="technical failures in a row that pause dialing and alert, 1 to 1000",
    )
    breaker_retry_after: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="seconds after which an open breaker tries one call, doubling up to an hour "
        "while that fails, 10 to 86400; 0: somebody must resume dialing",
    )
    results_retention_days: int = Field(
        365,
        ge=0,
        le=36_500,
        description="days a result is kept once the panel need not hear of it any more, and a "
        "person at most waits for a callback; 0: for ever",
    )
    transcripts_retention_days: int = Field(
        30,
        ge=0,
        le=36_500,
        description="days the words that were heard are kept; 0: as long as their result",
    )
    number_region: str = Field(
        "IR", description="country of numbers without a country prefix, two letters: IR"
    )
    http_timeout: float = Field(
        10.0, gt=0, le=300, description="seconds a request to panel or SMS gateway may take"
    )
    http_max_connections: int = Field(
        100, ge=1, le=10_000, description="connections open at once, 1 to 10000"
    )

    @field_validator("breaker_retry_after")
    @classmethod
    def _is_no_hurry(cls, value: float) -> float:
        if 0 < value < 10:
            raise ValueError("too soon after a pause")
        return value

    @field_validator("number_region")
    @classmethod
    def _is_region(cls, value: str) -> str:
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("no such country code")
        return value

    @model_validator(mode="after")
    def _panel_needs_token(self) -> ReporterSettings:
        if self.panel_base_url and not self.panel_api_token:
            raise ValueError(
                "PANEL_API_TOKEN is not set: give the panel's bearer token, or clear PANEL_BASE_URL"
            )
        return self

    @property
    def database_address(self) -> str:
        """Where results are kept, as a database URL."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'reporter.db'}"

    @property
    def sms_address(self) -> str:
        """Address of the SMS gateway, without a trailing slash."""
        return self.sms_base_url or _SMS_BASE_URLS[self.sms_provider]

    @property
    def sms_enabled(self) -> bool:
        """Whether alerts can be sent: a key and at least one admin are set."""
        return self.sms_api_key is not None and bool(self.sms_admins)
