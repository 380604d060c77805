"""What a scenario can do. Nothing else of the engine is visible to it."""

from __future__ import annotations

from typing import Protocol

from ari_gateway.sessions.handover import Transfer
from ari_gateway.sessions.outcome import Intent


class Verbs(Protocol):
    """The verbs of an answered call; each raises `CallOver` when the call ends under it."""

    async def play(self, prompt: str) -> None:
        """Play a prompt to its end."""
        ...

    async def ask(self, prompt: str) -> Intent:
        """Play a prompt, listen to one short reply, and say what was meant; silence is UNKNOWN."""
        ...

    async def transfer_to_operator(self, hold_prompt: str) -> Transfer:
        """Ring an operator while `hold_prompt` repeats; bridge; return when the operator left."""
        ...

    async def hang_up(self) -> None:
        """End the call."""
        ...
