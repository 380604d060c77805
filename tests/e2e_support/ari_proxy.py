"""Stands between gateway and Asterisk: sees what passes, and spoils it when told to.

It relays ARI's HTTP and the events WebSocket, the latter frame by frame, so that a request is
refused, or an event added, on whichever of the two ways it travels.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from e2e_support.frames import CLOSE_NORMAL, TEXT, name_of_event, read_frame, text_frame
from e2e_support.moments import Moments
from lab import addresses

_ATTEMPT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RELAYED_HEADERS = ("authorization", "content-type")


@dataclass
class Fault:
    """What becomes of the next requests that fit.

    Attributes:
        pattern: searched for in `METHOD /path`.
        status: answered without asking Asterisk; None: Asterisk is asked.
        late_s: how much later the request goes on, seconds.
        times: how many requests are spoiled.
    """

    pattern: re.Pattern[str]
    status: int | None
    late_s: float
    times: int


@dataclass
class _Link:
    """One events WebSocket that passes through."""

    to_client: asyncio.StreamWriter
    to_asterisk: asyncio.StreamWriter
    flows: asyncio.Event


@dataclass
class AriProxy:
    """The proxy.

    What passes is named in one line: `POST /channels/<number>/play`, `StasisStart <number>`. The
    number called stands for the id of its attempt, wherever that is part of a name.
    """

    port: int
    _faults: list[Fault] = field(default_factory=list)
    _moments: Moments = field(default_factory=Moments)
    _lost: Moments = field(default_factory=Moments)
    _numbers: dict[str, str] = field(default_factory=dict)
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    _links: list[_Link] = field(default_factory=list)
    _links_from_s: float = 0.0

    @property
    def settings(self) -> dict[str, str]:
        """Lead a gateway through here."""
        return {
            "ARI_BASE_URL": f"http://127.0.0.1:{self.port}/ari",
            "ARI_WS_URL": f"ws://127.0.0.1:{self.port}/ari/events",
        }

    def spoil(
        self, pattern: str, *, status: int | None = None, late_s: float = 0.0, times: int = 1
    ) -> Fault:
        """Refuse the next requests that fit with `status`, or let them wait; give the fault."""
        fault = Fault(re.compile(pattern), status, late_s, times)
        self._faults.append(fault)
        return fault

    def seen(self, pattern: str, *, times: int = 1) -> asyncio.Future[None]:
        """Give what is done when so many requests or events that fit have passed."""
        return self._moments.expect(pattern, times=times)

    def lose_with_link(self, pattern: str) -> asyncio.Future[None]:
        """Lose the next event that fits, and the link in its place; give what is done then."""
        return self._lost.expect(pattern)

    def attempt_of(self, number: str) -> str:
        """Give the attempt of the call whose dial string ends with `number`."""
        return next(name for name, dialled in self._numbers.items() if dialled.endswith(number))

    def stall(self) -> None:
        """Let nothing of the events WebSocket through any more; it stays open."""
        for link in self._links:
            link.flows.clear()

    def add_frame(self, text: str) -> None:
        """Send the gateway something as if Asterisk had."""
        for link in self._links:
            link.to_client.write(text_frame(text.encode()))

    def close_cleanly(self) -> None:
        """Close the events WebSocket as Asterisk does when it ends it."""
        for link in self._links:
            link.to_client.write(CLOSE_NORMAL)
            link.to_asterisk.close()

    def keep_out(self, *, for_s: float) -> None:
        """Let no new events WebSocket through for a while; who wants one waits."""
        self._links_from_s = asyncio.get_running_loop().time() + for_s

    def reset(self) -> None:
        """Tear the events WebSocket down without a word."""
        for link in self._links:
            if link.to_client.is_closing():
                continue
            client = link.to_client.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.to_client.transport.abort()
            link.to_asterisk.close()

    # relaying

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection until it ends."""
        upstream = httpx.AsyncClient(base_url=f"http://{addresses.ARI.address}", trust_env=False)
        try:
            async with upstream:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    if b"upgrade: websocket" in head.lower():
                        await self._relay_link(head, reader, writer)
                        return
                    await self._relay_request(head, reader, writer, upstream)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _relay_request(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: httpx.AsyncClient,
    ) -> None:
        first, *lines = head.decode().strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status = await self._passes(f"{method} {path.removeprefix('/ari')}", body)
        if status is not None:
            answer = httpx.Response(status, json={"message": "spoilt"})
        else:
            kept = {name: headers[name] for name in _RELAYED_HEADERS if name in headers}
            try:
                answer = await upstream.request(method, path, content=body, headers=kept)
            except httpx.HTTPError as error:
                raise ConnectionError from error
        answered = (
            f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}",
            f"content-type: {answer.headers.get('content-type', 'application/json')}",
            f"content-length: {len(answer.content)}",
        )
        writer.write("\r\n".join((*answered, "\r\n")).encode() + answer.content)
        await writer.drain()

    async def _relay_link(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(self._links_from_s - asyncio.get_running_loop().time())
        asterisk_reads, asterisk_writes = await asyncio.open_connection(
            addresses.LOOPBACK, addresses.ARI.number
        )
        link = _Link(writer, asterisk_writes, asyncio.Event())
        link.flows.set()
        asterisk_writes.write(head)
        writer.write(await asterisk_reads.readuntil(b"\r\n\r\n"))
        self._links.append(link)
        ways = [
            asyncio.create_task(self._relay_frames(reader, link, from_client=True)),
            asyncio.create_task(self._relay_frames(asterisk_reads, link, from_client=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.remove(link)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            asterisk_writes.close()

    async def _relay_frames(
        self, reader: asyncio.StreamReader, link: _Link, *, from_client: bool
    ) -> None:
        late: set[asyncio.Task[None]] = set()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                raw, opcode, payload = await read_frame(reader)
                await link.flows.wait()
                if opcode != TEXT:
                    (link.to_asterisk if from_client else link.to_client).write(raw)
                elif from_client:
                    task = asyncio.create_task(self._ask(raw, json.loads(payload), link))
                    late.add(task)
                    task.add_done_callback(late.discard)
                else:
                    line = self._named(name_of_event(json.loads(payload)))
                    if self._lost.tell(line):
                        self.reset()
                        return
                    link.to_client.write(raw)
                    self._moments.tell(line)

    async def _ask(self, raw: bytes, request: dict[str, Any], link: _Link) -> None:
        """Hand a request of the WebSocket on, or refuse it."""
        asked = f"{request['method']} /{request['uri']}"
        status = await self._passes(asked, request.get("message_body", ""))
        if status is None:
            link.to_asterisk.write(raw)
            return
        answer = {
            "type": "RESTResponse",
            "request_id": request["request_id"],
            "status_code": status,
            "reason_phrase": "spoilt",
            "message_body": '{"message": "spoilt"}',
        }
        link.to_client.write(text_frame(json.dumps(answer).encode()))

    async def _passes(self, request: str, body: bytes | str) -> int | None:
        """Note a request that passes; give the status it is to be refused with, if it is."""
        if request == "POST /channels":
            originate = json.loads(body)
            endpoint = originate["endpoint"]
            if attempt := _ATTEMPT.fullmatch(originate["channelId"]):
                self._numbers[attempt[0]] = endpoint.removeprefix("PJSIP/").partition("@")[0]
            request = f"{request} {endpoint}"
        line = self._named(request)
        self._moments.tell(line)
        for fault in self._faults:
            if fault.times and fault.pattern.search(line):
                fault.times -= 1
                await asyncio.sleep(fault.late_s)
                return fault.status
        return None

    def _named(self, line: str) -> str:
        """Put the number called in the place of its attempt's id."""
        return _ATTEMPT.sub(lambda found: self._numbers.get(found[0], found[0]), line)


@asynccontextmanager
async def ari_proxy() -> AsyncIterator[AriProxy]:
    """Run a proxy in front of the lab's Asterisk."""
    proxy = AriProxy(port=0)

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relaying = asyncio.create_task(proxy.serve(reader, writer))
        proxy.connections.add(relaying)
        relaying.add_done_callback(proxy.connections.discard)

    server = await asyncio.start_server(take, addresses.LOOPBACK, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.reset()
        server.close()
        for relaying in proxy.connections:
            relaying.cancel()
        if proxy.connections:
            await asyncio.wait(proxy.connections)
