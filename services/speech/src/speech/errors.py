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
        retryable: whether the same request may succeed if it is sent again.
        billed: whether the engine may have worked on it, so that sending it again may cost twice.
        retry_after_s: seconds the engine wants to be left alone; None when it does not say.
        trace_id: the provider's own name for the request, for its support; empty without one.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        billed: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.billed = billed
        self.retry_after_s = retry_after_s
        self.trace_id = ""


class ProviderUnavailable(ProviderError):
    """The engine is away, failing or answering nonsense (UNAVAILABLE)."""


class ProviderTooSlow(ProviderError):
    """The engine did not answer in time (DEADLINE_EXCEEDED)."""


class InputRejected(ProviderError):
    """The engine does not take this recording or text; it is well otherwise (UNAVAILABLE)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, billed=False)


class ProviderRefused(ProviderError):
    """The engine does not work for this account, which will not pass (FAILED_PRECONDITION)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, billed=False)


class OutOfCredit(ProviderRefused):
    """The account has no credit left."""


class BadToken(ProviderRefused):
    """The token or key is not accepted."""


class ProgramFailed(SpeechError):
    """ffmpeg or espeak-ng ended with an error or not in time."""
