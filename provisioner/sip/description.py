"""SDP as text: the media sections of a body, with what negotiation needs of them (RFC 8866, 3605, 4568, 5761)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

from provisioner.errors import PeerError

MAX_SDP = 16384
MAX_LINES = 512
MAX_FORMATS = 128  # of one m= line: there are no more payload types
MAX_PARTS = 16  # of a multipart body that are looked at
MAX_FMTP = 200  # characters; a codec with more is left out, an INVITE must fit a packet
PTIMES = (10, 20, 30, 40)  # milliseconds that media copes with
KEY_BYTES = 30  # master key and salt of both suites (RFC 4568 6.2)
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
LIFETIME = 1 << 20  # packets; a key that lives shorter could run out in a call (RFC 4568 6.1)

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
REVERSE: dict[Direction, Direction] = {
    "sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive",
}  # fmt: skip
_RTPMAP = re.compile(r"([0-9]{1,3}) +([A-Za-z0-9_.\-]+/[0-9]+)(?:/([0-9]+))?")
_MEDIA = re.compile(r"(\S+)\s+([0-9]{1,5})(?:/[0-9]{1,5})?\s+(\S+)\s+(\S.*)\Z")
_RTCP = re.compile(r"([0-9]{1,5})(?:\s+IN\s+IP[46]\s+(\S+))?\s*\Z")
_CRYPTO = re.compile(
    r"([0-9]{1,9})\s+(\S+)\s+inline:([A-Za-z0-9+/=]+)(?:\|(2\^[0-9]{1,2}|[0-9]{1,15}))?((?:\s+\S+)*)\Z"
)
_NUMBERS = frozenset(str(number) for number in range(128))


@dataclass(frozen=True)
class Codec:
    """How SDP names a codec, its RTP clock (units per second), its static payload type (RFC 3551 6) or None."""

    rtpmap: str
    clock: int
    payload: int | None


CODECS = {
    "PCMU": Codec("PCMU/8000", 8000, 0),
    "PCMA": Codec("PCMA/8000", 8000, 8),
    "G722": Codec("G722/8000", 8000, 9),  # samples at 16 kHz, says 8000 for ever (RFC 3551 4.5.2)
    "G729": Codec("G729/8000", 8000, 18),
    "opus": Codec("opus/48000/2", 48000, None),  # RFC 7587
}
G711 = ("PCMU", "PCMA")  # what every party should have
SPOKEN = (*G711, "G722")  # what media speaks and translates; all else it only passes on
_BY_NAME = {codec.rtpmap.upper(): name for name, codec in CODECS.items()}
_STATIC = {codec.payload: codec.rtpmap for codec in CODECS.values()} | {13: "CN/8000"}


@dataclass(frozen=True)
class Format:
    """A codec (a name of CODECS) under a payload type; `fmtp` is passed on unread."""

    codec: str
    payload: int
    fmtp: str = ""


@dataclass(frozen=True)
class Crypto:
    """One a=crypto line that can be used (RFC 4568); `key` is master key and salt."""

    tag: int
    suite: str
    key: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"a=crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def read_crypto(value: str) -> Crypto | None:
    """An a=crypto value; None when it asks for what we do not do: MKI, UNENCRYPTED_*, other suites."""
    found = _CRYPTO.match(value)
    if not found:
        return None
    tag, suite, text, lifetime, parameters = found.groups()
    if lifetime and (1 << int(lifetime[2:]) if "^" in lifetime else int(lifetime)) < LIFETIME:
        return None
    if suite not in SUITES or any(not parameter.startswith("WSH=") for parameter in parameters.split()):
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return Crypto(int(tag), suite, key) if len(key) == KEY_BYTES else None


@dataclass
class Stream:
    """One m= section: `formats` by preference, `names` from payload type to "NAME/clock[/channels]"."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    names: dict[int, str] = field(default_factory=dict)
    address: str = ""
    direction: Direction | None = None
    fmtp: dict[int, str] = field(default_factory=dict)
    ptime: int = 0  # milliseconds; 0: not said
    rtcp: tuple[str, int] | None = None  # a=rtcp; the address is "" when only a port was said
    mux: bool = False
    crypto: list[Crypto] = field(default_factory=list)

    def _name(self, text: str) -> str:
        number = int(text) if text in _NUMBERS else -1
        return self.names.get(number, _STATIC.get(number, "")).upper()

    def payload(self, name: str) -> int | None:
        """Payload type of `NAME/clock` in this section, by rtpmap or as a static type."""
        return next((int(text) for text in self.formats if self._name(text) == name.upper()), None)

    def codecs(self) -> list[Format]:
        """What of CODECS stands here, by preference of who wrote it; each once."""
        found: dict[str, Format] = {}
        for text in self.formats:
            codec = _BY_NAME.get(self._name(text))
            if codec and codec not in found:
                found[codec] = Format(codec, int(text), self.fmtp.get(int(text), ""))
        return [form for form in found.values() if len(form.fmtp) <= MAX_FMTP]

    @property
    def secure(self) -> bool:
        return self.protocol == "RTP/SAVP"

    @property
    def audible(self) -> bool:
        """Audio that could be used; SAVP only with a key that we take."""
        usable = self.protocol == "RTP/AVP" or (self.secure and bool(self.crypto))
        return self.kind == "audio" and self.port > 0 and usable

    def flash(self, payload: int) -> bool:
        """Whether the events of this payload type go as far as 16, the hook flash (RFC 4733 3.2)."""
        ranges = [part.partition("-") for part in self.fmtp.get(payload, "").replace(" ", "").split(",")]
        bounds = [(low, high or low) for low, _, high in ranges if low.isdecimal()]
        return any(high.isdecimal() and int(low) <= 16 <= int(high) for low, high in bounds if len(high) < 4)


