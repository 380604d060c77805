"""What a reply can mean, and a decision about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Language = Literal["fa", "en"]

MAX_TEXT_CHARS = 4096
"""Longest reply accepted, in characters; ten seconds of speech are far below it."""


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
    """

    meaning: Meaning
    confidence: float
    evidence: str
