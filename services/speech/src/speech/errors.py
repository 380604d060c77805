"""What can go wrong, in the service's own words.

Adapters translate once; the gRPC face maps each kind to one status. Texts never hold what was said.
"""

# ruff: noqa: N818 - an error is named for what happened
from __future__ import annotations


class SpeechError(Exception):
    """Anything a request can end with but an answer."""


class BadRequest(SpeechError):
    """The caller sent something no engine can take (INVALID_ARGUMENT)."""


class AtCapacity(SpeechError):
    """There is no room before the caller's deadline (RESOURCE_EXHAUSTED)."""


class NotConfigured(SpeechError):
    """No engine serves this language; says what to set (FAILED_PRECONDITION)."""


class ProviderError(SpeechError):
    """An engine did not answer.

    Attributes:
        retryable: whether the same request may succeed at once.
    """

    retryable = False


class ProviderUnavailable(ProviderError):
    """The engine is away, failing or answering nonsense (UNAVAILABLE)."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class ProviderTooSlow(ProviderError):
    """The engine did not answer in time (DEADLINE_EXCEEDED)."""


class ProviderRefused(ProviderError):
    """The account has no credit or its token is not accepted (FAILED_PRECONDITION)."""


class ProgramFailed(SpeechError):
    """ffmpeg or espeak-ng ended with an error or not in time."""
