"""Requests over HTTP, each on a connection of its own for as long as it takes."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from ari_gateway.ari.errors import AriNotSent, AriUnavailable
from ari_gateway.ari.refusals import why_no_answer
from ari_gateway.ari.tls import untrusted
from ari_gateway.ari.transport import Answer, Request

# Below Asterisk's session_keep_alive (15 s), or a request may go into a closing connection.
_KEEPALIVE_S = 10.0
# What is left of the time until a request must have left once a connection is had at the last
# moment: to hand it over takes microseconds, but the loop may be late.
_TO_CONNECT = 0.9
_JSON = {"Content-Type": "application/json"}


class HttpTransport:
    """A pool of connections, each carrying one request at a time."""

    def __init__(
        self, base_url: str, authorization: str, *, max_connections: int, tls: ssl.SSLContext
    ) -> None:
        """Make the pool, in a running event loop; `tls` says who is believed."""
        self._base_url = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls, limit=max_connections, keepalive_timeout=_KEEPALIVE_S
            ),
            headers={"Authorization": authorization},
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: Request) -> Answer:
        """Send one request; see `Transport`."""
        sending = self._session.request(
            request.method,
            URL(self._base_url + request.path, encoded=True),
            data=request.content,
            headers=None if request.content is None else _JSON,
            timeout=_timeout(request),
            allow_redirects=False,
        )
        try:
            async with sending as response:
                return Answer(
                    status=response.status,
                    reason=response.reason or "",
                    content=await response.read(),
                    is_json=response.content_type == "application/json",
                )
        except aiohttp.ClientConnectorCertificateError as error:
            raise untrusted(error) from error
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise AriNotSent(why_no_answer(error)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AriUnavailable(why_no_answer(error)) from error


def _timeout(request: Request) -> aiohttp.ClientTimeout:
    if request.sent_within_s is None:
        return aiohttp.ClientTimeout(total=request.timeout_s)
    connect_s = min(request.sent_within_s * _TO_CONNECT, request.timeout_s)
    return aiohttp.ClientTimeout(total=request.timeout_s, connect=connect_s)
