"""The RTCP of what media plays itself: sender report with CNAME, and BYE (RFC 3550 section 6). No I/O."""

from __future__ import annotations

import struct

_SENDER = struct.Struct("!BBHIIIIII")
_HEAD = struct.Struct("!BBHI")
_EPOCH = 2208988800  # seconds from 1900, where NTP begins, to 1970
_VERSION = 0x80
_SR, _SDES, _BYE = 200, 202, 203
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
    item = bytes((_CNAME, len(cname))) + cname.encode()
    item += bytes(4 - len(item) % 4)  # ends with at least one zero (6.5)
    names = _HEAD.pack(_VERSION | 1, _SDES, 1 + len(item) // 4, ssrc) + item
    return sender + names + (_HEAD.pack(_VERSION | 1, _BYE, 1, ssrc) if bye else b"")
