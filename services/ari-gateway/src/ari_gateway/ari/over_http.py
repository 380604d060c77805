"""Requests over HTTP; the one place that knows httpx."""

from __future__ import annotations

import ssl

import httpx

from ari_gateway.ari.errors import AriNotSent, AriUnavailable
from ari_gateway.ari.tls import untrusted
from ari_gateway.ari.transport import Answer, Request

# Below Asterisk's session_keep_alive (15 s), or a request may go into a closing connection.
_KEEPALIVE_EXPIRY_S = 10.0
# Every request looks at each idle connection, so a burst must not leave a hundred of them behind.
_MOST_IDLE = 20


class HttpTransport:
    """A pool of connections, each carrying one request at a time.

    It is httpx's transport without its client: there is nothing to redirect, no cookie and one
    password, and the client would be half of what a request costs.
    """

    def __init__(
        self,
        base_url: str,
        authorization: str,
        *,
        max_connections: int,
        tls: ssl.SSLContext,
        network: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Make the pool; `tls` says who is believed, `network` stands in for all in tests."""
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": authorization}
        self._http = network or httpx.AsyncHTTPTransport(
            verify=tls,
            limits=httpx.Limits(
                max_connections=max_connections,
                max_keepalive_connections=min(max_connections, _MOST_IDLE),
                keepalive_expiry=_KEEPALIVE_EXPIRY_S,
            ),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def send(self, request: Request) -> Answer:
        """Send one request; see `Transport`."""
        json = {} if request.content is None else {"Content-Type": "application/json"}
        sent = httpx.Request(
            request.method,
            self._base_url + request.path,
            content=request.content,
            headers=self._headers | json,
            extensions={"timeout": _timeout(request).as_dict()},
        )
        try:
            response = await self._http.handle_async_request(sent)
            try:
                await response.aread()
            finally:
                await response.aclose()
        except (httpx.PoolTimeout, httpx.ConnectTimeout) as error:
            raise AriNotSent(type(error).__name__) from error
        except httpx.HTTPError as error:
            if refused := _certificate_error(error):
                raise untrusted(refused) from error
            raise AriUnavailable(f"{type(error).__name__} {error}".strip()) from error
        return Answer(
            status=response.status_code,
            reason=response.reason_phrase,
            content=response.content,
            is_json=response.headers.get("content-type", "").startswith("application/json"),
        )


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Find the refusal of a certificate that an error came of."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__context__  # httpcore takes the cause away
    return error


def _timeout(request: Request) -> httpx.Timeout:
    """Share the time until a request must have left between a free and an open connection."""
    if request.sent_within_s is None:
        return httpx.Timeout(request.timeout_s)
    half_s = min(request.sent_within_s / 2, request.timeout_s)
    return httpx.Timeout(request.timeout_s, pool=half_s, connect=half_s)
