"""The RTCP of what media plays itself: sender report with CNAME, and BYE (RFC 3550 section 6). No I/O."""

from __future__ import annotations

import struct

_SENDER = struct.Struct("!BBHIIIIII")
_HEAD = struct.Struct("!BBHI")
_EPOCH = 2208988800  # seconds from 1900, where NTP begins, to 1970
_VERSION = 0x80
_SR, _SDES, _BYE, _APP = 200, 202, 203, 204
_CNAME = 1

INTERVAL = 5.0  # seconds between reports (RFC 3550 6.2)


def report(
    ssrc: int, cname: str, wall: float, timestamp: int, packets: int, octets: int, bye: bool = False
) -> bytes:
    """A compound packet: sender report, CNAME and, to end the source, BYE.

    `wall` is seconds since 1970, `timestamp` the RTP timestamp of that moment; `octets` counts payload only.
    """
    seconds, fraction = divmod(wall, 1)
    ntp = int(seconds + _EPOCH) & 0xFFFFFFFF, int(fraction * 0x100000000)
    counts = packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    sender = _SENDER.pack(_VERSION, _SR, 6, ssrc, *ntp, timestamp, *counts)
    return sender + _names(ssrc, cname) + (_HEAD.pack(_VERSION | 1, _BYE, 1, ssrc) if bye else b"")


def _names(ssrc: int, cname: str) -> bytes:
    """SDES of one source with its CNAME only."""
    item = bytes((_CNAME, len(cname))) + cname.encode()
    item += bytes(4 - len(item) % 4)  # ends with at least one zero (6.5)
    return _HEAD.pack(_VERSION | 1, _SDES, 1 + len(item) // 4, ssrc) + item


def nameless(data: bytes, cname: str) -> bytes:
    """A compound packet as it may go on: the sender's SDES (name, number, address) is `cname`, and no words are in it.

    Empty when it is not made as RFC 3550 section 6.1 says.
    """
    parts, at = [], 0
    while at < len(data):
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or data[at] & 0xC0 != _VERSION:
            return b""
        packet, kind, count = data[at:end], data[at + 1], data[at] & 0x1F
        if kind == _SDES:
            packet = _names(int.from_bytes(packet[4:8], "big"), cname) if count and len(packet) >= 8 else b""
        elif kind == _BYE:  # without its reason
            count = min(count, len(packet) // 4 - 1)
            packet = bytes((_VERSION | count, _BYE)) + count.to_bytes(2, "big") + packet[4 : 4 + 4 * count]
        parts.append(b"" if kind == _APP else packet)
        at = end
    return b"".join(parts)
