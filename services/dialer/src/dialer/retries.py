"""Whether and when a contact that was not reached is tried again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from salehi.calls.v1.calls_pb2 import Disposition

_RULE = re.compile(r"([a-z_]+):([0-9]{1,2})/([0-9]{1,7})", re.ASCII)
_RETRIED = {
    "busy": Disposition.DISPOSITION_BUSY,
    "no_answer": Disposition.DISPOSITION_NO_ANSWER,
    "rejected": Disposition.DISPOSITION_REJECTED,
    "unreachable": Disposition.DISPOSITION_UNREACHABLE,
    "congestion": Disposition.DISPOSITION_CONGESTION,
}
_NONE = "none"


@dataclass(frozen=True)
class RetryRule:
    """How one disposition is retried.

    Attributes:
        retries: how many attempts may follow the first.
        delay_s: seconds from the end of one attempt to the next.
    """

    retries: int
    delay_s: int


@dataclass(frozen=True)
class RetryPolicy:
    """The rule per disposition; a disposition without one is final."""

    rules: Mapping[int, RetryRule] = field(default_factory=dict)

    @classmethod
    def parse(cls, parts: tuple[str, ...]) -> Self:
        """Read `("busy:2/900", …)`: two retries, 900 s apart; `("none",)` means no retries.

        Raises:
            ValueError: any other form, or a disposition that cannot be retried.
        """
        if parts == (_NONE,):
            return cls()
        rules: dict[int, RetryRule] = {}
        for part in parts:
            match = _RULE.fullmatch(part)
            if match is None or match[1] not in _RETRIED:
                allowed = ", ".join(_RETRIED)
                raise ValueError(f"{part!r} is not DISPOSITION:RETRIES/SECONDS ({allowed})")
            rules[_RETRIED[match[1]]] = RetryRule(int(match[2]), int(match[3]))
        return cls(rules)

    def delay_s(self, disposition: int, attempts_made: int) -> int | None:
        """Give the seconds to the next attempt; None when the contact is done."""
        rule = self.rules.get(disposition)
        if rule is None or attempts_made > rule.retries:
            return None
        return rule.delay_s
