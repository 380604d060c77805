"""What was seen of a call, from its first moment to its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from ari_gateway.sessions.disposition import Disposition
from ari_gateway.sessions.outcome import Failure, Seen, Verdict, judge
from ari_gateway.understanding import Understood


@dataclass
class Turn:
    """One listening of the conversation.

    Attributes:
        reply: what was made of it.
        latency_s: from the end of speech to the start of the next prompt, seconds; 0 for silence.
    """

    reply: Understood
    latency_s: float = 0.0


@dataclass
class Record:
    """What was seen of the call so far; times are aware, in UTC."""

    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    originated_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: int = 0
    sip_status: int = 0
    disposition: Disposition = Disposition.UNKNOWN
    post_dial_delay_s: float = 0.0
    turns: list[Turn] = field(default_factory=list)
    out_of_credit: list[str] = field(default_factory=list)
    failure: Failure | None = None
    calling_operator: bool = False
    operator_extension: str = ""
    operators_tried: list[str] = field(default_factory=list)
    operator_rings: int = 0
    callback_wanted: bool = False
    operator_answered_at: datetime | None = None
    talk_s: float = 0.0
    verdict: Verdict | None = None

    def note_out_of_credit(self, providers: tuple[str, ...]) -> None:
        """Note who refused for lack of credit, each once."""
        self.out_of_credit.extend(name for name in providers if name not in self.out_of_credit)

    def let_ring_again(self) -> None:
        """Forget that the operator rung last was tried: that he was not had is not his doing."""
        if self.operator_extension in self.operators_tried:
            self.operators_tried.remove(self.operator_extension)

    def judge(self, *, inbound: bool) -> Verdict:
        """Say what the call came to."""
        return judge(
            Seen(
                inbound=inbound,
                answered=self.answered_at is not None,
                disposition=self.disposition,
                last_intent=self.turns[-1].reply.intent if self.turns else None,
                operator_answered=self.operator_answered_at is not None,
                failure=self.failure,
            )
        )