@lru_cache(32)  # an offer is looked at twice: whether it can be heard, and to be answered
def parse(body: bytes) -> tuple[Stream, ...]:
    """The media sections of an SDP body, not to be changed. Raises PeerError (488) when it cannot be read."""
    if len(body) > MAX_SDP:
        raise PeerError("SDP too large", 488)
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if not lines[0].startswith("v=0") or len(lines) > MAX_LINES:
        raise PeerError("not SDP", 488)
    streams: list[Stream] = []
    session = Stream("", 0, "", [])  # what stands before the first m= holds for all of them
    for line in lines:
        kind, _, value = line.partition("=")
        value = value.strip()
        if kind == "m":
            streams.append(_section(value, session))
            continue
        here = streams[-1] if streams else session
        if kind == "c":
            here.address = value.split(" ")[-1].partition("/")[0]
        elif kind == "a":
            _attribute(here, value)
    return tuple(streams)


def _section(value: str, session: Stream) -> Stream:
    found = _MEDIA.match(value)
    if not found or int(found.group(2)) > 65535:
        raise PeerError("bad m= line in SDP", 488)
    kind, port, protocol, text = found.groups()
    formats = list(dict.fromkeys(text.split()))
    if len(formats) > MAX_FORMATS:
        raise PeerError("too many formats in SDP", 488)
    return Stream(kind, int(port), protocol, formats, {}, session.address, session.direction)


def _attribute(stream: Stream, value: str) -> None:
    name, _, rest = value.partition(":")
    rest = rest.strip()
    if name in REVERSE:
        stream.direction = name
    elif name == "rtpmap" and (found := _RTPMAP.match(rest)):
        channels = found.group(3) or "1"
        stream.names[int(found.group(1))] = found.group(2) + (f"/{channels}" if channels != "1" else "")
    elif name == "fmtp":
        number, _, text = rest.partition(" ")
        if number in _NUMBERS and text.isprintable():  # it goes on to another party: no bare CR
            stream.fmtp[int(number)] = text.strip()
    elif name == "ptime" and rest in map(str, PTIMES):
        stream.ptime = int(rest)
    elif name == "rtcp":
        stream.rtcp = _rtcp(rest)
    elif name == "rtcp-mux":
        stream.mux = True
    elif name == "crypto" and (crypto := read_crypto(rest)):
        stream.crypto.append(crypto)


def _rtcp(value: str) -> tuple[str, int] | None:
    """Port, and address if one was said, of a=rtcp (RFC 3605); None for what cannot be used."""
    found = _RTCP.match(value)
    if not found or not 0 < int(found.group(1)) < 65536:
        return None
    address = found.group(2) or ""
    try:
        return (str(ip_address(address)) if address else ""), int(found.group(1))
    except ValueError:
        return None


def audio_part(content_type: str, body: bytes) -> bytes:
    """The SDP in a body: all of it, or a part of a multipart (RFC 5621); b"" when there is none."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "application/sdp":
        return body
    boundary = re.search(r'boundary\s*=\s*"?([^";]+)"?', parameters, re.I)
    if not kind.startswith("multipart/") or not boundary:
        return b""
    marker = b"\r\n--" + boundary.group(1).strip().encode("utf-8", "surrogateescape")
    for part in (b"\r\n" + body).split(marker, MAX_PARTS)[1:MAX_PARTS]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if blank and re.search(rb"content-type:\s*application/sdp", head, re.I):
            return content
    return b""
