"""The intent service's only wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import get_args

from intent.llm import Llm
from intent.meaning import Language
from intent.rules import rule_book
from intent.service import SERVICE, IntentServicer
from intent.settings import IntentSettings, Strategy
from intent.strategy import Classifier
from salehi.intent.v1.intent_pb2_grpc import add_IntentServiceServicer_to_server
from servicekit.breaker import Breaker
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service


async def serve(settings: IntentSettings, runtime: Runtime[IntentSettings]) -> None:
    """Serves until told to stop."""
    for language in get_args(Language):
        rule_book(language)  # compiled before the first call waits for it
    async with AsyncExitStack() as stack:
        llm: Llm | None = None
        if settings.gapgpt_api_key is not None and (
            settings.intent_strategy is not Strategy.RULES_ONLY
        ):
            llm = await stack.enter_async_context(Llm(settings))
        classifier = Classifier(
            settings.intent_strategy, llm, Breaker(), budget_s=settings.intent_budget
        )
        servicer = IntentServicer(classifier, settings.call_language)
        service = GrpcService(SERVICE, add_IntentServiceServicer_to_server, servicer)
        await runtime.serve_grpc([service], port=settings.intent_port, setting="INTENT_PORT")


def main() -> None:
    """Runs the intent service (console script `intent`)."""
    run_service("intent", IntentSettings, serve, metrics_port_field="intent_metrics_port")


if __name__ == "__main__":
    main()
