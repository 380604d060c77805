"""The scenarios a call can be asked to run, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ari_gateway.scenarios import marketing_outreach
from ari_gateway.scenarios.verbs import Verbs


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
        run: the function that leads the call.
        prompts: every prompt it may play.
    """

    run: Callable[[Verbs], Awaitable[None]]
    prompts: tuple[str, ...]


DEFAULT = "marketing_outreach"
SCENARIOS = {
    DEFAULT: Scenario(marketing_outreach.marketing_outreach, marketing_outreach.PROMPTS),
}
