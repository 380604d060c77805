"""What all providers have in common: HTTP statuses and broken connections, translated once."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx

from servicekit.clock import Clock, SystemClock
from speech.errors import InputRejected, ProviderError, ProviderTooSlow, ProviderUnavailable

LONGEST_ANSWER_BYTES = 1_000_000
_INPUT_REFUSED = {400, 413, 415, 422}


def translated(error: httpx.HTTPError, provider: str) -> ProviderError:
    """Say in the service's own words what went wrong on the way to a provider."""
    kind = type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        message = f"{provider} cannot be reached ({kind})"
        return ProviderUnavailable(message, retryable=True, billed=False)
    if isinstance(error, httpx.TimeoutException):
        return ProviderTooSlow(f"{provider} did not answer in time")
    retryable = isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError))
    return ProviderUnavailable(f"the connection to {provider} broke ({kind})", retryable=retryable)


def failure(response: httpx.Response, provider: str, *, hint: str = "") -> ProviderError | None:
    """Say what a status means that is neither about credit nor about a token; None for success.

    What was refused outright (4xx) is not billed; what failed on the provider's side may be.
    """
    status = response.status_code
    if 200 <= status < 300:
        return None
    if status in _INPUT_REFUSED:
        return InputRejected(f"{provider} rejected the input (HTTP {status}){hint}")
    return ProviderUnavailable(
        f"{provider} answered HTTP {status}{hint}",
        retryable=status in {408, 429} or status >= 500,
        billed=status == 408 or status >= 500,
        retry_after_s=retry_after_s(response.headers.get("retry-after", "")),
    )


def retry_after_s(value: str, clock: Clock | None = None) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, 10.2.3); None without sense."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment - (clock or SystemClock()).now()).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone
        return None


async def read_limited(response: httpx.Response, limit_bytes: int, provider: str) -> bytes:
    """Read a body that is being streamed.

    Raises:
        ProviderUnavailable: it is longer than `limit_bytes`.
    """
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > limit_bytes:
            raise ProviderUnavailable(f"{provider} answered more than {limit_bytes} bytes")
    return bytes(body)
