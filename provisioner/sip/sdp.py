"""SDP offer/answer for one audio stream (RFC 8866, RFC 3264, RFC 4733)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from provisioner.errors import PeerError

MAX_SDP = 16384
CODECS = {"PCMU": 0, "PCMA": 8}  # what media can play prompts in; static payload types (RFC 3551)
EVENT_PAYLOAD = 101  # what most phones and cores use for telephone-event
MAX_LINES = 512
MAX_FORMATS = 128  # of one m= line: there are no more payload types
MAX_PARTS = 16  # of a multipart body that are looked at

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_REVERSE: dict[Direction, Direction] = {
    "sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive",
}  # fmt: skip
_RTPMAP = re.compile(r"([0-9]{1,3}) +([A-Za-z0-9_.\-]+)/([0-9]+)")
_MEDIA = re.compile(r"(\S+)\s+([0-9]{1,5})(?:/[0-9]{1,5})?\s+(\S+)\s+(\S.*)\Z")
_NOWHERE = ("0.0.0.0", "::")  # noqa: S104  RFC 2543 hold


@dataclass
class Stream:
    """One m= section: `formats` by preference, `names` from payload type to "NAME/clock"."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    names: dict[int, str] = field(default_factory=dict)
    address: str = ""
    direction: Direction | None = None

    def payload(self, name: str) -> int | None:
        """Payload type of `NAME/clock` in this section, by rtpmap or as a static type."""
        for text in self.formats:
            number = int(text) if text in _NUMBERS else -1
            if self.names.get(number, _STATIC.get(number, "")).upper() == name.upper():
                return number
        return None

    @property
    def audible(self) -> bool:
        return self.kind == "audio" and self.port > 0 and self.protocol == "RTP/AVP"


_NUMBERS = frozenset(str(number) for number in range(128))
_STATIC = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 13: "CN/8000"}


def parse(body: bytes) -> list[Stream]:
    """The media sections of an SDP body. Raises PeerError (488) when it cannot be read."""
    if len(body) > MAX_SDP:
        raise PeerError("SDP too large", 488)
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if not lines[0].startswith("v=0") or len(lines) > MAX_LINES:
        raise PeerError("not SDP", 488)
    streams: list[Stream] = []
    address, direction = "", None
    for line in lines:
        kind, _, value = line.partition("=")
        value = value.strip()
        if kind == "m":
            streams.append(_section(value, address, direction))
        elif kind == "c":
            found = value.split(" ")[-1].partition("/")[0]
            if streams:
                streams[-1].address = found
            else:
                address = found
        elif kind == "a":
            if value in _REVERSE:
                if streams:
                    streams[-1].direction = value
                else:
                    direction = value
            elif streams:
                _attribute(streams[-1], value)
    return streams


def _section(value: str, address: str, direction: str | None) -> Stream:
    found = _MEDIA.match(value)
    if not found or int(found.group(2)) > 65535:
        raise PeerError("bad m= line in SDP", 488)
    kind, port, protocol, text = found.groups()
    formats = list(dict.fromkeys(text.split()))
    if len(formats) > MAX_FORMATS:
        raise PeerError("too many formats in SDP", 488)
    return Stream(kind, int(port), protocol, formats, {}, address, direction)  # type: ignore[arg-type]


def _attribute(stream: Stream, value: str) -> None:
    name, _, rest = value.partition(":")
    found = _RTPMAP.match(rest.strip()) if name == "rtpmap" else None
    if found:
        stream.names[int(found.group(1))] = f"{found.group(2)}/{found.group(3)}"


@dataclass
class Negotiated:
    """What offer and answer agreed on, seen from us. `send` is false while the peer holds."""

    remote: tuple[str, int]
    codec: str
    event_in: int | None
    event_out: int | None
    send: bool
    receive: bool


