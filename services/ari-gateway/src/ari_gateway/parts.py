"""The gateway's parts, put together."""

from __future__ import annotations

from ari_gateway.ari.link import EventLink, LinkAddress, LinkHandlers
from ari_gateway.ari.rest import AriRest
from ari_gateway.asterisk import AsteriskState
from ari_gateway.backpressure import Backpressure
from ari_gateway.metrics import READY_TO_DIAL
from ari_gateway.prompts import PromptCheck
from ari_gateway.results import REPORTER, ResultOutbox
from ari_gateway.saturation import OriginateLatency
from ari_gateway.scenarios.registry import SCENARIOS
from ari_gateway.sessions.admission import Admission
from ari_gateway.sessions.call import Filler, Tools
from ari_gateway.sessions.handover import OperatorDesk
from ari_gateway.sessions.lease import Leadership
from ari_gateway.sessions.ledger import Ledger
from ari_gateway.sessions.listening import Listening
from ari_gateway.sessions.manager import SessionManager
from ari_gateway.sessions.rota import Rota
from ari_gateway.sessions.talk import Patience
from ari_gateway.settings import GatewaySettings
from ari_gateway.understanding import INTENT, SPEECH, Understanding
from servicekit.channel import Peer

_FILLER = "moment"


class Gateway:
    """The gateway's parts, put together once."""

    def __init__(
        self, settings: GatewaySettings, ari: AriRest, ledger: Ledger, leadership: Leadership
    ) -> None:
        self.settings = settings
        self.leadership = leadership
        self.ari = ari
        self.ledger = ledger
        tls = settings.tls
        self.speech = Peer(settings.speech_address, SPEECH, tls=tls)
        self.intent = Peer(settings.intent_address, INTENT, idempotent=("Classify",), tls=tls)
        self.reporter = Peer(
            settings.reporter_address, REPORTER, idempotent=("ReportResult",), tls=tls
        )
        self.pressure = Backpressure()
        ari.originate_took = OriginateLatency(self.pressure).took
        self.outbox = ResultOutbox(ledger, self.reporter)
        self.prompts = PromptCheck(
            ari,
            settings.ari_app_name,
            sounds=self._sounds,
            prompts=sorted({name for known in SCENARIOS.values() for name in known.prompts}),
            optional=[_FILLER],
            sound_dir=settings.ast_sound_dir,
        )
        self.asterisk = AsteriskState(
            ari, lambda: self.manager, ledger, self.prompts, settings.ari_app_name
        )
        self.manager = SessionManager(
            tools=self._tools(),
            ledger=ledger,
            admission=Admission(
                settings.room, why_not_ready=self.why_not_ready, pressure=self.pressure
            ),
            ended=self.outbox.add,
        )
        self.manager.prompt_failed = self.prompts.check_again
        READY_TO_DIAL.set_function(lambda: 0 if self.manager.why_no_outbound() else 1)

    @property
    def _sounds(self) -> str:
        return f"sound:{self.settings.ast_sound_prefix}/{self.settings.call_language}"

    def why_not_ready(self) -> str:
        """Why no call can be led now; empty when all is well."""
        if not self.settings.seats:
            return "OPERATOR_EXTENSION is not set: who should take the calls of the interested?"
        return (
            self.leadership.why_not_ready
            or self.asterisk.why_not_ready
            or self.prompts.why_not_ready
        )

    def _tools(self) -> Tools:
        settings = self.settings
        return Tools(
            ari=self.ari,
            understanding=Understanding(
                self.speech,
                self.intent,
                pressure=self.pressure,
                language=settings.call_language,
                stt_timeout_s=settings.stt_timeout,
                llm_timeout_s=settings.llm_timeout,
                budget_s=settings.turn_budget,
            ),
            listening=Listening(
                start_timeout_s=settings.listen_start_timeout,
                max_s=settings.listen_max,
                patience=Patience(settings.end_of_speech_ms, settings.end_of_short_speech_ms),
                talk_threshold=settings.talk_threshold,
                barge_in_window_s=settings.barge_in_window,
            ),
            desk=OperatorDesk(
                rota=Rota(settings.seats),
                trunk=settings.operator_trunk,
                fallback_caller_id=settings.operator_caller_id,
                ring_timeout_s=settings.operator_timeout,
                tries=settings.operator_tries,
                wait_s=settings.operator_wait,
            ),
            sounds=self._sounds,
            filler=self._filler,
            dispositions=settings.disposition_table,
        )

    @property
    def _filler(self) -> Filler | None:
        if not self.settings.filler_after:
            return None
        return Filler(_FILLER, self.settings.filler_after, lambda: self.prompts.can_play(_FILLER))

    def link(self) -> EventLink:
        """Make the link to Asterisk's events."""
        settings = self.settings
        return EventLink(
            LinkAddress(
                url=settings.ari_ws_url,
                username=settings.ari_username,
                password=settings.ari_password.get_secret_value(),
                app=settings.ari_app_name,
                timeout_s=settings.ari_timeout,
                tls=self.ari.address.tls,
            ),
            LinkHandlers(self.asterisk.on_up, self.asterisk.on_down, self.asterisk.on_event),
            self.ari.websocket,
        )
