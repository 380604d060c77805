"""How a dialing that nobody answered ended: one table from what Asterisk told of it.

Source: the SIP to cause mapping of chan_pjsip and what a real Asterisk 22 reported for each answer.

Precedence: the trunk's own rows, then the rows for every trunk ("*"), then the default ones. Among
the rows of one level that fit, the one that names most wins; of those that name as much, a SIP
status goes before a cause (many statuses share a cause) and a cause before a dial status.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field


class Disposition(enum.Enum):
    """How a dialing ended."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    INVALID_NUMBER = "invalid_number"
    CONGESTION = "congestion"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


FINAL_DIAL_STATUSES = frozenset({"BUSY", "CONGESTION", "NOANSWER", "CHANUNAVAIL", "CANCEL"})
"""What `Dial` says last when the far end refused; after our own timeout it says nothing."""

EVERY_TRUNK = "*"

# A phone that rings out, and a trunk that never answers; 0 before Asterisk 20.18 and 22.8.
_RANG_OUT = frozenset({0, 18, 19})


@dataclass(frozen=True)
class DialEnd:
    """What Asterisk told about a dialing that was not answered.

    Attributes:
        trunk: PJSIP endpoint it went through; empty for an extension of this Asterisk.
        cause: Q.850 cause of ChannelDestroyed; 0 when it told none.
        sip_status: SIP status of ChannelDestroyed; 0 when it told none.
        dial_status: final status of Dial; empty when there was none, as after our own timeout.
        heard_from: whether the far end sent anything (ringing, progress, a final answer).
    """

    trunk: str
    cause: int
    sip_status: int
    dial_status: str
    heard_from: bool

    @property
    def far_ends_status(self) -> int:
        """SIP status the far end sent; 0 when Asterisk made it up (480 for our own timeout)."""
        return self.sip_status if self.dial_status else 0


@dataclass(frozen=True)
class Row:
    """The disposition of every dialing that ended with all that is named here; None fits any."""

    disposition: Disposition
    cause: int | None = None
    sip_status: int | None = None
    dial_status: str | None = None

    def fits(self, end: DialEnd) -> bool:
        """Whether a dialing ended like this."""
        return (
            self.cause in (None, end.cause)
            and self.sip_status in (None, end.far_ends_status)
            and self.dial_status in (None, end.dial_status)
        )

    @property
    def conditions(self) -> tuple[int | None, int | None, str | None]:
        """What has to hold, the most telling first."""
        return (self.sip_status, self.cause, self.dial_status)

    @property
    def precedence(self) -> tuple[int, ...]:
        """Greater wins."""
        named = [int(condition is not None) for condition in self.conditions]
        return (sum(named), *named)


DEFAULT_ROWS = (
    Row(Disposition.INVALID_NUMBER, cause=1),
    Row(Disposition.CONGESTION, cause=2),
    Row(Disposition.INVALID_NUMBER, cause=3),
    Row(Disposition.CANCELLED, cause=16),
    Row(Disposition.BUSY, cause=17),
    Row(Disposition.NO_ANSWER, cause=18),
    Row(Disposition.NO_ANSWER, cause=19),
    Row(Disposition.UNREACHABLE, cause=20),
    Row(Disposition.REJECTED, cause=21),
    Row(Disposition.INVALID_NUMBER, cause=22),
    Row(Disposition.UNREACHABLE, cause=27),
    Row(Disposition.INVALID_NUMBER, cause=28),
    Row(Disposition.CONGESTION, cause=34),
    Row(Disposition.CONGESTION, cause=38),
    Row(Disposition.CONGESTION, cause=41),
    Row(Disposition.CONGESTION, cause=42),
    Row(Disposition.CONGESTION, cause=44),
    Row(Disposition.CONGESTION, cause=47),
    Row(Disposition.CONGESTION, cause=102),
    # Statuses whose cause (127, or 19 for a loop) says too little.
    Row(Disposition.CONGESTION, sip_status=429),
    Row(Disposition.REJECTED, sip_status=433),
    Row(Disposition.CONGESTION, sip_status=483),
    Row(Disposition.REJECTED, sip_status=607),
    Row(Disposition.REJECTED, sip_status=608),
    # Where the cause says nothing. NOANSWER is not among these: it also stands for refusals.
    Row(Disposition.BUSY, dial_status="BUSY"),
    Row(Disposition.CONGESTION, dial_status="CONGESTION"),
    Row(Disposition.CONGESTION, dial_status="CHANUNAVAIL"),
    Row(Disposition.NO_ANSWER, cause=0, dial_status=""),
)


@dataclass(frozen=True)
class DispositionTable:
    """The table, with the rows of single trunks before the default ones.

    Attributes:
        overrides: rows by trunk; those of `EVERY_TRUNK` hold where the trunk has none that fits.
    """

    overrides: dict[str, Sequence[Row]] = field(default_factory=dict)

    def disposition_of(self, end: DialEnd) -> Disposition:
        """Name how a dialing ended.

        A trunk that never says anything ends, like a phone that rings out, with cause 19; only the
        silence tells them apart. It is congestion, whatever the overrides say of what a trunk
        tells: this one told nothing, and nobody's phone rang.
        """
        if not end.heard_from and end.cause in _RANG_OUT:
            return Disposition.CONGESTION
        own, every = (self.overrides.get(trunk, ()) for trunk in (end.trunk, EVERY_TRUNK))
        for rows in (own, every, DEFAULT_ROWS):
            fitting = [row for row in rows if row.fits(end)]
            if fitting:
                return max(fitting, key=lambda row: row.precedence).disposition
        return Disposition.UNKNOWN
