"""Settings of the gateway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from ari_gateway.sessions.admission import Room
from ari_gateway.sessions.disposition import DispositionTable
from ari_gateway.sessions.overrides import table_with
from ari_gateway.sessions.rota import Seat
from servicekit.settings import CsvTuple, PeerAddress, Port, ServiceSettings, WebAddress

WsUrl = Annotated[str, StringConstraints(pattern=r"^wss?://[^/\s]+(/\S*)?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]
SoundPrefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]+(/[A-Za-z0-9_\-]+)*$")]
_SEAT = re.compile(r"[0-9]{1,15}(:[1-9][0-9]{0,2})?", re.ASCII)
Extension = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}$")]


class GatewaySettings(ServiceSettings):
    """What the gateway can be told."""

    ari_gateway_port: Port = Field(50051, description="port for gRPC, 1 to 65535")
    ari_gateway_metrics_port: Port = Field(9101, description="port for /metrics, 1 to 65535")

    ari_base_url: WebAddress = Field(
        "http://127.0.0.1:8088/ari", description="for example http://127.0.0.1:8088/ari"
    )
    ari_ws_url: WsUrl = Field(
        "ws://127.0.0.1:8088/ari/events", description="for example ws://127.0.0.1:8088/ari/events"
    )
    ari_ca_file: Path | None = Field(
        None,
        description="PEM file with the CA of Asterisk's certificate, or with the certificate "
        "itself, for https:// and wss://; empty: the system's CAs",
    )
    ari_app_name: Name = Field("salehi", description="Stasis application, letters and digits")
    ari_username: str = Field("salehi", description="user of ari.conf")
    ari_password: SecretStr = Field(description="password of ARI_USERNAME in ari.conf")
    ari_timeout: float = Field(10.0, gt=0, le=60, description="seconds per ARI request, up to 60")
    ari_startup_wait: float = Field(
        10.0, ge=0, le=300, description="seconds to wait for Asterisk at start, up to 300"
    )
    ari_rest_over_websocket: bool = Field(
        default=True,
        description="on sends requests over the events WebSocket where Asterisk answers there "
        "(22.4, 20.14), off sends all over HTTP",
    )
    http_max_connections: int = Field(
        100, ge=1, le=1000, description="connections to Asterisk at once, 1 to 1000"
    )

    operator_extension: Extension | None = Field(
        None,
        description="digits of the operator's PJSIP extension, without PJSIP/ or Local/; "
        "OPERATOR_EXTENSIONS names several",
    )
    operator_extensions: CsvTuple = Field(
        (),
        description="operators' PJSIP extensions, digits without PJSIP/ or Local/, separated by "
        "commas, who has waited longest takes the next call: 200,201; EXTENSION:CALLS takes "
        "several at once, for example a queue behind OPERATOR_TRUNK: 600:5; empty: "
        "OPERATOR_EXTENSION alone",
    )
    operator_tries: int = Field(
        3, ge=1, le=20, description="operators rung for one customer at most, 1 to 20"
    )
    operator_wait: float = Field(
        60.0, ge=5, le=600, description="seconds a customer waits for an operator, 5 to 600"
    )
    operator_trunk: Name | None = Field(
        None, description="PJSIP endpoint the operator is reached through; empty: PJSIP/<extension>"
    )
    operator_caller_id: Extension | None = Field(
        None, description="digits shown to the operator when the customer's number is unknown"
    )
    operator_timeout: int = Field(
        30, ge=1, le=120, description="seconds an operator may ring, 1 to 120"
    )

    listen_start_timeout: float = Field(
        4.0, ge=2.5, le=15, description="seconds a caller may stay silent first, 2.5 to 15"
    )
    listen_max: int = Field(10, ge=2, le=30, description="seconds one reply may last, 2 to 30")
    end_of_speech_ms: int = Field(
        600, ge=200, le=3000, description="milliseconds of silence that end a reply, 200 to 3000"
    )
    end_of_short_speech_ms: int = Field(
        450,
        ge=200,
        le=3000,
        description="milliseconds of silence that end a reply of up to 1.2 s, 200 to 3000",
    )
    barge_in_window: float = Field(
        1.5,
        ge=0,
        le=60,
        description="seconds before its end in which a question gives way to a caller who speaks, "
        "0 (never) to 60",
    )
    turn_budget: float = Field(
        8.0, ge=1, le=60, description="seconds to understand one reply, all in all, 1 to 60"
    )
    filler_after: float = Field(
        2.0,
        ge=0,
        le=30,
        description="seconds after a reply until the prompt `moment` fills the silence, 0 (never) "
        "to 30",
    )
    talk_threshold: int = Field(
        256, ge=1, le=32767, description="loudness that counts as talk, 1 to 32767"
    )
    stt_timeout: float = Field(30.0, gt=0, le=120, description="seconds for one transcription")
    llm_timeout: float = Field(20.0, gt=0, le=120, description="seconds for one classification")

    speech_address: PeerAddress = Field("127.0.0.1:50053", description="host:port of speech")
    intent_address: PeerAddress = Field("127.0.0.1:50054", description="host:port of intent")
    reporter_address: PeerAddress = Field("127.0.0.1:50055", description="host:port of reporter")

    ast_sound_dir: Path | None = Field(
        None, description="directory prompts are synced to, for messages about missing ones"
    )
    ast_sound_prefix: SoundPrefix = Field(
        "custom", description="what Asterisk calls AST_SOUND_DIR below its sounds, usually custom"
    )
    session_store_url: str | None = Field(
        None,
        description="sqlite:///path, postgresql://user:password@host/name or "
        "redis://host:port/number; empty: ari-gateway.db in DATA_DIR",
    )
    standby: bool = Field(
        default=False,
        description="on waits while another gateway leads ARI_APP_NAME and takes over when it is "
        "gone; off ends with an error",
    )
    max_live_calls: int = Field(200, ge=1, le=2000, description="calls at once, 1 to 2000")
    inbound_reserve: int | None = Field(
        None,
        ge=0,
        le=1999,
        description="of MAX_LIVE_CALLS so many are kept free for inbound calls, below "
        "MAX_LIVE_CALLS; empty: a twentieth",
    )
    dispositions: CsvTuple = Field(
        (),
        description="how dialings that nobody answered are named where a trunk means something "
        "else than usual, TRUNK/CONDITION=DISPOSITION separated by commas: trunk1/cause:38=busy, "
        "*/sip:480=unreachable; conditions cause:1-127, sip:300-699, dial:BUSY|CONGESTION|NOANSWER|"
        "CHANUNAVAIL, joined by + where all must hold; dispositions busy, no_answer, unreachable, "
        "invalid_number, rejected, congestion",
    )
    drain_timeout: float = Field(
        0.0, ge=0, le=3600, description="seconds live calls may go on after SIGTERM, 0 to 3600"
    )

    @field_validator("operator_extensions")
    @classmethod
    def _extensions_must_be_digits(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((entry for entry in entries if not _SEAT.fullmatch(entry)), None):
            raise ValueError(f"{wrong} is no EXTENSION or EXTENSION:CALLS")
        extensions = [entry.partition(":")[0] for entry in entries]
        if len(set(extensions)) < len(extensions):
            raise ValueError("an extension is named twice")
        return entries

    @field_validator("dispositions")
    @classmethod
    def _dispositions_must_make_a_table(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        table_with(entries)
        return entries

    @model_validator(mode="after")
    def _outbound_calls_need_room(self) -> Self:
        if self.room.for_outbound < 1:
            raise ValueError(
                f"INBOUND_RESERVE={self.inbound_reserve} must be below "
                f"MAX_LIVE_CALLS={self.max_live_calls}"
            )
        return self

    @model_validator(mode="after")
    def _a_ca_is_for_tls(self) -> Self:
        for name, url, scheme in (
            ("ARI_BASE_URL", self.ari_base_url, "https"),
            ("ARI_WS_URL", self.ari_ws_url, "wss"),
        ):
            if self.ari_ca_file and urlsplit(url).scheme != scheme:
                raise ValueError(
                    f"ARI_CA_FILE is set, but {name}={url} is not encrypted: "
                    f"write {scheme}://, or leave ARI_CA_FILE empty"
                )
        return self

    @model_validator(mode="after")
    def _silence_must_fit_in_a_reply(self) -> Self:
        if self.listen_start_timeout >= self.listen_max:
            raise ValueError(
                f"LISTEN_START_TIMEOUT={self.listen_start_timeout} must be below "
                f"LISTEN_MAX={self.listen_max}"
            )
        return self

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The operators."""
        named = self.operator_extensions or (self.operator_extension,)
        parts = [entry.partition(":") for entry in named if entry]
        return tuple(Seat(extension, int(calls or 1)) for extension, _, calls in parts)

    @property
    def session_store(self) -> str:
        """Where calls are kept on record."""
        return self.session_store_url or f"sqlite:///{self.data_dir / 'ari-gateway.db'}"

    @property
    def room(self) -> Room:
        """How many calls may be live at once."""
        reserve = self.inbound_reserve
        return Room(self.max_live_calls, self.max_live_calls // 20 if reserve is None else reserve)

    @property
    def disposition_table(self) -> DispositionTable:
        """How dialings that nobody answered are named."""
        return table_with(self.dispositions)
