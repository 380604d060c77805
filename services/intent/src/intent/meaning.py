"""What a reply can mean, and a decision about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Language = Literal["fa", "en"]

READ_CHARS = 4096
"""How much of a reply is read, in characters; ten seconds of speech are far below it."""


class Meaning(StrEnum):
    """What the caller meant."""

    YES = "yes"
    NO = "no"
    NUMBER_QUESTION = "number_question"
    DO_NOT_CALL = "do_not_call"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision.

    Attributes:
        meaning: what the caller meant.
        confidence: 0 to 1; for rules, the share of the evidence that agrees.
        evidence: name of the rule or model that decided; never the caller's words.
        matched: names of all rules that matched, in the order of the rule book.
        bars_yes: something was heard that no other opinion may turn into a yes.
    """

    meaning: Meaning
    confidence: float
    evidence: str
    matched: tuple[str, ...] = ()
    bars_yes: bool = False


def excerpt(text: str) -> str:
    """Returns what is read of a reply: all of it, or of a longer one its beginning and its end.

    Words that the cut would split are left out: half of another word may be a "no".
    """
    if len(text) <= READ_CHARS:
        return text
    half = READ_CHARS // 2
    head, tail = text[:half], text[-half:]
    if not text[half].isspace():
        head = head.rsplit(maxsplit=1)[0] if len(head.split(maxsplit=1)) > 1 else head
    if not text[-half - 1].isspace():
        tail = tail.split(maxsplit=1)[-1]
    return f"{head} {tail}"
