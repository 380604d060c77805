"""What the dialer can be told."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import Field, SecretStr, field_validator, model_validator

from dialer.csv_rows import ColumnNames
from dialer.limits import Line, LineLimits, Pace
from dialer.numbers import DialTemplate, NumberPlan, is_dialable, number_kinds
from dialer.retries import RetryPolicy
from dialer.windows import CallWindow
from servicekit.settings import CsvTuple, PeerAddress, Port, ServiceSettings, WebAddress

_OVERRIDE = re.compile(r"([0-9]{3,15}):([0-9]{1,4})/([0-9]{1,5})/([0-9]{1,6})", re.ASCII)
_TRUNK = re.compile(r"[A-Za-z0-9_.-]{1,80}", re.ASCII)
_CSV_OF_DIGITS = "numbers of our lines, 3 to 15 digits each, separated by commas: 1001,1002"


class DialerSettings(ServiceSettings):
    """Settings of the dialer."""

    dialer_port: Port = Field(50052, description="port of the gRPC server, 1 to 65535")
    dialer_metrics_port: Port = Field(9102, description="port of /metrics, 1 to 65535")
    database_url: SecretStr | None = Field(
        None,
        description="sqlite:///path or postgresql://user:password@host/name; "
        "empty: dialer.db in DATA_DIR",
    )
    ari_gateway_address: PeerAddress = Field(
        "127.0.0.1:50051", description="gRPC address of the ari-gateway, host:port"
    )
    reporter_address: PeerAddress = Field(
        "127.0.0.1:50055", description="gRPC address of the reporter, host:port"
    )

    outbound_trunk: str = Field(
        description="name of the PJSIP endpoint of the trunk: letters, digits, '.', '_' and '-'"
    )
    outbound_numbers: CsvTuple = Field(min_length=1, description=_CSV_OF_DIGITS)
    default_caller_id: str | None = Field(
        None, description="caller ID shown to customers, 3 to 15 digits; empty: the line's number"
    )
    dial_template: str = Field(
        "{line_last4}{number}",
        description="what the trunk is asked to dial, of {line}, {line_last4}, {number} (0912…) "
        "and {number_international} (98912…), 3 to 15 digits in all",
    )
    origination_timeout: int = Field(
        30, ge=1, le=120, description="seconds a customer's phone may ring, 1 to 120"
    )

    max_concurrent_calls: int = Field(
        2, ge=1, le=1000, description="calls at once on one line, 1 to 1000"
    )
    max_calls_per_minute: int = Field(
        10, ge=1, le=6000, description="calls in any 60 seconds on one line, 1 to 6000"
    )
    max_calls_per_day: int = Field(
        200, ge=1, le=100_000, description="calls per local day on one line, 1 to 100000"
    )
    line_limits: CsvTuple = Field(
        (),
        description="limits of single lines, LINE:CONCURRENT/PER_MINUTE/PER_DAY separated by "
        "commas: 1001:3/20/500",
    )
    max_total_calls: int | None = Field(
        None, ge=1, le=10_000, description="calls at once on all lines, 1 to 10000; empty: no cap"
    )
    operator_slots: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="operators who can take over at once: no more calls are dialled than are "
        "expected to need so many, 0 to 10000; empty: dial without regard to operators",
    )
    originate_spacing: float = Field(
        1.0, ge=0, le=60, description="least seconds between two calls on one line, 0 to 60"
    )

    static_contacts: CsvTuple = Field(
        (), description="numbers to call once each when no panel is set, separated by commas"
    )
    contacts_file: Path | None = Field(
        None, description="CSV file of contacts that is read at start; empty: none"
    )
    column_map: CsvTuple = Field(
        (),
        description="what contact files call their columns, where usual names do not find them: "
        "number=NAME and consent=NAME, separated by commas: number=Mobile Phone,consent=Opt-in",
    )
    require_consent: bool = Field(
        default=True, description="true refuses contacts without a consent basis (files)"
    )
    retry_policy: CsvTuple = Field(
        ("busy:2/900", "no_answer:2/3600", "unreachable:1/3600", "congestion:3/300"),
        description="retries of contacts from files, DISPOSITION:RETRIES/SECONDS separated by "
        "commas, of busy, no_answer, rejected, unreachable, congestion; none: no retries",
    )
    min_gap_per_person: int = Field(
        900,
        ge=0,
        le=31_536_000,
        description="least seconds between calls to one person for different contacts; retries "
        "of one contact follow RETRY_POLICY; 0: no gap",
    )
    number_region: str = Field(
        "IR", description="country of numbers without a country prefix, two letters: IR"
    )
    number_types: CsvTuple = Field(
        ("mobile",), min_length=1, description="kinds of numbers called: mobile, fixed_line"
    )

    call_window: str = Field(
        "09:00-21:00",
        description="hours in which people are called, HH:MM-HH:MM within one day; "
        "00:00-24:00: always",
    )

    panel_base_url: WebAddress | None = Field(
        None, description="address of the panel, http:// or https://; empty: no panel"
    )
    panel_api_token: SecretStr | None = Field(None, description="the panel's bearer token")
    panel_company: str | None = Field(
        None, description="company name, for panels that ask for it; empty: not sent"
    )
    dialer_batch_size: int = Field(
        10, ge=1, le=500, description="numbers asked of the panel at once, 1 to 500"
    )
    dialer_default_retry: float = Field(
        60.0, ge=1, le=3600, description="seconds until a panel that said no is asked again"
    )
    http_timeout: float = Field(
        10.0, gt=0, le=300, description="seconds a request to the panel may take"
    )
    http_max_connections: int = Field(
        100, ge=1, le=10_000, description="connections open at once, 1 to 10000"
    )

    @field_validator("outbound_trunk")
    @classmethod
    def _is_trunk(cls, value: str) -> str:
        if not _TRUNK.fullmatch(value):
            raise ValueError("not the name of an endpoint")
        return value

    @field_validator("outbound_numbers")
    @classmethod
    def _are_lines(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for position, number in enumerate(value, start=1):
            if not is_dialable(number):
                raise ValueError(f"entry {position} is not 3 to 15 digits")
        if len(set(value)) != len(value):
            raise ValueError("a line is named twice")
        return value

    @field_validator("default_caller_id")
    @classmethod
    def _is_caller_id(cls, value: str | None) -> str | None:
        if value is not None and not is_dialable(value):
            raise ValueError("not 3 to 15 digits")
        return value

    @field_validator("line_limits")
    @classmethod
    def _are_overrides(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            match = _OVERRIDE.fullmatch(part)
            if match is None or "0" in {found.lstrip("0") or "0" for found in match.groups()[1:]}:
                raise ValueError(f"{part!r} is not LINE:CONCURRENT/PER_MINUTE/PER_DAY")
        return value

    @field_validator("column_map")
    @classmethod
    def _are_columns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        ColumnNames.parse(value)
        return value

    @field_validator("retry_policy")
    @classmethod
    def _is_retry_policy(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        RetryPolicy.parse(value)
        return value

    @field_validator("number_region")
    @classmethod
    def _is_region(cls, value: str) -> str:
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("no such country code")
        return value

    @field_validator("number_types")
    @classmethod
    def _are_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        number_kinds(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _is_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("no such time zone") from error
        return value

    @field_validator("call_window")
    @classmethod
    def _is_window(cls, value: str) -> str:
        CallWindow.parse(value, ZoneInfo("UTC"))
        return value

    @field_validator("dial_template")
    @classmethod
    def _is_template(cls, value: str) -> str:
        DialTemplate(value)
        return value

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.panel_base_url and not self.panel_api_token:
            raise ValueError(
                "PANEL_API_TOKEN is not set: give the panel's bearer token, or clear PANEL_BASE_URL"
            )
        strangers = {part.partition(":")[0] for part in self.line_limits}
        if not strangers <= set(self.outbound_numbers):
            raise ValueError("LINE_LIMITS names a line that is not in OUTBOUND_NUMBERS: correct it")
        return self

    @property
    def database_address(self) -> str:
        """Where contacts and attempts are kept, as a database URL."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'dialer.db'}"

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The lines with their limits, in the order they are named."""
        usual = LineLimits(
            self.max_concurrent_calls, self.max_calls_per_minute, self.max_calls_per_day
        )
        special: dict[str, LineLimits] = {}
        for part in self.line_limits:
            number, _, figures = part.partition(":")
            special[number] = LineLimits(*(int(figure) for figure in figures.split("/")))
        return tuple(Line(n, special.get(n, usual)) for n in self.outbound_numbers)

    @property
    def pace(self) -> Pace:
        """What holds for all lines together."""
        return Pace(round(self.originate_spacing * 1000), self.max_total_calls)

    @property
    def plan(self) -> NumberPlan:
        """Which numbers are called."""
        return NumberPlan(self.number_region, number_kinds(self.number_types))

    @property
    def columns(self) -> ColumnNames:
        """What contact files call their columns."""
        return ColumnNames.parse(self.column_map)

    @property
    def window(self) -> CallWindow:
        """When people are called."""
        return CallWindow.parse(self.call_window, ZoneInfo(self.timezone))
