"""The intent service's only wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from zoneinfo import ZoneInfo

from intent.campaign import Campaign, load_campaign, shipped_examples
from intent.errors import RuleDataError
from intent.llm import Llm
from intent.rules import Rules
from intent.service import SERVICE, IntentServicer
from intent.settings import IntentSettings, Strategy
from intent.strategy import Classifier
from intent.transcripts import TranscriptFiles, TranscriptLog, transcript_log
from salehi.intent.v1.intent_pb2_grpc import add_IntentServiceServicer_to_server
from servicekit.breaker import Breaker
from servicekit.errors import StartupError
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service

_ANSWERS_WITHIN_S = 1.0


async def serve(settings: IntentSettings, runtime: Runtime[IntentSettings]) -> None:
    """Serves until told to stop."""
    rules, campaign = _rules(settings.intent_rules_file)
    async with AsyncExitStack() as stack:
        llm: Llm | None = None
        if settings.gapgpt_api_key is not None and (
            settings.intent_strategy is not Strategy.RULES_ONLY
        ):
            examples = (*shipped_examples(), *(campaign.examples if campaign else ()))
            llm = await stack.enter_async_context(Llm(settings, examples))
        transcripts: TranscriptLog | None = None
        if settings.transcript_logs:
            files = TranscriptFiles(
                settings.transcript_log_dir or settings.data_dir / "transcripts",
                ZoneInfo(settings.timezone),
                settings.transcript_log_days,
            )
            transcripts = await stack.enter_async_context(transcript_log(files))
        classifier = Classifier(
            settings.intent_strategy, llm, Breaker(), settings.intent_budget, rules=rules
        )
        servicer = IntentServicer(classifier, settings.call_language, transcripts)
        service = GrpcService(SERVICE, add_IntentServiceServicer_to_server, servicer)
        await runtime.serve_grpc(
            [service],
            port=settings.intent_port,
            setting="INTENT_PORT",
            drain_s=settings.intent_budget + _ANSWERS_WITHIN_S,
        )


def _rules(path: Path | None) -> tuple[Rules, Campaign | None]:
    """Compiles the rules before the first call waits for them.

    Raises:
        StartupError: the campaign's file cannot be used.
    """
    if path is None:
        return Rules(), None
    try:
        campaign = load_campaign(path)
        return Rules(campaign), campaign
    except RuleDataError as error:
        raise StartupError(f"INTENT_RULES_FILE={path} cannot be used: {error}") from error


def main() -> None:
    """Runs the intent service (console script `intent`)."""
    run_service("intent", IntentSettings, serve, metrics_port_field="intent_metrics_port")


if __name__ == "__main__":
    main()
