"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pacing:
    """Waits that double with every try, with jitter so that nothing retries in step.

    Attributes:
        first_s: the wait after the first failure, seconds, before jitter.
        longest_s: no wait is longer, seconds.
    """

    first_s: float
    longest_s: float

    def delay_s(self, tries: int) -> float:
        """Give the wait after the `tries`-th failure in a row, seconds: half of it is jitter."""
        doublings = min(max(tries, 1) - 1, 32)
        full_s = min(self.first_s * 2.0**doublings, self.longest_s)
        return full_s * random.uniform(0.5, 1.0)
