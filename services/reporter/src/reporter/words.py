"""Results in the campaign's words."""

from __future__ import annotations

from salehi.calls.v1 import calls_pb2

RESULT_WORDS = {
    calls_pb2.RESULT_CONNECTED_TO_OPERATOR: "connected_to_operator",
    calls_pb2.RESULT_NOT_INTERESTED: "not_interested",
    calls_pb2.RESULT_DISCONNECTED: "disconnected",
    calls_pb2.RESULT_HANGUP: "hangup",
    calls_pb2.RESULT_MISSED: "missed",
    calls_pb2.RESULT_FAILED: "failed",
}


def in_words(outcome: calls_pb2.Outcome) -> str:
    """Name a result: `missed`, `failed:congestion`; a failure without a reason is `failed:unknown`.

    Raises:
        KeyError: the result is not one of the contract's.
    """
    word = RESULT_WORDS[outcome.result]
    if outcome.result == calls_pb2.RESULT_FAILED:
        return f"{word}:{outcome.reason or 'unknown'}"
    return word


def enum_word(name: str, prefix: str) -> str:
    """Shorten a contract's enum name: `DISPOSITION_NO_ANSWER` becomes `no_answer`."""
    word = name.removeprefix(prefix).lower()
    return "" if word == "unspecified" else word
