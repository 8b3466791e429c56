"""SDP offer/answer for one audio stream (RFC 3264, RFC 4733, RFC 4568)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

from provisioner.errors import PeerError
from provisioner.sip.description import (
    CODECS,
    G711,
    KEY_BYTES,
    MAX_LINES,
    MAX_SDP,
    REVERSE,
    SPOKEN,
    SUITES,
    Crypto,
    Direction,
    Format,
    Stream,
    audio_part,
    parse,
)

__all__ = [
    "CODECS", "EVENT_PAYLOAD", "G711", "MAX_LINES", "MAX_SDP", "SPOKEN", "AudioOffer", "Direction", "Format",
    "MediaSession", "Negotiated", "Srtp", "Stream", "audio_part", "offered", "parse",
]  # fmt: skip

EVENT_CLOCKS = (8000, 16000, 48000)  # taken besides the codec's; of ours the first is offered
EVENT_PAYLOAD = 101  # what most phones and cores use for telephone-event
MAX_OFFER = 600  # bytes in the clear: leaves 700 for the headers of an INVITE over UDP (RFC 3261 18.1.1)
PTIME = 20  # milliseconds
_NOWHERE = ("0.0.0.0", "::")  # noqa: S104  RFC 2543 hold


@dataclass(frozen=True)
class Srtp:
    """The keys of one stream: `key_in` is what the peer protects with, `key_out` what we do (RFC 4568)."""

    suite: str
    key_in: bytes = field(repr=False)
    key_out: bytes = field(repr=False)


@dataclass
class Negotiated:
    """What offer and answer agreed on, seen from us. `send` is false while the peer holds.

    `payload_in`, `payload_out`: what we receive and send the codec as; None: its static type. `event_clock`:
    units per second of the durations of telephone-events. `fmtp`, `ptime` (ms): what the peer said. `rtcp`:
    where it wants its RTCP, None: one port up, or on the same port (`mux`).
    """

    remote: tuple[str, int]
    codec: str
    event_in: int | None
    event_out: int | None
    send: bool
    receive: bool
    payload_in: int | None = None
    payload_out: int | None = None
    event_clock: int = 8000
    fmtp: str = ""
    ptime: int = PTIME
    rtcp: tuple[str, int] | None = None
    mux: bool = False
    srtp: Srtp | None = None


@dataclass(frozen=True)
class AudioOffer:
    """What somebody offered: codecs by preference, and packet time in milliseconds."""

    formats: tuple[Format, ...] = ()
    ptime: int = PTIME


def offered(body: bytes, host: str = "") -> AudioOffer:
    """What an offer holds for a session (at `host`) that takes all codecs and SRTP. Raises PeerError (488)."""
    for stream in parse(body):
        if stream.audible and (found := stream.codecs()):
            _address(stream, host)
            return AudioOffer(tuple(found), stream.ptime or PTIME)
    raise PeerError("no audio codec in common", 488)


@lru_cache(1024)  # the parties are few, and send it again and again
def _canonical(address: str) -> str:
    """An IP address in its usual form. Raises ValueError."""
    return str(ip_address(address))


def _address(stream: Stream, host: str) -> str:
    """Where the audio goes, of the IP version of our `host`."""
    try:
        address = _canonical(stream.address)
    except ValueError:  # a name would have to be resolved, and media waits for nobody
        raise PeerError("no IP address for the audio in SDP", 488) from None
    if host and (":" in address) != (":" in host) and address not in _NOWHERE:
        raise PeerError("the audio's address is not of our IP version", 488)
    return address


def event_name(clock: int) -> str:
    """telephone-event as a=rtpmap names it; its clock is that of the codec beside it (RFC 4733 2.1)."""
    return f"telephone-event/{clock}"


class MediaSession:
    """Our side of one audio stream through all its offers and answers (RFC 3264 sections 5, 6 and 8).

    `codecs`: names of CODECS that we take, and offer when not told what. `random`: bytes for SRTP keys; without
    it SRTP is refused. `secure`: our first offer is SRTP; later ones are what was agreed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        session_id: int,
        codecs: Sequence[str] = G711,
        event_payload: int = EVENT_PAYLOAD,
        random: Callable[[int], bytes] | None = None,
        secure: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.codecs = codecs
        self.ptime = PTIME
        self.secure = secure
        self.negotiated: Negotiated | None = None
        self._id = session_id
        self._version = 0
        self._last = ""
        self._random = random
        self._protocol = "RTP/SAVP" if secure else "RTP/AVP"
        self._keys: dict[str, bytes] = {}  # by suite; a key lives as long as the session
        # by codec and by event_name: a number keeps its meaning through the session (RFC 3264 8.3.2)
        self._numbers: dict[str, int] = {event_name(8000): event_payload}
        self._fmtp: dict[str, str] = {}  # what we say of a codec
        self._flash = False
        self._offered: tuple[str, ...] = ()  # codecs of our last offer

    # our description

    def _render(self, media: list[str]) -> bytes:
        family = "IP6" if ":" in self.host else "IP4"
        tail = "\r\n".join(["s=-", f"c=IN {family} {self.host}", "t=0 0", *media, ""])
        if tail != self._last:  # o= counts changes (RFC 3264 section 8)
            self._version += 1
            self._last = tail
        return f"v=0\r\no=- {self._id} {self._version} IN {family} {self.host}\r\n{tail}".encode()

    def _audio(
        self, codecs: Collection[str], clocks: list[int], direction: Direction, *more: str
    ) -> list[str]:
        lines, payloads = [], []
        for codec in codecs:
            number = self._number(codec)
            payloads.append(number)
            lines.append(f"a=rtpmap:{number} {CODECS[codec].rtpmap}")
            if fmtp := self._fmtp.get(codec):
                lines.append(f"a=fmtp:{number} {fmtp}")
        for clock in clocks:
            number = self._number(event_name(clock))
            payloads.append(number)
            lines += [
                f"a=rtpmap:{number} {event_name(clock)}",
                f"a=fmtp:{number} 0-{16 if self._flash else 15}",
            ]
        head = f"m=audio {self.port} {self._protocol} {' '.join(map(str, payloads))}"
        return [head, *lines, *more, f"a=ptime:{self.ptime}", f"a={direction}"]

    def _number(self, name: str, wish: int | None = None) -> int:
        """Our payload type of a codec or event: static, as before, as wished, or the next free one."""
        codec = CODECS.get(name)
        number = self._numbers.get(name, codec.payload if codec else None)
        if number is None:
            free = (n for n in (wish, *range(96, 128)) if n and n >= 96 and n not in self._numbers.values())
            number = self._numbers[name] = next(free)
        return number

    def _key(self, suite: str) -> bytes:
        if suite not in self._keys:
            assert self._random
            self._keys[suite] = self._random(KEY_BYTES)
        return self._keys[suite]

    # offers of ours

    def offer(
        self, direction: Direction = "sendrecv", codecs: Sequence[Format] = (), ptime: int = 0
    ) -> bytes:
        """An offer, best first: of `codecs` as another party offered them, or of our own; and telephone-event.

        What the other party said of a codec (fmtp, and its dynamic payload type where that is free) is passed on.
        In the clear the last codecs are left out until the offer has at most MAX_OFFER bytes.
        """
        for form in codecs:
            self._number(form.codec, form.payload)
            self._fmtp[form.codec] = form.fmtp
        names = [form.codec for form in codecs] or list(self.codecs)
        self.ptime = ptime or self.ptime
        keys = (
            [f"{Crypto(tag, suite, self._key(suite))}" for tag, suite in enumerate(SUITES, 1)]
            if self.secure
            else []
        )
        while True:
            clocks = sorted({8000, *(CODECS[name].clock for name in names)})
            media = self._audio(names, clocks, direction, *keys)
            spare = [name for name in names if name not in G711]
            if self.secure or not spare or len("\r\n".join(media)) + 100 <= MAX_OFFER:
                break
            names.remove(spare[-1])
        self._offered = tuple(names)
        return self._render(media)

    def accept(self, body: bytes) -> Negotiated:
        """Take the answer to our offer. Raises PeerError (488) when it holds no audio that we can use."""
        stream = next((stream for stream in parse(body) if stream.audible), None)
        if stream is None:
            raise PeerError("no audio in the answer", 488)
        form = next((form for form in stream.codecs() if form.codec in self._offered), None)
        ours = [crypto for crypto in stream.crypto if (crypto.suite,) == SUITES[crypto.tag - 1 : crypto.tag]]
        crypto = ours[0] if ours and self.secure else None
        required = self._protocol == "RTP/SAVP"
        if form is None or stream.secure != required or (required and crypto is None):
            raise PeerError("the answer is not to our offer", 488)
        agreed = self._agree(stream, form, crypto, EVENT_CLOCKS[:1])
        clock = agreed.event_clock
        if agreed.event_out is not None:
            agreed.event_in = self._number(event_name(clock))
        own = self._number(form.codec)
        agreed.payload_in = None if own == CODECS[form.codec].payload else own
        self.negotiated = agreed
        return agreed

    # answers of ours

    def answer(self, body: bytes, prefer: str = "", fmtp: str = "") -> bytes:
        """The answer to an offer: its first audio we can use; the rest is refused. Raises PeerError (488).

        One codec: `prefer` if it is offered (with `fmtp`, as the far party answered), else G.711, else the first.
        """
        streams = parse(body)
        for stream in streams:
            crypto = stream.crypto[0] if stream.crypto and self._random else None  # beside AVP too: RFC 8643
            if stream.audible and self._common(stream) and (crypto or not stream.secure):
                break
        else:
            raise PeerError("no audio codec in common", 488)
        form = self._choose(stream, prefer)
        agreed = self._agree(stream, form, crypto, EVENT_CLOCKS)
        agreed.payload_in, agreed.event_in = agreed.payload_out, agreed.event_out
        self.negotiated = agreed
        self._adopt(stream, form, fmtp, agreed)
        more = [str(Crypto(crypto.tag, crypto.suite, self._key(crypto.suite)))] if crypto else []
        more += ["a=rtcp-mux"] if stream.mux else []
        clocks = [agreed.event_clock] if agreed.event_in is not None else []
        ours = self._audio([form.codec], clocks, REVERSE[_direction(stream)], *more)
        refused = (f"m={other.kind} 0 {other.protocol} {' '.join(other.formats)}" for other in streams)
        media: list[str] = []
        for other, refusal in zip(streams, refused, strict=True):
            media += ours if other is stream else [refusal]
        return self._render(media)

    def _common(self, stream: Stream) -> list[Format]:
        """Our codecs among those of `stream`, in its order."""
        return [form for form in stream.codecs() if form.codec in self.codecs]

    def _choose(self, stream: Stream, prefer: str) -> Format:
        forms = self._common(stream)
        spoken = [form for form in forms if form.codec in G711]
        return next((form for form in forms if form.codec == prefer), (spoken or forms)[0])

    def _adopt(self, stream: Stream, form: Format, fmtp: str, agreed: Negotiated) -> None:
        """What an answer of ours takes over from the offer, for it and for later offers of ours."""
        theirs = {form.codec: form.payload}
        if agreed.event_in is not None:
            theirs[event_name(agreed.event_clock)] = agreed.event_in
            self._flash = stream.flash(agreed.event_in)
        kept = {name: number for name, number in self._numbers.items() if number not in theirs.values()}
        self._numbers = kept | theirs
        if fmtp or form.codec not in self._fmtp:
            self._fmtp[form.codec] = fmtp or form.fmtp
        self.ptime, self._protocol, self.secure = agreed.ptime, stream.protocol, agreed.srtp is not None

    def _agree(
        self, stream: Stream, form: Format, crypto: Crypto | None, event_clocks: tuple[int, ...]
    ) -> Negotiated:
        """What holds in both directions of negotiating, all but what we receive under."""
        address = _address(stream, self.host)
        held = address in _NOWHERE
        remote = (address, stream.port)
        if held and self.negotiated:  # what comes meanwhile is still the party's (RFC 3264 8.4)
            remote = self.negotiated.remote
        codec = CODECS[form.codec]
        clocks = [
            clock for clock in (codec.clock, *event_clocks) if stream.payload(event_name(clock)) is not None
        ]
        clock = clocks[0] if clocks else 8000
        direction = _direction(stream)
        return Negotiated(
            remote,
            form.codec,
            None,
            stream.payload(event_name(clock)),
            send=direction in ("sendrecv", "recvonly") and not held,
            receive=direction in ("sendrecv", "sendonly"),
            payload_out=None if form.payload == codec.payload else form.payload,
            event_clock=clock,
            fmtp=form.fmtp,
            ptime=stream.ptime or PTIME,
            rtcp=(stream.rtcp[0] or remote[0], stream.rtcp[1]) if stream.rtcp else None,
            mux=stream.mux,
            srtp=Srtp(crypto.suite, crypto.key, self._key(crypto.suite)) if crypto else None,
        )


def _direction(stream: Stream) -> Direction:
    return stream.direction or "sendrecv"
