"""What a phone that presses keys sends: audio, and telephone-events in its place."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lab import packets
from lab.behaviours import Keys

AUDIO = bytes(range(1, 161)) * 100  # 2 s
ETHERNET_IP_UDP = 14 + 20 + 8


@dataclass(frozen=True)
class Packet:
    """One RTP packet as it was captured."""

    at_ms: int
    marker: bool
    kind: int
    number: int
    timestamp: int
    payload: bytes


def read(capture: bytes) -> list[Packet]:
    """Read a capture by the book: pcap 2.4, Ethernet, IPv4, UDP, RTP."""
    magic, major, minor, _, _, _, link = struct.unpack_from("<IHHiIII", capture)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 1)
    found, at = [], 24
    while at < len(capture):
        seconds, micros, kept, length = struct.unpack_from("<IIII", capture, at)
        frame = capture[at + 16 : at + 16 + kept]
        assert kept == length == 14 + struct.unpack_from("!H", frame, 16)[0]
        assert struct.unpack_from("!H", frame, 38)[0] == length - 34
        version, kind, number, timestamp, _ = struct.unpack_from("!BBHII", frame, ETHERNET_IP_UDP)
        assert version == 0x80
        found.append(
            Packet(
                seconds * 1000 + micros // 1000,
                kind >= 0x80,
                kind & 0x7F,
                number,
                timestamp,
                frame[ETHERNET_IP_UDP + 12 :],
            )
        )
        at += 16 + kept
    return found


def test_audio_is_sent_packet_by_packet() -> None:
    """Without keys the audio goes out as it is, 160 bytes each 20 ms, in one stream."""
    sent = read(packets.capture(AUDIO, []))
    assert b"".join(packet.payload for packet in sent) == AUDIO
    assert [packet.at_ms for packet in sent] == list(range(0, 2000, 20))
    assert [packet.number for packet in sent] == list(range(100))
    assert [packet.timestamp for packet in sent] == list(range(0, 16000, 160))
    assert {packet.kind for packet in sent} == {8}


def test_a_key_is_an_event_in_the_audios_place() -> None:
    """RFC 4733: marked when it begins, one timestamp, growing, its end told three times."""
    sent = read(packets.capture(AUDIO, [Keys("5#", 500, as_events=True)]))
    assert [packet.number for packet in sent] == list(range(100))
    five = [packet for packet in sent if 500 <= packet.at_ms < 700]
    assert {packet.kind for packet in five} == {packets.EVENT_PAYLOAD_TYPE}
    assert [packet.marker for packet in five] == [True] + [False] * 9
    assert {packet.timestamp for packet in five} == {500 * 8}
    events = [struct.unpack("!BBH", packet.payload) for packet in five]
    assert {event for event, _, _ in events} == {5}
    assert [flags >> 7 for _, flags, _ in events] == [0] * 7 + [1] * 3
    assert [lasts for _, _, lasts in events] == [160 * min(n, 8) for n in range(1, 11)]
    pound = [packet for packet in sent if 800 <= packet.at_ms < 1000]
    assert {packet.payload[0] for packet in pound} == {11}
    assert {packet.kind for packet in sent if 700 <= packet.at_ms < 800} == {8}