class MediaSession:
    """Our side of one audio stream through all its offers and answers (RFC 3264 sections 5, 6 and 8)."""

    def __init__(
        self, host: str, port: int, session_id: int, codecs: tuple[str, ...] = ("PCMU", "PCMA")
    ) -> None:
        self.host = host
        self.port = port
        self.codecs = codecs
        self.negotiated: Negotiated | None = None
        self._id = session_id
        self._version = 0
        self._last = ""
        self._event_in = EVENT_PAYLOAD

    def _render(self, media: list[str]) -> bytes:
        family = "IP6" if ":" in self.host else "IP4"
        tail = "\r\n".join(["s=-", f"c=IN {family} {self.host}", "t=0 0", *media, ""])
        if tail != self._last:  # o= counts changes (RFC 3264 section 8)
            self._version += 1
            self._last = tail
        return f"v=0\r\no=- {self._id} {self._version} IN {family} {self.host}\r\n{tail}".encode()

    def _audio(self, codecs: list[str], event: int | None, direction: Direction) -> list[str]:
        payloads = [str(CODECS[codec]) for codec in codecs] + ([str(event)] if event is not None else [])
        lines = [f"m=audio {self.port} RTP/AVP {' '.join(payloads)}"]
        lines += [f"a=rtpmap:{CODECS[codec]} {codec}/8000" for codec in codecs]
        if event is not None:
            lines += [f"a=rtpmap:{event} telephone-event/8000", f"a=fmtp:{event} 0-15"]
        return [*lines, "a=ptime:20", f"a={direction}"]

    def offer(self, direction: Direction = "sendrecv") -> bytes:
        """An offer of all our codecs, best first, and telephone-event."""
        return self._render(self._audio(list(self.codecs), self._event_in, direction))

    def accept(self, body: bytes) -> Negotiated:
        """Take the answer to our offer. Raises PeerError (488) when it holds no audio that we can use."""
        stream = next((stream for stream in parse(body) if stream.audible), None)
        if stream is None:
            raise PeerError("no audio in the answer", 488)
        self.negotiated = self._agree(stream, "", self._event_in)
        return self.negotiated

    def answer(self, body: bytes, prefer: str = "") -> bytes:
        """The answer to an offer: its first audio we can use; the rest is refused. Raises PeerError (488)."""
        streams = parse(body)
        chosen = next((stream for stream in streams if stream.audible and self._common(stream)), None)
        if chosen is None:
            raise PeerError("no audio codec in common", 488)
        self.negotiated = self._agree(chosen, prefer, None)
        event = self.negotiated.event_in
        if event is not None:
            self._event_in = event
        media: list[str] = []
        for stream in streams:
            if stream is chosen:
                direction = _REVERSE[_direction(stream)]
                media += self._audio([self.negotiated.codec], event, direction)
            else:
                media.append(f"m={stream.kind} 0 {stream.protocol} {' '.join(stream.formats)}")
        return self._render(media)

    def _common(self, stream: Stream) -> list[str]:
        """Our codecs among those of `stream`, in its order."""
        static = {str(CODECS[codec]): codec for codec in self.codecs}
        found = [static[text] for text in stream.formats if text in static]
        return [codec for codec in found if stream.payload(f"{codec}/8000") == CODECS[codec]]

    def _agree(self, stream: Stream, prefer: str, offered_event: int | None) -> Negotiated:
        """`offered_event`: the payload type of telephone-event in our own offer; None when we answer."""
        offered = self._common(stream)
        if not offered:
            raise PeerError("no audio codec in common", 488)
        try:
            ip_address(stream.address)
        except ValueError:  # a name would have to be resolved, and media waits for nobody
            raise PeerError("no IP address for the audio in SDP", 488) from None
        codec = prefer if prefer in offered else offered[0]
        event = stream.payload("telephone-event/8000")
        event_in = event if offered_event is None or event is None else offered_event
        direction = _direction(stream)
        held = stream.address in _NOWHERE
        return Negotiated(
            (stream.address, stream.port),
            codec,
            event_in,
            event,
            send=direction in ("sendrecv", "recvonly") and not held,
            receive=direction in ("sendrecv", "sendonly"),
        )


def _direction(stream: Stream) -> Direction:
    return stream.direction or "sendrecv"


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
