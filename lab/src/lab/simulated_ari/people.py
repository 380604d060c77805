"""What the people at the far ends do; all alike, so that load is the only thing that varies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class People:
    """The script of a call, in seconds.

    A customer rings, answers, hears the first prompt to its end, thinks, and speaks once. Whoever
    is reached through another trunk is an operator, who rings, answers, talks, and hangs up.

    Attributes:
        prompt_s: length of every prompt.
        thinks_s: from the end of the first prompt until the customer speaks.
        operator_talks_s: from the operator's answer until the operator hangs up.
        trunk: what customers are reached through.
    """

    rings_s: float = 2.0
    prompt_s: float = 4.0
    thinks_s: float = 1.0
    speaks_s: float = 1.0
    operator_rings_s: float = 2.0
    operator_talks_s: float = 5.0
    trunk: str = "trunk"
