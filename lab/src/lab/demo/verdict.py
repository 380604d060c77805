"""Was each contact understood, and did each get the result its behaviour calls for?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.demo.cast import Contact
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2
from salehi.reporter.v1 import reporter_pb2

SHORTEST_TALK_S = 2.0
"""The lab's operators stay for four seconds; less means that the two never heard each other."""


@dataclass(frozen=True)
class Row:
    """One contact and what came of it.

    Attributes:
        heard: what was heard, listening by listening.
        talk_s: how long customer and operator talked, seconds.
    """

    contact: Contact
    heard: tuple[str, ...]
    intents: tuple[str, ...]
    results: tuple[str, ...]
    talk_s: float

    @property
    def wrong_because(self) -> str:
        """Say what is not right; empty when all is."""
        if not self.results:
            return "no result"
        if len(self.results) > 1:
            return f"{len(self.results)} results"
        if self.results[0] != self.contact.result:
            return f"expected {self.contact.result}"
        if self.intents != self.contact.intents:
            return f"expected to understand {', '.join(self.contact.intents) or 'nothing'}"
        if self.results[0] == "connected_to_operator" and self.talk_s < SHORTEST_TALK_S:
            return "customer and operator did not talk"
        return ""


def judge(cast: Sequence[Contact], results: Sequence[reporter_pb2.ResultRecord]) -> list[Row]:
    """Put every contact beside its results."""
    rows = []
    for contact in cast:
        own = [record for record in results if _same_person(contact, record)]
        outcome = own[0].report.outcome if own else calls_pb2.Outcome()
        rows.append(
            Row(
                contact=contact,
                heard=tuple(turn.heard for turn in outcome.turns),
                intents=tuple(_intent_name(turn.intent) for turn in outcome.turns),
                results=tuple(record.result for record in own),
                talk_s=outcome.talk_s,
            )
        )
    return rows


def _same_person(contact: Contact, record: reporter_pb2.ResultRecord) -> bool:
    return record.report.contact.number.endswith(contact.number.removeprefix("0"))


def _intent_name(intent: intent_pb2.Intent.ValueType) -> str:
    return intent_pb2.Intent.Name(intent).removeprefix("INTENT_").lower()
