"""What travels over the events WebSocket: frames, which pass as they came, and what is in them."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

TEXT = 0x81
CLOSE_NORMAL = bytes((0x88, 2)) + struct.pack("!H", 1000)


async def read_frame(reader: asyncio.StreamReader) -> tuple[bytes, int, bytes]:
    """Read one frame; give it as it came, its first byte, and its unmasked payload."""
    raw = await reader.readexactly(2)
    first, length = raw[0], raw[1] & 0x7F
    if length >= 126:
        more = await reader.readexactly(2 if length == 126 else 8)
        raw, length = raw + more, int.from_bytes(more)
    mask = await reader.readexactly(4) if raw[1] & 0x80 else b""
    payload = await reader.readexactly(length)
    raw += mask + payload
    if mask:
        payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return raw, first, payload


def text_frame(payload: bytes) -> bytes:
    """Write a text frame as a server does, unmasked."""
    if len(payload) < 126:
        return bytes((TEXT, len(payload))) + payload
    return bytes((TEXT, 126)) + struct.pack("!H", len(payload)) + payload


def name_of_event(message: dict[str, Any]) -> str:
    """Name an event in one line: its type, what it is about, and how that stands."""
    about = message.get("playback") or message.get("recording") or message.get("peer")
    about = about or message.get("channel") or {}
    state = message.get("dialstatus") or about.get("state", "")
    return f"{message['type']} {about.get('id') or about.get('name', '')} {state}"
