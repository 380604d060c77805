"""The failures of this service, in its own words."""

from __future__ import annotations


class RuleDataError(ValueError):
    """A rule file cannot be used; the message names the language, rule and pattern."""


class LlmError(Exception):
    """The LLM gave no usable answer.

    Attributes:
        outcome: what happened, as one word for the metrics.
    """

    outcome = "failed"


class LlmUnavailableError(LlmError):
    """It failed, was too slow or refused the request."""

    outcome = "unavailable"


class LlmKeyRefusedError(LlmUnavailableError):
    """It does not know the key: no question will be answered until somebody sets another."""

    outcome = "key_refused"


class LlmBusyError(LlmError):
    """It was not asked: all places are taken."""

    outcome = "busy"


class LlmOutOfCreditError(LlmError):
    """It refuses for lack of credit: dialing should pause at once."""

    outcome = "out_of_credit"


class LlmAnswerError(LlmError):
    """It answered, but not with one of the allowed words."""

    outcome = "unusable_answer"
