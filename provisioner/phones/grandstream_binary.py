"""Grandstream's oldest configuration format, `cfg<mac>`: a checksummed header, then `P1=…&P2=…&gnkey=0b82`.

It hides nothing: the header protects from a file that was cut or is for another phone, no more. Values are
percent-encoded, whatever their bytes, so that none can begin a second setting.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes

from lxml import etree

from provisioner.errors import PeerError

GNKEY = "0b82"  # two of three writers always put this; for MACs of another prefix no phone has been seen
_HEADER = struct.Struct(">IH6s4s")
_END = b"\r\n\r\n"
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_P_CODE = re.compile(r"P\d+", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{12}")


def _checksum(data: bytes) -> int:
    """What makes the 16-bit words of `data` add up to 0, modulo 0x10000."""
    words: tuple[int, ...] = struct.unpack(f">{len(data) // 2}H", data)
    return -sum(words) % 0x10000


def encode(mac: str, settings: Iterable[tuple[str, str]], gnkey: str = GNKEY) -> bytes:
    """The file of the phone `mac` (12 hex digits) with `settings`, in their order.

    Raises ValueError for a MAC that is none, or a name that is no P code.
    """
    pairs = [*settings, ("gnkey", gnkey)]
    for name, _ in pairs:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a setting")
    if not _MAC.fullmatch(mac):
        raise ValueError(f"{mac!r} is no MAC of 12 hex digits")
    body = "&".join(f"{name}={quote(value, safe='', errors='replace')}" for name, value in pairs).encode(
        "ascii"
    )
    body += b"\0" * (len(body) % 2)
    words = (_HEADER.size + len(body)) // 2
    blank = _HEADER.pack(words, 0, bytes.fromhex(mac), _END) + body
    return _HEADER.pack(words, _checksum(blank), bytes.fromhex(mac), _END) + body


def decode(data: bytes) -> tuple[str, dict[str, str]]:
    """The MAC and the settings of a file, without the gnkey. Raises PeerError for what is no such file."""
    if len(data) < _HEADER.size or len(data) % 2:
        raise PeerError(f"{len(data)} bytes are no binary configuration")
    words, _, mac, end = _HEADER.unpack_from(data)
    if words * 2 != len(data) or end != _END:
        raise PeerError("the header of a binary configuration is wrong")
    if _checksum(data):
        raise PeerError("the checksum of a binary configuration is wrong")
    pairs = (pair.partition(b"=") for pair in data[_HEADER.size :].rstrip(b"\0").split(b"&"))
    found = {
        name.decode("ascii", "replace"): unquote_to_bytes(value).decode("utf-8", "replace")
        for name, _, value in pairs
    }
    found.pop("gnkey", None)
    return mac.hex(), found


def of_xml(data: bytes, mac: str) -> bytes:
    """The binary file with the P codes of a `gs_provision` document of ours, in their order."""
    codes = (
        each
        for each in etree.fromstring(data).iter()
        if isinstance(each.tag, str) and _P_CODE.fullmatch(each.tag)
    )
    return encode(mac, ((each.tag, each.text or "") for each in codes))
