"""What a phone sends as packets, written down for SIPp to replay.

Keys pressed are telephone-events (RFC 4733): packets that say which key, in the place of the audio,
in the same stream. SIPp can only play audio by itself, so the whole stream is a capture (pcap).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from lab.behaviours import Keys

PACKET_MS = 20
EVENT_PAYLOAD_TYPE = 101
"""As the phones' SDP says."""

_PER_MS = 8
_PCMA = 8
_KEYPAD = "0123456789*#"
_PRESSED_MS = 200
_PAUSE_MS = 100
_END_REPEATED = 3
_VOLUME_DBM0 = 10
_MARKER = 0x80
_END = 0x80
_SOURCE = 0x53495050
_ETHERNET = bytes(12) + b"\x08\x00"
_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def capture(audio: bytes, keys: Iterable[Keys]) -> bytes:
    """Give the capture of a phone that sends `audio` (A-law) and presses keys meanwhile."""
    events = {packet: event for key in keys for packet, event in _events(key)}
    size = PACKET_MS * _PER_MS
    records = [_HEADER]
    for number in range(len(audio) // size):
        start = number * size
        rtp = _rtp(_PCMA, number, start, audio[start : start + size])
        records.append(_record(number * PACKET_MS, events.get(number, rtp)))
    return b"".join(records)


def _events(keys: Keys) -> Iterator[tuple[int, bytes]]:
    """Give each key's packets by their place in the stream; the last of a key comes three times."""
    count = _PRESSED_MS // PACKET_MS
    for index, digit in enumerate(keys.digits):
        began_ms = keys.start_ms + index * (_PRESSED_MS + _PAUSE_MS)
        first = began_ms // PACKET_MS
        for step in range(count):
            lasts_ms = min(step + 1, count - _END_REPEATED + 1) * PACKET_MS
            flags = (_END if step >= count - _END_REPEATED else 0) | _VOLUME_DBM0
            event = struct.pack("!BBH", _KEYPAD.index(digit), flags, lasts_ms * _PER_MS)
            kind = EVENT_PAYLOAD_TYPE | (_MARKER if step == 0 else 0)
            place = first + step
            yield place, _rtp(kind, place, first * PACKET_MS * _PER_MS, event)


def _rtp(kind: int, number: int, timestamp: int, payload: bytes) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, timestamp, _SOURCE) + payload


def _record(at_ms: int, rtp: bytes) -> bytes:
    """Wrap a packet as it would be seen on a wire; SIPp puts the real addresses in."""
    udp = struct.pack("!HHHH", 0, 0, 8 + len(rtp), 0) + rtp
    ip = struct.pack("!BBHHHBBH8x", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + udp
    seconds, rest_ms = divmod(at_ms, 1000)
    length = len(_ETHERNET) + len(ip)
    return struct.pack("<IIII", seconds, rest_ms * 1000, length, length) + _ETHERNET + ip
