"""The outreach call: ask whether the person is interested, and connect those who are."""

from __future__ import annotations

from ari_gateway.scenarios.verbs import Verbs
from ari_gateway.sessions.handover import Transfer
from ari_gateway.sessions.outcome import Intent

PROMPTS = ("hello", "number", "yes", "onhold", "goodby")


async def marketing_outreach(call: Verbs) -> None:
    """Greet, ask, and follow the answer."""
    intent = await call.ask("hello")
    if intent is Intent.NUMBER_QUESTION:
        intent = await call.ask("number")

    if intent is Intent.YES:
        await call.play("yes")
        if await call.transfer_to_operator(hold_prompt="onhold") is Transfer.TALKED:
            return await call.hang_up()

    await call.play("goodby")
    return await call.hang_up()
